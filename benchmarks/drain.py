"""How fast the recorder drains a journal, alone and beside a thread that never gives up the interpreter by itself."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

from sojourn.core.ids import uuid7
from sojourn.core.records import ACTIVITY, REQUEST, STARTS, Entry, Record
from sojourn.core.session import Rules
from sojourn.pipeline import payloads
from sojourn.pipeline.journal import JournalDirectory, open_journal
from sojourn.pipeline.record.recorder import Recorder
from sojourn.stores import Store, open_store
from sojourn.stores.reporting.model import DAY_MS

VISITORS = 50


def main(records: int = 20_000) -> None:
    """Print records per second."""
    alone = drain(records, is_busy=False)
    beside = drain(records, is_busy=True)
    print(f"Recorder, {records} page views of {VISITORS} visitors: {alone:,.0f} records/s alone,")
    print(f"  {beside:,.0f} records/s beside a saturated thread   (reach: 5,000)\n")


def drain(records: int, *, is_busy: bool) -> float:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "bench.db.d"
        store = open_store(f"sqlite:///{Path(folder) / 'bench.db'}")
        store.open()
        journal, reader = open_journal(directory, limit=256 * 1024**2), JournalDirectory(directory)
        recorder = recorder_of(store, reader)
        for number in range(records):
            journal.prepare()
            record = _page_view(number)
            journal.append(payloads.encode(record), kind="page_view", essential=True, wall=record.at)
        stop = threading.Event()
        busy = threading.Thread(target=_spin, args=(stop,), daemon=True)
        if is_busy:
            busy.start()
        started = time.perf_counter()
        drained, more = 0, True
        while more:
            applied, more = recorder.step(time.time_ns() // 1_000_000)
            drained += applied
        took = time.perf_counter() - started
        stop.set()
        if is_busy:
            busy.join()
        journal.close()
        reader.close()
        store.close()
        if drained != records:
            msg = f"drained {drained} of {records}"
            raise RuntimeError(msg)
        return records / took


def recorder_of(store: Store, reader: JournalDirectory) -> Recorder:
    """A recorder with the default rules, which ends sessions without a grace."""
    return Recorder(
        store.records,
        reader,
        rules=Rules(),
        service={},
        sweep_interval=15_000,
        sweep_grace=0,
        max_age=7 * DAY_MS,
    )


def _page_view(number: int) -> Record:
    visitor, now = number % VISITORS, time.time_ns() // 1_000_000
    key = uuid7(1_700_000_000_000, visitor.to_bytes(10, "big"))
    is_start = number < VISITORS
    attributes: dict[str, str | int | float | bool] = {
        "url.path": f"/shop/{number % 7}",
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "page_view.duration_ms": 1.5,
        "http.route": "/shop/{item}",
    }
    flags = ACTIVITY | REQUEST | (STARTS if is_start else 0)
    origin = {"url.path": "/"} if is_start else None
    return Record(
        now, key, f"visitor-{visitor}", now, flags, entries=(Entry("page_view", now, attributes),), origin=origin
    )


def _spin(stop: threading.Event) -> None:
    total = 0
    while not stop.is_set():
        for number in range(1000):
            total += number * number % 7
