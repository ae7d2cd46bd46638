"""The background of one process: its journal, the recorder if it is elected, and a dispatcher per backend.

It belongs to the pid that made it; after a fork the engine makes another and never touches this one again. What it does
again and again are steps, which a scheduler runs; with a manual clock none runs, and `flush` and `sweep` do the work.

See P2 in docs/internals.md.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from sojourn.backends.ages import oldest_accepted_ms
from sojourn.backends.protocol import Backend
from sojourn.core.clock import Clock
from sojourn.stores.model import Lease
from sojourn.stores.protocol import Store

from .closing import LastPass
from .deliver.dispatcher import Dispatcher
from .flushing import Flusher, FlushReport
from .journal import (
    TURN_OVER_MS,
    FileJournal,
    Files,
    JournalDirectory,
    JournalReader,
    MemoryJournal,
    open_files,
    open_journal,
)
from .leadership import Leadership, LeaseHolder, reader_of
from .other_hosts import OtherHosts, SharedEntry
from .pacing import Pace
from .record.recorder import PATIENCE_NS, Recorder
from .salts import DailySalts
from .scheduling import Scheduler, Step
from .store_time import StoreTime
from .sweeper import Sweeper

log = logging.getLogger("sojourn")

_KEEP_S: Final = 0.25
_ELECTION_S: Final = 1.0
_RECORDER_IDLE_S: Final = 0.1
_DISPATCHER_IDLE_S: Final = 0.2
_ALERTS_IDLE_S: Final = 5.0
_SALTS_IDLE_S: Final = 2.0
_CUT_OFF_S: Final = 0.5
"""For how long after its time `close` and `flush` wait for what they have just cut off."""
_SWEEP_PATIENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a runtime is to run; durations in milliseconds."""

    directory: Path | None
    journal_limit: int
    journal_fsync: bool
    records: bool
    """Whether this process may be elected to record and to deliver; not with `deliver="worker"`."""
    idle_timeout: int
    sweep_interval: int
    sweep_grace: int
    retention: int
    record_within: int
    outbox_max: int | None = None
    hidden_from_others: frozenset[str] = frozenset()
    """Attributes that no third party gets."""
    hidden_from_others_than: Mapping[str, str] = field(default_factory=dict)
    """Attributes that only the backends of one vendor get, and that vendor's scheme."""

    @property
    def turn_over(self) -> int:
        """How long a segment of the journal gets records."""
        return min(TURN_OVER_MS, self.retention // 4)


class Runtime:
    """Made on first use, by the process that uses it."""

    def __init__(
        self,
        plan: Plan,
        *,
        store: Store,
        backends: Sequence[Backend],
        clock: Clock,
        files: Files,
        scheduler: Scheduler,
        recorder: Callable[[JournalReader], Recorder],
        keep: Callable[[Runtime], None],
        shared: Callable[[str], SharedEntry],
        check_agents: Callable[[Runtime], float] | None = None,
        watch: Callable[[Callable[[str, int], Lease | None]], Callable[[int], None]] | None = None,
        salts: DailySalts | None = None,
    ) -> None:
        self.pid = os.getpid()
        self._plan = plan
        self._store = store
        self._clock = clock
        self._files = files
        self._scheduler = scheduler
        self._keep = keep
        self.journal: FileJournal | MemoryJournal = open_journal(
            plan.directory,
            limit=plan.journal_limit,
            fsync=plan.journal_fsync,
            turn_over=plan.turn_over,
            files=files,
            clock=clock,
        )
        self._reader = reader_of(self.journal, plan.directory, files=files, clock=clock)
        self._time = StoreTime(store, clock)
        self._recorder = recorder(self._reader)
        holder = LeaseHolder(store.leases, self.journal, self._reader)
        self._leadership = Leadership(holder, on_election=self._recorder.forget)
        self._sweeper = Sweeper(
            store.maintenance,
            self._recorder,
            acquire=self._leadership.acquire,
            monotonic=clock.monotonic,
            is_stopping=lambda: scheduler.is_stopping,
            interval=plan.sweep_interval,
            retention=plan.retention,
        )
        self.dispatchers = [
            Dispatcher(
                backend,
                store.delivery,
                now=self._time.now,
                acquire=self._leadership.acquire,
                outbox_max=plan.outbox_max,
                hidden=_hidden(plan, backend),
            )
            for backend in backends
        ]
        self._other_hosts = OtherHosts(
            store.records, shared, journals=self._reader.journals, monotonic=clock.monotonic, lookback=plan.idle_timeout
        )
        self._flusher = Flusher(
            store,
            recorder=self._recorder,
            dispatchers=self.dispatchers,
            leadership=self._leadership,
            time=self._time,
            scheduler=scheduler,
            may_record=plan.records,
            waits_for_others=not clock.is_manual,
        )
        self._last = LastPass(
            store,
            recorder=self._recorder,
            dispatchers=self.dispatchers,
            leadership=self._leadership,
            time=self._time,
            scheduler=scheduler,
        )
        self._pace = self._new_pace()
        self._steps = [Step("keeper", self._keep_ready)]
        self._deliveries: list[Step] = []
        if plan.records:
            self._deliveries += [
                Step(
                    f"dispatcher-{dispatcher.backend.name}",
                    partial(self._deliver, dispatcher, self._new_pace()),
                    at_end=partial(self._deliver_last, dispatcher),
                )
                for dispatcher in self.dispatchers
            ]
            self._steps += [Step("recorder", self._record, at_end=self._finish), *self._deliveries]
        # Not waited for at the end: they ask the DNS or a mail server, and what must be kept is in the store.
        self._asides = [] if check_agents is None else [Step("agents", partial(check_agents, self))]
        if watch is not None and plan.records:
            self._asides.append(Step("alerts", partial(self._look_out, watch(self._leadership.acquire))))
        self._salts = salts
        if salts is not None:
            self._asides.append(Step("salts", self._agree_on_salts))
        self._is_started = False
        self._is_open = False

    @property
    def is_recorder(self) -> bool:
        return self._leadership.is_recorder

    # --- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the steps. Idempotent."""
        if self._is_started:
            return
        self.journal.prepare()  # here, or the first request and the keeper would both make a first segment
        self._scheduler.start([*self._steps, *self._asides])
        self._is_started = True

    def close(self, timeout: float) -> None:
        """Record and deliver what the time allows, give the leases back, release every file.

        What is left on disk is for another process. Whatever may hang (a locked store, a silent backend) is done by the
        steps. They get `timeout` seconds, and die with the process. No thread is started here: the interpreter may be at its
        end.
        """
        self._keep(self)
        self._last.deadline = deadline = self._scheduler.monotonic() + timeout
        self._scheduler.stop()
        if not (self._is_started and self._plan.records):
            self._finish()
        self._scheduler.join(self._steps, deadline)
        for dispatcher in self.dispatchers:
            dispatcher.backend.close()  # ends a call that still hangs
        self._scheduler.join(self._deliveries, self._scheduler.monotonic() + _CUT_OFF_S)
        self._close_reader()  # a delivery that ended after the recorder may have looked at the journals
        self.journal.close()

    def open(self) -> None:
        """Open the store and register the backends, once. Raises `StoreError` until it succeeds."""
        if self._is_open:
            return
        self._store.open()
        if self._store.time() is not None and not self._clock.is_manual:
            self._recorder.patience_ns = PATIENCE_NS
        backends = [dispatcher.backend for dispatcher in self.dispatchers]
        oldest = {backend.name: age for backend in backends if (age := oldest_accepted_ms(backend)) is not None}
        self._store.outbox.register(
            [backend.name for backend in backends], now=self._time.now(), oldest_accepted=oldest
        )
        self._is_open = True

    # --- on demand -----------------------------------------------------------------------------------------------

    def flush(self, timeout: float) -> FlushReport:
        """Apply this process's records, deliver what is due. Never sweeps, never waits for a retry time."""
        deadline = self._scheduler.monotonic() + timeout
        self._keep(self)
        # Left behind if it takes longer: a locked store or a call to a backend cannot be interrupted.
        report = self._scheduler.within(timeout + _CUT_OFF_S, partial(self._flush, deadline))
        if self._clock.is_manual:  # no step renews what the flush acquired
            self._leadership.step_down()
            for dispatcher in self.dispatchers:
                dispatcher.release()
        return FlushReport(recorded=0, delivered=0, waiting=0, done=False) if report is None else report

    def sweep(self) -> int:
        """Apply the journal, end the sessions that are over, and return how many."""
        self._keep(self)
        self.open()
        self._flusher.apply(self.journal, self._scheduler.monotonic() + _SWEEP_PATIENCE_S)
        self._recorder.forget()
        now = self._time.now()
        ended = self._recorder.sweep(now)
        self._look_at_other_hosts()
        self._agree_on_salts()
        self._sweeper.expire(now)
        return ended

    # --- steps, each returns for how many seconds to rest ----------------------------------------------------------

    def _keep_ready(self) -> float:
        self.journal.prepare()
        if isinstance(self.journal, FileJournal) and self.journal.is_wiped:
            self._replace(self.journal)
        self._keep(self)
        return _KEEP_S

    def _record(self) -> float:
        self.open()
        now = self._time.now()
        if not self._leadership.stand(now):
            return _ELECTION_S
        self._other_hosts.turn(now)
        self._recorder.has_others = self._other_hosts.are_there
        applied, more = self._recorder.step(now, pace=self._pace)
        self._sweeper.turn(now)  # however long the backlog is: sessions end all the same
        return self._pace.rest(has_worked=bool(applied), is_done=not more, idle=_RECORDER_IDLE_S)

    def _deliver(self, dispatcher: Dispatcher, pace: Pace) -> float:
        self.open()
        pace.begin()
        delivery = dispatcher.step()
        return pace.rest(has_worked=not delivery.is_idle, is_done=not delivery.more, idle=_DISPATCHER_IDLE_S)

    def _look_out(self, watch: Callable[[int], None]) -> float:
        """Check the figures, and send what there is to say. A step of its own, because it may wait for a mail server."""
        self.open()
        watch(self._time.now())
        return _ALERTS_IDLE_S

    def _agree_on_salts(self) -> float:
        self.open()
        if self._salts is not None:
            self._salts.turn(self._clock.now())
        return _SALTS_IDLE_S

    def _look_at_other_hosts(self) -> None:
        self._other_hosts.read(self._time.now())
        self._recorder.has_others = self._other_hosts.are_there

    # --- inner ---------------------------------------------------------------------------------------------------

    def _new_pace(self) -> Pace:
        return Pace(requests=lambda: self.journal.stats().accepted, within=self._plan.record_within)

    def _replace(self, wiped: FileJournal) -> None:
        """Open another journal in place of one whose files were removed. What was read of it is in the store.

        Raises `OSError` while the directory cannot be made again; the next turn tries once more.
        """
        plan = self._plan
        journal = open_files(
            plan.directory or Path(),
            limit=plan.journal_limit,
            fsync=plan.journal_fsync,
            turn_over=plan.turn_over,
            refused=wiped.stats().refused_by_kind,
            files=self._files,
            clock=self._clock,
        )
        before = self._leadership.change(LeaseHolder(self._store.leases, journal, self._reader))
        self.journal = journal
        wiped.close()
        _quietly(before.release)
        _quietly(partial(self._store.records.forget_journals, [wiped.id]))  # it holds no sweeper back

    def _flush(self, deadline: float) -> FlushReport:
        try:
            self.open()
            if not self._clock.is_manual:
                return self._flusher.flush(self.journal, deadline)
            self._look_at_other_hosts()  # no step does
            self._agree_on_salts()
            report = self._flusher.flush(self.journal, deadline)
            self._look_at_other_hosts()
            return report
        finally:
            if self._scheduler.is_stopping:  # left behind, and closed meanwhile
                self._close_reader()

    def _finish(self) -> None:
        """Do the last pass. With `deliver="worker"` that is the worker's, except for what is in memory."""
        may_record = self._plan.records or isinstance(self.journal, MemoryJournal)
        if may_record and (self.journal.stats().accepted or self._is_open):
            _quietly(partial(self._last.record, self._open_last))
        self._last.is_recorded = True
        if self._scheduler.join(self._deliveries, self._last.deadline) and self._is_open:
            _quietly(self._last.hand_over if may_record else self._leadership.step_down)
        self._close_reader()

    def _open_last(self) -> None:
        self.open()
        if isinstance(self.journal, MemoryJournal):
            self._recorder.patience_ns = 0  # a record that still waited for one of another host would be lost

    def _deliver_last(self, dispatcher: Dispatcher) -> None:
        _quietly(partial(self._last.deliver, dispatcher, lambda: self._is_open))

    def _close_reader(self) -> None:
        if isinstance(self._reader, JournalDirectory):
            self._reader.close()


def _hidden(plan: Plan, backend: Backend) -> frozenset[str]:
    """The attributes that a backend does not get."""
    scheme = getattr(backend, "scheme", None)
    others = {name for name, vendor in plan.hidden_from_others_than.items() if vendor != scheme}
    return frozenset(others) | (plan.hidden_from_others if backend.third_party else frozenset())


def _quietly(work: Callable[[], object]) -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - at the end only the log is left to report to
        log.warning("Sojourn could not finish its last work, and left it in the journal: %s", error)
