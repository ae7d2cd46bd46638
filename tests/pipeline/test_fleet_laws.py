"""Many hosts, one store: delays, crashes, clocks that differ, replays; and a model that folds each record in its turn.

What hosts do is played at the granularity that a database sees: one transaction after another, some of which fail at
their worst moment. That transactions which run at the same time do not disturb each other is tested with the store.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from sojourn.core.events import SESSION_END, SESSION_START, START, Event
from sojourn.core.session import EndReason
from sojourn.pipeline import payloads
from sojourn.pipeline.deliver.dispatcher import Dispatcher
from sojourn.pipeline.journal import MemoryJournal
from sojourn.pipeline.record.fold import Numbered
from sojourn.pipeline.record.recorder import PATIENCE_NS, Recorder
from sojourn.stores import SQLiteStore, Store, open_store
from sojourn.stores.model import Batch, TryAgain
from sojourn.stores.recording_protocol import Recording
from sojourn.stores.rows import SessionRow
from sojourn.testing.backends import MemoryBackend
from tests.core.player import ACTIONS, EPOCH, IDLE, LONG, RULES, SERVICE, Step, Visitor
from tests.postgres import Cluster
from tests.stores.contract.steps import assert_adds_up

from .conftest import acquiring
from .shelf import Shelf, event_ids, joined

MS: Final = 1_000_000
SKEWS: Final = (0, 300, -5 * IDLE)

hosts = st.sampled_from(range(len(SKEWS)))
visitors = st.sampled_from((0, 1))
actions = st.builds(
    Step,
    gap=st.sampled_from([0, 0, 1, 50, IDLE - 1]),
    action=st.sampled_from(ACTIONS) | st.sampled_from(["visit", "page", "end"]),
    user=st.sampled_from(["ada", "bo"]),
    is_lost=st.sampled_from([False, False, False, True]),
)


class Crash(Exception):
    """The process is gone at this point."""


class Shaky:
    """The store as a recorder sees it that may be killed, or chosen as a deadlock's victim, before its commit."""

    def __init__(self, store: Store) -> None:
        self._records = store.records
        self.fault: type[Exception] | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._records, name)

    @contextmanager
    def recording(self) -> Iterator[Recording]:
        with self._records.recording() as transaction:
            fault, self.fault = self.fault, None
            if fault is not None:
                transaction.save = partial(_fail, fault)  # type: ignore[method-assign]
            yield transaction


def _fail(fault: type[Exception], batch: Batch) -> None:
    raise fault


class Host:
    """A journal on a disk that outlives its processes, and the recorder of whichever process is elected."""

    def __init__(self, store: Store, skew: int) -> None:
        self.skew = skew
        self.shaky = Shaky(store)
        self.tick = 0
        """The moment (ns, monotonic) up to which the recorder looks; appends are made at `appended_at`."""
        self.appended_at = 0
        self.journal = MemoryJournal(monotonic_ns=lambda: self.appended_at)
        self.recorder = self.elected()
        self.overslept = self.elected()
        """One that was frozen: it still believes in the positions of long ago."""

    def elected(self) -> Recorder:
        recorder = Recorder(
            self.shaky,  # type: ignore[arg-type]
            self.journal,
            rules=RULES,
            service=SERVICE,
            sweep_interval=15_000,
            sweep_grace=0,
            max_age=10**12,
            monotonic_ns=lambda: self.tick,
        )
        recorder.patience_ns = PATIENCE_NS
        return recorder


