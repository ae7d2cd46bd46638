"""How fast a batch of the recorder goes through the store: alone, and beside a thread that keeps the interpreter busy.

    python -m benchmarks.store_batches [--batches 40] [--size 500] [--spread 250] [--store postgresql://...]

A batch is what the recorder does: load the rows of its records, load what they also need, change the rows, write rows,
events, counters and positions in one transaction. The reach is 5,000 records/s beside a busy thread, in batches of 500.
Without `--store` it is a SQLite file; a database that is named should be empty, and is left with what was written to it.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from sojourn.core.events import PAGE_VIEW, Event
from sojourn.core.ids import event_id, hashed_uuid, uuid7
from sojourn.stores import Store, open_store
from sojourn.stores.model import Batch, Mark
from sojourn.stores.rows import SessionRow

_START = 1_769_860_800_000
_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
_REACH = 5_000


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run: records a second, and how long the write lock was held, in ms."""

    rate: float
    median_ms: float
    worst_ms: float

    def __str__(self) -> str:
        return f"{self.rate:8,.0f} records/s   lock {self.median_ms:6.1f} ms median, {self.worst_ms:6.1f} ms worst"


def new_row(key: str, at: int) -> SessionRow:
    return SessionRow(
        key=key,
        session_id=key,
        visitor_id=f"visitor-{key}",
        is_manual=False,
        started_at=at,
        last_seen_at=at,
        activity=[at],
        anchor=at,
        user_id="42",
        user_traits={"plan": "team"},
        entry_path="/products",
        referrer="https://search.example/",
        browser="Chrome",
        system="Linux",
        device="desktop",
        origin={
            "user_agent.original": _AGENT,
            "client.address": "203.0.113.0",
            "service.name": "shop",
            "deployment.environment.name": "production",
        },
    )


def page_view(row: SessionRow, number: int, at: int) -> Event:
    return Event(
        id=event_id(row.started_at + number, row.key, str(number)),
        name=PAGE_VIEW,
        time=at,
        session_id=row.session_id,
        session_key=row.key,
        session_started_at=row.started_at,
        visitor_id=row.visitor_id,
        user_id=row.user_id,
        attributes={
            "session.id": row.session_id,
            "visitor.id": row.visitor_id,
            "user.id": row.user_id or "",
            "service.name": "shop",
            "deployment.environment.name": "production",
            "http.request.method": "GET",
            "url.path": f"/products/{number}",
            "http.route": "/products/{id}",
            "http.response.status_code": 200,
            "duration_ms": 12.5,
        },
    )


def run(store: Store, keys: list[str], *, batches: int, size: int, spread: int, seed: int = 7) -> Figures:
    """Apply batches of records that fall on `spread` sessions each, some of them new. Another seed has new ones of its own."""
    chance = random.Random(seed)
    position = 0
    journal = hashed_uuid(str(time.monotonic_ns()))
    held: list[float] = []
    number = 0
    began = time.perf_counter()
    for batch in range(batches):
        at = _START + batch * 100
        fresh = [uuid7(at, chance.randbytes(10)) for _ in range(spread // 10)]
        chosen = fresh + chance.sample(keys, spread - len(fresh))
        entered = time.perf_counter()
        with store.records.recording() as recording:
            rows = recording.load(chosen).rows
            rows |= recording.load([key + "-before" for key in fresh], successors_of=fresh).rows
            events = []
            for index in range(size):
                key = chosen[index % len(chosen)]
                row = rows.get(key)
                if row is None:
                    row = rows[key] = new_row(key, at)
                row.last_seen_at = at
                row.requests += 1
                row.exit_path, row.exit_at = f"/products/{number}", at
                number += 1
                events.append(page_view(row, number, at))
            mark = Mark(journal=journal, position=position + size, recorded_until=at, totals={"accepted": number})
            recording.save(
                Batch(
                    rows=list(rows.values()),
                    events=events,
                    counts={"sessions.started": len(fresh), "records.applied": size},
                    marks=[(mark, position)],
                )
            )
        held.append((time.perf_counter() - entered) * 1000)
        position += size
        keys += fresh
    took = time.perf_counter() - began
    held.sort()
    return Figures(batches * size / took, held[len(held) // 2], held[-1])


def filled(url: str, sessions: int) -> tuple[Store, list[str]]:
    """A store with that many open sessions."""
    chance = random.Random(3)
    store = open_store(url)
    store.outbox.register(["bench"], now=_START)
    keys = [uuid7(_START - sessions + number, chance.randbytes(10)) for number in range(sessions)]
    for first in range(0, sessions, 1000):
        with store.records.recording() as recording:
            recording.save(Batch(rows=[new_row(key, _START) for key in keys[first : first + 1000]]))
    return store, keys


def busy(is_over: threading.Event) -> None:
    """What a saturated request thread is to the others: pure Python that never waits."""
    total = 0
    while not is_over.is_set():
        for step in range(1000):
            total += step


def main() -> None:
    parser = argparse.ArgumentParser(description="rows a second through load and save, alone and beside a busy thread")
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--size", type=int, default=500)
    parser.add_argument("--spread", type=int, default=250, help="sessions that the records of a batch fall on")
    parser.add_argument("--sessions", type=int, default=20_000, help="sessions that are in the store before")
    parser.add_argument("--store", metavar="URL", help="an empty database to measure instead of a SQLite file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store, keys = filled(options.store or f"sqlite:///{Path(folder) / 'bench.db'}", options.sessions)
        work = {"batches": options.batches, "size": options.size, "spread": options.spread}
        run(store, keys, **{**work, "batches": 3})
        print(f"batches of {options.size} records on {options.spread} sessions, {options.sessions:,} in the store")
        print(f"  alone               {run(store, keys, **work)}")
        is_over = threading.Event()
        beside = threading.Thread(target=busy, args=(is_over,))
        beside.start()
        try:
            figures = run(store, keys, **work)
        finally:
            is_over.set()
            beside.join()
        print(f"  beside a busy thread{figures}   ({figures.rate / _REACH:.1f} x the reach of {_REACH:,}/s)")
        store.close()


if __name__ == "__main__":
    main()
