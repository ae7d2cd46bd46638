"""The background of one process: its journal, the recorder if it is elected, a dispatcher per backend, and their threads.

It belongs to the pid that made it; after a fork the engine makes another and never touches this one again. With a manual
clock no thread runs, and `flush` and `sweep` do the same work inline.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from sojourn.backends.protocol import Backend
from sojourn.core.clock import Clock
from sojourn.core.threads import StopFlag, Worker, sleep, within
from sojourn.stores.model import Lease
from sojourn.stores.protocol import Store

from .deliver.dispatcher import Dispatcher
from .journal import FileJournal, Files, JournalDirectory, JournalReader, MemoryJournal, open_files, open_journal
from .leadership import LEASE_MS, LeaseHolder, reader_of
from .record.recorder import PATIENCE_NS, Recorder
from .store_time import StoreTime

log = logging.getLogger("sojourn")

_IDLE_S: Final = 0.1
_WAIT_S: Final = 0.01
_LAST_S: Final = 0.5
"""For how long, after its time, `close` waits for what it has just cut off."""
_KEEP_S: Final = 0.25
_ELECTION_S: Final = 1.0
_RETRY_S: Final = 1.0
_SWEEPER: Final = "sweeper"
_EXPIRE_EVERY_S: Final = 3600.0
_SUMMARISE_EVERY_S: Final = 300.0
_SUMMED_AT_ONCE: Final = 48
_UNSETTLED_MS: Final = 3 * 3_600_000
"""The latest hours are not summed up for the report: their sessions still change."""
_EXPIRE_ROWS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushReport:
    """What a flush did.

    `recorded` records were applied and `delivered` events sent by it; `waiting` events are still to be sent; `done`: all
    that was due is.
    """

    recorded: int
    delivered: int
    waiting: int
    done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a runtime is to run; durations in milliseconds."""

    directory: Path | None
    journal_limit: int
    journal_fsync: bool
    records: bool
    """Whether this process may be elected to record and to deliver (`deliver="worker"`: it may not)."""
    sweep_interval: int
    sweep_grace: int
    retention: int
    outbox_max: int | None = None
    hidden_from_others: frozenset[str] = frozenset()
    """Attributes that no third party gets."""


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
        recorder: Callable[[JournalReader], Recorder],
        keep: Callable[[Runtime], None],
    ) -> None:
        self.pid = os.getpid()
        self._plan = plan
        self._store = store
        self._clock = clock
        self._files = files
        self._keep = keep
        self.journal: FileJournal | MemoryJournal = open_journal(
            plan.directory, limit=plan.journal_limit, fsync=plan.journal_fsync, files=files, clock=clock
        )
        self._reader = reader_of(self.journal, plan.directory, files=files, clock=clock)
        self._candidate = LeaseHolder(store.leases, self.journal, self._reader)
        self._time = StoreTime(store, clock)
        self.recorder = recorder(self._reader)
        self.dispatchers = [
            Dispatcher(
                backend,
                store.delivery,
                now=self._time.now,
                acquire=self._acquire,
                outbox_max=plan.outbox_max,
                hidden=plan.hidden_from_others if backend.third_party else frozenset(),
            )
            for backend in backends
        ]
        self._stop = StopFlag()
        self._keeping: list[Worker] = []
        self._recording: list[Worker] = []
        self._delivering: list[Worker] = []
        self._deadline = 0.0  # of the last pass, once `_stop` is set
        self._is_ready = False
        self.is_recorder = False
        self._elected_until = 0
        self._swept_at = self._expired_at = clock.monotonic()
        self._summed_at = float("-inf")
        self.faults = 0

    # --- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the threads; with a manual clock there are none."""
        if self._clock.is_manual or self._keeping:
            return
        self.journal.prepare()  # here, or the first request and the keeper would both make a first segment
        self._keeping.append(self._thread("keeper", self._keeper_step))
        if self._plan.records:
            self._recording.append(self._thread("recorder", self._recorder_step, at_end=self._end))
            self._delivering += [
                self._thread(f"dispatcher-{dispatcher.backend.name}", self._dispatcher_work(dispatcher))
                for dispatcher in self.dispatchers
            ]
        for thread in self._threads:
            thread.start()

    def close(self, timeout: float) -> None:
        """Stop, give the leases back, release every file. What is on disk stays for whoever comes next.

        Whatever may hang (the store is locked, a backend does not answer) is the threads' work. They are waited for until
        the time is over, and die with the process. None is started here: the interpreter may be at its end.
        """
        self._keep(self)
        self._deadline = time.monotonic() + timeout
        self._stop.set()
        if not self._recording:
            self._end()
        _join(self._threads, self._deadline)
        for dispatcher in self.dispatchers:
            dispatcher.backend.close()  # ends a call that still hangs
        _join(self._delivering, time.monotonic() + _LAST_S)
        self.journal.close()
        if isinstance(self._reader, JournalDirectory) and _join(self._threads, 0.0):
            self._reader.close()

    # --- on demand -----------------------------------------------------------------------------------------------

    def flush(self, timeout: float) -> FlushReport:
        """Apply this process's records, deliver what is due. Never sweeps, never waits for a retry time."""
        deadline = time.monotonic() + timeout
        self._keep(self)
        if self._clock.is_manual:
            report = self._flushed(deadline)
            self._give_back()
            return report
        # By a thread that may be left behind: a locked store, or a call to a backend, may take longer than was asked for.
        found = within(timeout + _LAST_S, partial(self._flushed, deadline))
        return FlushReport(recorded=0, delivered=0, waiting=0, done=False) if found is None else found

    def sweep(self) -> int:
        """Apply the journal, end what is over: how many sessions."""
        self._keep(self)
        self.open()
        self._apply_own(time.monotonic() + 60.0)
        self.recorder.forget()
        now = self._time.now()
        ended = self.recorder.sweep(now)
        self._expire(now)
        return ended

    # --- steps of the threads, each returns how long to rest ------------------------------------------------------

    @property
    def _threads(self) -> list[Worker]:
        return [*self._keeping, *self._recording, *self._delivering]

    def _thread(self, name: str, step: Callable[[], float], *, at_end: Callable[[], None] | None = None) -> Worker:
        def work() -> None:
            self._loop(step)
            if at_end is not None:
                at_end()

        return Worker(work, name=f"sojourn-{name}")

    def _loop(self, step: Callable[[], float]) -> None:
        while not self._stop.is_set():
            try:
                rest = step()
            except Exception as error:  # noqa: BLE001 - the worker's guard: the store may be away; it will be back
                self.faults += 1
                rest = _RETRY_S
                if self.faults in {1, 10, 100} or self.faults % 1000 == 0:
                    log.warning(
                        "Sojourn's %s failed and goes on trying (%d so far): %s",
                        getattr(step, "__name__", "worker"),
                        self.faults,
                        error,
                    )
            self._stop.wait(rest)

    def _keeper_step(self) -> float:
        self.journal.prepare()
        if isinstance(self.journal, FileJournal) and self.journal.is_wiped:
            self._begin_anew(self.journal)
        self._keep(self)
        return _KEEP_S

    def _begin_anew(self, wiped: FileJournal) -> None:
        """Somebody removed the journals under us. What was read is in the store; from here on there is another journal.

        Raises `OSError` while the directory cannot be made again: the next round tries once more.
        """
        plan = self._plan
        refused = wiped.stats().refused_by_kind
        directory = plan.directory or Path()
        journal = open_files(
            directory,
            limit=plan.journal_limit,
            fsync=plan.journal_fsync,
            refused=refused,
            files=self._files,
            clock=self._clock,
        )
        before, self._candidate = self._candidate, LeaseHolder(self._store.leases, journal, self._reader)
        self.journal, self.is_recorder = journal, False
        wiped.close()
        self._quietly(before.release)
        self._quietly(lambda: self._store.records.forget_journals([wiped.id]))  # it holds no sweeper back

    def _recorder_step(self) -> float:
        self.open()
        now = self._time.now()
        if not self._elected(now):
            return _ELECTION_S
        applied, _ = self.recorder.step(now)
        tick = self._clock.monotonic()
        if tick - self._swept_at >= self._plan.sweep_interval / 1000:
            self._swept_at = tick
            self._sweep(now, tick)
        return 0.0 if applied else _IDLE_S  # a long backlog keeps no session from being ended

    def _sweep(self, now: int, tick: float) -> None:
        """End what is over, if no other host is at it; tell the store in any case how far we are."""
        if self._acquire(_SWEEPER, now) is None:
            self.recorder.step(now, must_mark=True)
            return
        self.recorder.sweep(now)
        if tick - self._summed_at >= _SUMMARISE_EVERY_S:
            summed = self._store.maintenance.roll_up(finished_before=now - _UNSETTLED_MS, limit=_SUMMED_AT_ONCE)
            if summed < _SUMMED_AT_ONCE:  # else there is more, and the next sweep goes on with it
                self._summed_at = tick
        if tick - self._expired_at >= _EXPIRE_EVERY_S:
            self._expired_at = tick
            self._expire(now)

    def _dispatcher_work(self, dispatcher: Dispatcher) -> Callable[[], float]:
        def deliver() -> float:
            self.open()
            return _IDLE_S * 2 if dispatcher.step().is_idle else 0.0

        return deliver

    # --- inner ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the store and register the backends, once; raises `StoreError` while that cannot be."""
        if not self._is_ready:
            self._store.open()
            if self._store.time() is not None and not self._clock.is_manual:
                self.recorder.patience_ns = PATIENCE_NS
            self._store.outbox.register(
                [dispatcher.backend.name for dispatcher in self.dispatchers], now=self._time.now()
            )
            self._is_ready = True

    def _elected(self, now: int) -> bool:
        """Whether the lease is ours; renewed at half its time."""
        if self.is_recorder and self._elected_until - now > LEASE_MS // 2:
            return True
        has_lease = self._acquire(self._candidate.recorder_lease, now) is not None
        if has_lease and not self.is_recorder:
            self.recorder.forget()
        self.is_recorder = has_lease
        self._elected_until = now + LEASE_MS if has_lease else 0
        return has_lease

    def _acquire(self, lease_name: str, now: int) -> Lease | None:
        return self._candidate.acquire(lease_name, now)

    def _apply_own(self, deadline: float) -> tuple[int, bool]:
        """Bring all that this process appended so far into the store, ourselves or by whoever is elected."""
        wanted = self.journal.stats().accepted
        recorded = 0
        if wanted == 0 and not self._plan.records:
            return 0, True
        while True:
            now = self._time.now()
            if self._elected(now):
                applied, is_more = self.recorder.step(now)
                recorded += applied
                if not is_more:
                    return recorded, True
                if not applied:
                    sleep(_WAIT_S)
            elif self._is_passed(wanted):
                return recorded, True
            else:
                sleep(_WAIT_S)
            if time.monotonic() >= deadline:
                return recorded, False

    def _is_passed(self, accepted: int) -> bool:
        mark = self._store.records.marks().get(self.journal.id)
        return accepted == 0 or (mark is not None and mark.totals.get("records.accepted", 0) >= accepted)

    def _deliver_due(self, deadline: float) -> tuple[int, int, bool]:
        delivered, waiting, is_done = 0, 0, True
        head = self._store.log.head()
        for dispatcher in self.dispatchers:
            name = dispatcher.backend.name
            while True:
                step = dispatcher.step()
                delivered += step.delivered
                if not step.is_idle:
                    continue
                state = self._store.delivery.state(name)
                if step.retry_at is not None or state.cursor >= head or time.monotonic() >= deadline:
                    break
                if self._clock.is_manual:
                    break
                sleep(_WAIT_S)
            state = self._store.delivery.state(name)
            waiting += state.backlog
            is_done = is_done and (state.cursor >= head or step.retry_at is not None)
        return delivered, waiting, is_done

    def _flushed(self, deadline: float) -> FlushReport:
        self.open()
        recorded, is_recorded = self._apply_own(deadline)
        delivered, waiting, is_delivered = self._deliver_due(deadline)
        return FlushReport(recorded=recorded, delivered=delivered, waiting=waiting, done=is_recorded and is_delivered)

    def _end(self) -> None:
        """The last pass, then give the leases back.

        What is in memory is lost with the process; what is on disk is ours to finish if we are the recorder.
        """

        def finish() -> None:
            self.open()
            if isinstance(self.journal, MemoryJournal):
                self._flushed(self._deadline)
            else:
                self._apply_own(self._deadline)

        is_ours = isinstance(self.journal, MemoryJournal) or self.is_recorder
        if is_ours and (self.journal.stats().accepted or self._is_ready):
            self._quietly(finish)
        _join(self._delivering, self._deadline)
        if self._is_ready and time.monotonic() < self._deadline:  # else they pass on by themselves
            self._quietly(self._candidate.release)

    def _give_back(self) -> None:
        self._candidate.release()
        self.is_recorder, self._elected_until = False, 0
        for dispatcher in self.dispatchers:
            dispatcher.release()

    def _expire(self, now: int) -> None:
        expire, older_than = self._store.maintenance.expire, now - self._plan.retention
        while expire(older_than=older_than, limit=_EXPIRE_ROWS, now=now) >= _EXPIRE_ROWS:
            if self._stop.is_set():
                return
        self._store.maintenance.checkpoint()

    def _quietly(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - at the end there is nobody left to tell but the log
            log.warning("Sojourn could not finish its last work, and left it in the journal: %s", error)


def _join(threads: Sequence[Worker], deadline: float) -> bool:
    """Wait for threads until then; whether all have ended."""
    ends = [thread.join(deadline - time.monotonic()) for thread in threads]
    return all(ends)