class Fleet(RuleBasedStateMachine):
    """Two visitors, each of whose requests goes to any host; two backends, one of which fails at times."""

    def __init__(self) -> None:
        super().__init__()
        self.now = EPOCH
        self.store = self.make_store()
        self.store.open()
        self.hosts = [Host(self.store, skew) for skew in SKEWS]
        self.visitors = [Visitor(), Visitor()]
        self.visitors[1]._chance = 1_000  # ids of its own
        self.backends = [MemoryBackend(name="steady"), MemoryBackend(name="flaky")]
        self.store.outbox.register([backend.name for backend in self.backends], now=self.now)
        self.dispatchers = [
            Dispatcher(
                backend,
                self.store.delivery,
                now=lambda: self.now,
                acquire=acquiring(self.store.leases, "dispatcher"),
                chance=lambda: 0.0,
            )
            for backend in self.backends
        ]
        self.model = Shelf()
        self.has_unclear_life = False
        """Lost responses and streams make lives that the simplest model does not know."""

    def make_store(self) -> Store:
        return SQLiteStore(None)

    # --- visitors

    @rule(burst=st.lists(st.tuples(visitors, hosts, actions), min_size=1, max_size=6))
    def requests(self, burst: list[tuple[int, int, Step]]) -> None:
        """Some host handles each by its own clock, and its records wait in that host's journal."""
        for visitor, host, step in burst:
            self.request(self.visitors[visitor], self.hosts[host], step)
            self.now += step.gap

    def request(self, player: Visitor, host: Host, step: Step) -> None:
        known = len(player.records)
        player.now = self.now + host.skew
        player.request(replace(step, gap=0))
        self.has_unclear_life |= step.is_lost or step.action in {"stream", "late"}
        for numbered in player.records[known:]:
            host.appended_at = max(host.appended_at + 1, self.now * MS)
            record = numbered.record
            assert host.journal.append(payloads.encode(record), kind="test", essential=True, wall=record.at)
            self.model.apply([Numbered(f"{host.journal.id}:{host.journal.stats().accepted:016x}", record)])

    @rule(ms=st.sampled_from([1, 50, 100, IDLE - 1, IDLE, 3 * IDLE]))
    def wait(self, ms: int) -> None:
        self.now += ms

    @rule(host=hosts, skew=st.sampled_from([0, 300, -IDLE, -LONG]))
    def set_a_clock(self, host: int, skew: int) -> None:
        self.hosts[host].skew = skew

    # --- hosts

    @rule(host=hosts, lag=st.sampled_from([0, 0, 50, IDLE]), fault=st.sampled_from([None, None, None, Crash, TryAgain]))
    def record(self, host: int, lag: int, fault: type[Exception] | None) -> None:
        """The recorder looks up to a moment, and may die or be taken back just before its commit."""
        at = self.hosts[host]
        at.tick = max(at.tick, (self.now - lag) * MS)
        at.shaky.fault = fault
        try:
            at.recorder.step(self.now)
        except Crash:
            at.recorder = at.elected()
        at.shaky.fault = None

    @rule(host=hosts)
    def wake_up(self, host: int) -> None:
        """One that was stopped for long goes on with what it believed then."""
        at = self.hosts[host]
        at.tick = max(at.tick, self.now * MS)
        at.overslept.step(self.now)
        at.overslept, at.recorder = at.recorder, at.overslept

    @rule(host=hosts, fault=st.sampled_from([None, None, Crash]))
    def sweep(self, host: int, fault: type[Exception] | None) -> None:
        at = self.hosts[host]
        at.tick = max(at.tick, self.now * MS)
        at.shaky.fault = fault
        try:
            at.recorder.sweep(self.now)
        except Crash:
            at.recorder = at.elected()
        at.shaky.fault = None

    @rule(host=hosts, is_read=st.booleans())
    def sweep_too_early(self, host: int, is_read: bool) -> None:
        """As a sweeper does that does not know of what waits in the journals of a host it has not heard of."""
        while self.hosts[host].recorder._swept(self.now + IDLE):
            pass
        if is_read:
            self.dispatchers[0].step()

    # --- backends

    @rule(number=st.sampled_from((0, 1)), fails=st.booleans())
    def deliver(self, number: int, fails: bool) -> None:
        if fails:
            self.backends[number].fail(1, error=OSError("down"))
        self.dispatchers[number].step()
        self.backends[number].fail(0)
        self.now += 1

    # --- what must hold

    @precondition(lambda self: self.backends[0].events)
    @invariant()
    def what_was_read_is_never_taken_back(self) -> None:
        kept = {event.id: event for event in self.log()}
        for backend in self.backends:
            for event in backend.events:
                assert kept[event.id] == event

    def teardown(self) -> None:
        self.now += 10 * LONG
        for host in self.hosts:
            host.tick = (self.now + 10 * LONG) * MS  # no record waits for a start any more
            while host.recorder.step(self.now, must_mark=True) != (0, False):
                pass
        self.hosts[0].recorder.sweep(self.now)
        for dispatcher in self.dispatchers:
            while dispatcher.step().delivered:
                pass
        self.model.sweep(self.now)
        try:
            self.the_store_agrees_with_the_model()
            self.every_backend_got_all_of_it_once()
        finally:
            self.store.close()

    def the_store_agrees_with_the_model(self) -> None:
        rows = {row.key: row for row in self.store.sessions.latest(limit=10_000)}
        assert joined(rows) == joined(self.model.rows())
        log = self.log()
        assert event_ids(log) == event_ids(self.model.log)
        for key, row in rows.items():
            self.one_life(row, [event for event in log if event.session_key == key])
        counted = self.store.stats().counters
        assert counted.get("sessions.started", 0) == counted.get("sessions.ended", 0) == len(rows)
        assert counted.get("records.accepted", 0) == counted.get("records.recorded", 0)
        if not self.has_unclear_life:
            lived = {
                key: (span.started_at, span.last_seen_at, span.reason or row.end_reason)
                for player in self.visitors
                for key, span in player.spans.items()
                if (row := rows[key])
            }
            assert {key: (row.started_at, row.last_seen_at, row.end_reason) for key, row in rows.items()} == lived

    def one_life(self, row: SessionRow, events: list[Event]) -> None:
        """One start, before all others; one end a revision, in order; the last of them is right."""
        assert [event.name for event in events].count(SESSION_START) == 1
        assert events[0].name == SESSION_START
        ends = [event for event in events if event.name == SESSION_END]
        assert [end.attributes.get("session.end_revision", 0) for end in ends] == list(range(row.end_revision + 1))
        assert row.end_event_id == ends[-1].id
        assert ends[-1].time == row.last_seen_at
        assert ends[-1].attributes["session.end_reason"] == row.end_reason
        assert all("session.late" in event.attributes for event in events[events.index(ends[-1]) + 1 :])

    def seals(self, key: str) -> set[EndReason | None]:
        """Why the session ended, in the words of the requests that ended it."""
        records = [numbered.record for player in self.visitors for numbered in player.records]
        calls = {entry.seal.reason for record in records if record.key == key for entry in record.entries if entry.seal}
        return calls | {record.previous_reason for record in records if record.previous_key == key}

    def every_backend_got_all_of_it_once(self) -> None:
        assert_adds_up(self.store)
        log = [event.id for event in self.log()]
        for backend in self.backends:
            assert [event.id for event in backend.events] == log

    def log(self) -> list[Event]:
        return self.store.log.after(START, limit=100_000)


def test_a_fleet_in_postgresql(postgres: Cluster) -> None:
    url = postgres.fresh_database()
    numbers = itertools.count()

    class InPostgreSQL(Fleet):
        def make_store(self) -> Store:
            return open_store(f"{url}?schema=fleet_{next(numbers)}")

    run_state_machine_as_test(InPostgreSQL, settings=settings(max_examples=20, stateful_step_count=20, deadline=None))


TestFleet = Fleet.TestCase
TestFleet.settings = settings(stateful_step_count=30, deadline=None)
