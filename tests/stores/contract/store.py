"""What every store must keep to, as tests to inherit.

class TestMyStore(StoreContract):
    def make_store(self, tmp_path: Path) -> Store:
        return MyStore(...)                 # an empty one
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sojourn.stores.model import Batch, PositionMoved, Settled
from sojourn.stores.protocol import Store

from .agents import AgentsContract
from .breakdowns import BreakdownsContract
from .data_subjects import DataSubjectsContract
from .definitions import DefinitionsContract
from .delivery import DeliveryContract
from .event_properties import EventPropertiesContract
from .imports import ImportsContract
from .operating import OperatingContract
from .recomputing import RecomputingContract
from .recording import RecordingContract
from .reporting import ReportingContract
from .salts import SaltsContract
from .session_lists import SessionListsContract
from .steps import DAY, NOW, assert_adds_up, claim_ids, ended, event, lease, load, mark, row, save


class StoreContract(
    RecordingContract,
    DeliveryContract,
    OperatingContract,
    DataSubjectsContract,
    ReportingContract,
    SaltsContract,
    SessionListsContract,
    BreakdownsContract,
    EventPropertiesContract,
    AgentsContract,
    DefinitionsContract,
    ImportsContract,
    RecomputingContract,
):
    """Inherit from it in a class whose name begins with `Test`, and override `make_store`."""

    def make_store(self, tmp_path: Path) -> Store:
        """Return a new, empty store."""
        raise NotImplementedError("override make_store(self, tmp_path)")

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        store = self.make_store(tmp_path)
        store.open()
        yield store
        store.close()

    # --- retention

    def test_retention_never_takes_an_open_session(self, store: Store) -> None:
        rows = [
            ended(row("old", NOW - 10), "e"),
            ended(row("seen later", NOW - 10, seen=NOW), "f"),
            row("open", NOW - 10),
        ]
        save(store, Batch(rows=rows))
        assert store.maintenance.expire(older_than=NOW, limit=10, now=NOW) == 1
        assert set(load(store, "old", "seen later", "open").rows) == {"seen later", "open"}
        assert store.stats().counters["sessions.expired"] == 1

    def test_retention_goes_in_slices(self, store: Store) -> None:
        rows = [ended(row(str(n), NOW - 10), f"end-{n}") for n in range(3)]
        save(store, Batch(rows=rows, events=[event(str(n), at=NOW - 10) for n in range(4)]))
        assert [store.maintenance.expire(older_than=NOW, limit=3, now=NOW) for _ in range(4)] == [3, 3, 1, 0]
        assert (store.stats().sessions, store.stats().events) == (0, 0)
        assert (store.stats().counters["sessions.expired"], store.stats().counters["events.expired"]) == (3, 4)

    def test_retention_waits_for_a_backend_in_use(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        save(store, Batch(events=[event("read", at=NOW - 9), event("unread", at=NOW - 9), event("young", at=NOW)]))
        held = lease(store)
        first = store.delivery.claim("b", held, until=NOW, limit=1, now=NOW).events[0]
        store.delivery.settle("b", held, Settled(upto=first.position, delivered=1), now=NOW)
        assert store.maintenance.expire(older_than=NOW, limit=10, now=NOW + 7 * DAY) == 1
        assert claim_ids(store, "b", held) == ["unread", "young"]
        assert_adds_up(store)

    def test_a_backend_long_out_of_use_holds_nothing_and_still_adds_up(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        save(store, Batch(events=[event("one", at=NOW - 9), event("two", at=NOW - 9), event("young", at=NOW)]))
        assert store.maintenance.expire(older_than=NOW, limit=10, now=NOW + 7 * DAY + 1) == 2
        state = store.delivery.state("b")
        assert (state.recorded, state.dropped, state.backlog) == (3, 2, 1)
        assert_adds_up(store)

    # --- its life

    def test_stats_count_what_is_stored(self, store: Store) -> None:
        save(store, Batch(rows=[row("a"), ended(row("b"), "e")], events=[event("e")], counts={"n": 2, "zero": 0}))
        save(store, Batch(counts={"n": -1}))
        stats = store.stats()
        assert (stats.sessions, stats.open_sessions, stats.events, stats.backends) == (2, 1, 1, ())
        assert stats.counters == {"n": 1, "events.recorded": 1}

    def test_threads_may_use_it_together(self, store: Store) -> None:
        def apply(number: int) -> bool:
            try:
                save(store, Batch(events=[event(str(number))], counts={"n": 1}, marks=[(mark("j", number + 1), 0)]))
            except PositionMoved:
                return False
            return True

        with ThreadPoolExecutor(max_workers=4) as pool:
            assert sorted(pool.map(apply, range(20))) == [False] * 19 + [True]
        assert store.stats().counters == {"n": 1, "events.recorded": 1}

    def test_opening_and_closing_twice_is_fine(self, store: Store) -> None:
        store.open()
        store.close()
        store.close()
        store.open()
