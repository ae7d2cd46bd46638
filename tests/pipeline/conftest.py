"""A store, a journal and a recorder without threads, and records to put in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sojourn.core.events import START
from sojourn.core.records import ACTIVITY, REQUEST, STARTS, Entry, Record, Seal
from sojourn.core.session import EndReason, Rules
from sojourn.pipeline import payloads
from sojourn.pipeline.journal import MemoryJournal
from sojourn.pipeline.leadership import LEASE_MS
from sojourn.pipeline.record.recorder import Recorder
from sojourn.stores import SQLiteStore
from sojourn.stores.model import Lease
from sojourn.stores.protocol import Leases

NOW = 1_700_000_000_000


def acquiring(leases: Leases, holder: str) -> Callable[[str, int], Lease | None]:
    """Ask for leases in this name."""
    return lambda name, now: leases.acquire(name, holder, now=now, until=now + LEASE_MS)


class Bench:
    """One recorder over one journal and one real SQLite file; time is a number."""

    def __init__(self, store: SQLiteStore) -> None:
        self.store = store
        self.journal = MemoryJournal()
        self.recorder = self.another(self.journal)
        self.now = NOW

    def another(self, journal: MemoryJournal, *, rules: Rules | None = None, sweep_grace: int = 0) -> Recorder:
        return Recorder(
            self.store.records,
            journal,
            rules=rules or Rules(),
            service={},
            sweep_interval=15_000,
            sweep_grace=sweep_grace,
            max_age=7 * 86_400_000,
        )

    def put(self, record: Record, *, journal: MemoryJournal | None = None) -> None:
        target = journal or self.journal
        assert target.append(payloads.encode(record), kind="test", essential=True, wall=record.at)

    def request(
        self, key: str, at: int, *, is_start: bool = False, journal: MemoryJournal | None = None, **more: object
    ) -> None:
        """A page view at this many milliseconds after the beginning."""
        flags = ACTIVITY | REQUEST | (STARTS if is_start else 0)
        entry = Entry("page_view", NOW + at, {"url.path": "/", "http.response.status_code": 200})
        origin = {"url.path": "/"} if is_start else None
        started = NOW + at if is_start else NOW
        record = Record(NOW + at, key, "visitor", started, flags, entries=(entry,), origin=origin, **more)  # type: ignore[arg-type]
        self.put(record, journal=journal)

    def end(self, key: str, at: int) -> None:
        seal = Entry("session.end", NOW + at, seal=Seal(EndReason.ENDED, NOW + at))
        self.put(Record(NOW + at, key, "visitor", NOW, ACTIVITY, entries=(seal,)))

    def apply(self) -> int:
        applied, more = self.recorder.step(self.now)
        assert not more
        return applied

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.store.log.after(START, limit=10_000)]

    def counter(self, name: str) -> int:
        return self.store.stats().counters.get(name, 0)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    store = SQLiteStore(tmp_path / "sojourn.db")
    store.open()
    yield Bench(store)
    store.close()
