"""Generates a store with any number of synthetic sessions, recorded as real ones are.

The records go through the recorder's own fold, in order of time and with its sweeps, so the rows are those that the
recorder would have written. Only writing differs: in bulk, into a file that no other process has open, with the indices
added at the end. An interrupted run leaves an unusable file.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from sojourn.core.events import Event
from sojourn.core.records import Record
from sojourn.core.session import Rules
from sojourn.errors import SojournError
from sojourn.pipeline.record.fold import Folded, Numbered, also_needed, fold, own_keys, set_exit_pages, sweep
from sojourn.stores import SQLiteStore
from sojourn.stores.definitions import FUNNEL, GOAL, VIEW
from sojourn.stores.model import AgentCount, Batch
from sojourn.stores.rows import JSON_FIELDS, SessionRow

from .agents import counts
from .synthetic import SyntheticVisits

DAY_MS: Final = 86_400_000
_SWEEP_MS: Final = 300_000
_BATCH: Final = 500
_WRITTEN_AT_ONCE: Final = 20_000
_ROLLED_UP_AT_ONCE: Final = 24
_AGENTS_AT_ONCE: Final = 2_000
_JOURNAL: Final = "00000000-0000-4000-8000-000000000000"
_RECORDED: Final = "events.recorded"
_JSON: Final = tuple(place for place, name in enumerate(SessionRow.__struct_fields__) if name in JSON_FIELDS)
_REASONS: Final = tuple(
    place
    for place, name in enumerate(SessionRow.__struct_fields__)
    if name in {"previous_reason", "sealed_reason", "end_reason"}
)

_DEFINED: Final = (
    (GOAL, "Purchase", "purchase"),
    (GOAL, "Newsletter", "newsletter_signup"),
    (GOAL, "Opened the cart", "/cart"),
    (FUNNEL, "Purchase", "/ > /seeds/* > /cart > purchase"),
    (FUNNEL, "Advice to newsletter", "/advice/* > newsletter_signup"),
    (VIEW, "Phones", '{"id":"phones","query":"device=phone&range=30d"}'),
    (VIEW, "Sessions with errors", '{"id":"errors","query":"errors=1..&range=7d&measure=errors"}'),
)

OnProgress = Callable[[str, int, int], None]
"""Gets the current step, how much of it is done, and how much there is to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What the store holds."""

    sessions: int
    events: int


def generate(
    path: Path, sessions: int, *, now: int, days: int, on_progress: OnProgress, rest_ms: int = 0, seed: int = 1
) -> Generated:
    """Create a store at a new path, with sessions spread over so many days until now, or until `rest_ms` before.

    Raises `SojournError` if the path exists.
    """
    if path.exists():
        msg = f"{path} already exists; choose a new file for the generated store, or delete this one"
        raise SojournError(msg)
    with closing(SQLiteStore(path)) as store:
        store.open()
    visits = SyntheticVisits(sessions, since=now - days * DAY_MS, until=now - rest_ms, seed=seed)
    with closing(_Bulk(path)) as bulk:
        recording = Recording(Rules(), visits.may_return)
        for events, rows in recording.of(visits.records(), until=now):
            bulk.write(events, rows)
            on_progress("sessions", visits.begun, sessions)
        on_progress("indices", 0, 1)
        bulk.finish(recording.counts)
        on_progress("indices", 1, 1)
    with closing(SQLiteStore(path)) as store:
        for kind, name, text in _DEFINED:
            store.definitions.set(kind, name, text)
        _add_agents(store, now, days, seed)
        _roll_up(store, now, days, on_progress)
        stats = store.stats()
    return Generated(sessions=stats.sessions, events=stats.events)


def _add_agents(store: SQLiteStore, now: int, days: int, seed: int) -> None:
    """Add what crawlers and assistants read, some days in each transaction."""
    rows: list[AgentCount] = []
    for hour in counts(now - days * DAY_MS, now, seed=seed):
        rows += hour
        if len(rows) >= _AGENTS_AT_ONCE:
            _save_agents(store, rows)
            rows = []
    _save_agents(store, rows)


def _save_agents(store: SQLiteStore, rows: list[AgentCount]) -> None:
    with store.records.recording() as recording:
        recording.save(Batch(agents=rows))


def _roll_up(store: SQLiteStore, now: int, days: int, on_progress: OnProgress) -> None:
    """Aggregate the finished hours, as a running app would have done."""
    done, hours = 0, days * 24
    while (made := store.maintenance.roll_up(finished_before=now, limit=_ROLLED_UP_AT_ONCE)) == _ROLLED_UP_AT_ONCE:
        done += made
        on_progress("rollups", min(done, hours), hours)
    on_progress("rollups", hours, hours)


class Recording:
    """Folds records as the recorder does, and keeps the rows in memory that may still change."""

    def __init__(self, rules: Rules, may_return: Callable[[str], bool]) -> None:
        self._rules = rules
        self._may_return = may_return
        self._rows: dict[str, SessionRow] = {}
        self._open: dict[str, SessionRow] = {}
        self._number = 0
        self.counts: Counter[str] = Counter()

    def of(self, records: Iterable[Record], *, until: int) -> Iterator[tuple[list[Event], list[SessionRow]]]:
        """Yield events in log order with rows that no longer change; at the end, all other rows."""
        events: list[Event] = []
        rows: list[SessionRow] = []
        for batch, swept_at in _batches(records, until):
            events += self._fold(batch)
            if swept_at is not None:
                events += self._sweep(swept_at)
            if len(events) >= _WRITTEN_AT_ONCE:
                yield events, [*rows, *self._settled()]
                events, rows = [], []
        yield events, [*rows, *self._rows.values()]

    def _fold(self, batch: list[Record]) -> list[Event]:
        numbered = []
        for record in batch:
            self._number += 1
            numbered.append(Numbered(f"{_JOURNAL}:{self._number:016x}", record))
        rows = {key: row for key in own_keys(numbered) if (row := self._rows.get(key)) is not None}
        needed = also_needed(numbered, rows)
        rows |= {key: row for key in needed.keys if (row := self._rows.get(key)) is not None}
        out = fold(numbered, rows, self._rules, defaults={})
        self.counts["records.accepted"] += len(batch)
        self.counts["records.recorded"] += len(batch)
        return self._keep(out)

    def _sweep(self, as_of: int) -> list[Event]:
        before = as_of - self._rules.idle_timeout
        silent = sorted(
            (row for row in self._open.values() if row.last_seen_at <= before),
            key=lambda row: (row.last_seen_at, row.key),
        )
        return self._keep(sweep(silent, self._rules, as_of=as_of))

    def _keep(self, out: Folded) -> list[Event]:
        set_exit_pages(out.rows, out.events)
        for key in out.changed:
            row = self._rows[key] = out.rows[key]
            if row.is_open:
                self._open[key] = row
            else:
                self._open.pop(key, None)
        self.counts.update(out.counts)
        self.counts[_RECORDED] += len(out.events)
        return out.events

    def _settled(self) -> list[SessionRow]:
        """Remove and return ended sessions of visitors who will not come back."""
        settled = [row for key, row in self._rows.items() if not row.is_open and not self._may_return(key)]
        for row in settled:
            del self._rows[row.key]
        return settled


def _batches(records: Iterable[Record], until: int) -> Iterator[tuple[list[Record], int | None]]:
    """Batches of records as the recorder reads them, and when it sweeps after a batch."""
    batch: list[Record] = []
    sweep_at: int | None = None
    for record in records:
        if sweep_at is None:
            sweep_at = record.at // _SWEEP_MS * _SWEEP_MS + _SWEEP_MS
        while record.at >= sweep_at:
            yield batch, sweep_at
            batch, sweep_at = [], sweep_at + _SWEEP_MS
            if record.at >= sweep_at + 3_600_000:  # a long gap: one sweep ends all open sessions
                sweep_at = record.at // _SWEEP_MS * _SWEEP_MS
        batch.append(record)
        if len(batch) >= _BATCH:
            yield batch, None
            batch = []
    yield batch, until


class _Bulk:
    """Bulk writes into the store's file, which no other process may open."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -131072"):
            self._db.execute(f"PRAGMA {pragma}").fetchall()
        look = "SELECT sql, type, name FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
        self._later = self._db.execute(look).fetchall()
        for _, kind, name in self._later:
            self._db.execute(f"DROP {kind} {name}")
        fields = SessionRow.__struct_fields__
        self._insert_session = (
            f"INSERT INTO sojourn_sessions ({', '.join(fields)}) VALUES ({', '.join('?' * len(fields))})"  # noqa: S608 - our own names
        )

    def write(self, events: Iterable[Event], rows: Iterable[SessionRow]) -> None:
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO sojourn_events (id, name, time, session_key, session_started_at, is_manual, no_forward, data)"
            " VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
            map(_event, events),
        )
        self._db.executemany(self._insert_session, map(_row, rows))
        self._db.execute("COMMIT")

    def finish(self, counts: Counter[str]) -> None:
        self._db.executemany("INSERT INTO sojourn_counters (name, value) VALUES (?, ?)", counts.items())
        for statement, _, _ in self._later:
            self._db.execute(statement)

    def close(self) -> None:
        self._db.close()


def _event(event: Event) -> tuple[Any, ...]:
    data = msgspec.json.encode(event.attributes).decode()
    return event.id, event.name, event.time, event.session_key, event.session_started_at, int(event.is_manual), data


def _row(row: SessionRow) -> tuple[Any, ...]:
    values: list[Any] = list(msgspec.structs.astuple(row))
    for place in _JSON:
        if values[place] is not None:
            values[place] = msgspec.json.encode(values[place]).decode()
    for place in _REASONS:
        if values[place] is not None:
            values[place] = values[place].value
    return tuple(values)
