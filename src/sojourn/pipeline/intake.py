"""From the request path into this process's journal: encodes records, splits long ones, adds counters, notices forks.

Never waits and never raises for a journal that is full: that is counted there. It holds the runtime of this process,
which is made on first use; a forked child gets one of its own, and never touches what it inherited.

See P1 and P7 in docs/internals.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

import msgspec

from sojourn.core.agent_hits import AgentHit
from sojourn.core.records import Record
from sojourn.core.threads import AnyLock, Lock

from . import payloads
from .journal import MAX_PAYLOAD
from .runtime import Runtime


class Counters(Protocol):
    """Running totals of this process that travel with its records."""

    is_changed: bool

    def take_changed(self) -> dict[str, int] | None:
        """The totals, if they changed since they were last taken."""
        ...


class Intake:
    """Where a tracker's records go. Every method may be called by any thread."""

    def __init__(self, make: Callable[[], Runtime], counters: Counters, *, after_fork: Callable[[], None]) -> None:
        self._make = make
        self._counters = counters
        self._after_fork = after_fork
        self._pid = os.getpid()
        self._runtime: Runtime | None = None
        self._inherited: list[object] = []
        self._locks: dict[int, AnyLock] = {}  # by process: a child may be forked while its parent's is held

    def append(self, record: Record, *, kind: str, is_essential: bool) -> bool:
        """Append a record; False if the journal refused it. The first one starts the runtime."""
        runtime = self._runtime
        if runtime is None or (self._counters.is_changed and runtime.pid != os.getpid()):
            runtime = self.running()
        counted = record
        if self._counters.is_changed and (totals := self._counters.take_changed()) is not None:
            counted = msgspec.structs.replace(record, counters=totals)
        payload = payloads.encode(counted)
        if len(payload) > MAX_PAYLOAD and len(record.entries) > 1:
            return self._append_halves(counted, kind=kind, is_essential=is_essential)
        if runtime.journal.append(payload, kind=kind, essential=is_essential, wall=record.at):
            return True
        # The journal compares the pid, a system call: a forked child notices here that it needs one of its own.
        if runtime.pid == os.getpid():
            return False
        self.running()
        return self.append(record, kind=kind, is_essential=is_essential)

    def append_hit(self, hit: AgentHit) -> None:
        """Append an agent's hit. A full journal refuses it, which is counted there."""
        runtime = self._runtime or self.running()
        if not append_hit_to(runtime, hit) and runtime.pid != os.getpid():
            append_hit_to(self.running(), hit)

    def wake(self) -> None:
        """Start the runtime, if there is none: what was counted reaches the store, though nothing was recorded."""
        if self._runtime is None or self.is_inherited:
            self.running()

    def append_counters(self, runtime: Runtime, now: int) -> None:
        """Append the counters that no record has carried."""
        totals = self._counters.take_changed()
        if totals is not None:
            payload = payloads.encode(Record(now, "", "", now, 0, counters=totals))
            runtime.journal.append(payload, kind="counters", essential=True, wall=now)

    @property
    def runtime(self) -> Runtime | None:
        """The runtime as it is: `None` before first use, and the parent's in a child that has not used it."""
        return self._runtime

    def running(self) -> Runtime:
        """The runtime of this process, started if it was not."""
        with self.lock():
            if self.is_inherited:
                self._inherited.append(self._runtime)  # kept: a destructor must not run on what the parent still uses
                self._runtime, self._pid = None, os.getpid()
                self._after_fork()
            if self._runtime is None:
                self._runtime = self._make()
                self._runtime.start()
            return self._runtime

    @property
    def is_inherited(self) -> bool:
        """Whether all that is here belongs to the parent of this process."""
        return self._pid != os.getpid()

    def lock(self) -> AnyLock:
        """Held while a runtime is made or taken away."""
        return self._locks.setdefault(os.getpid(), Lock())

    def detach(self) -> Runtime | None:
        """Take the runtime away, to close it; a later record makes another. Call it with the lock held."""
        runtime, self._runtime = self._runtime, None
        return runtime

    def _append_halves(self, record: Record, *, kind: str, is_essential: bool) -> bool:
        middle = len(record.entries) // 2
        first = msgspec.structs.replace(record, entries=record.entries[:middle])
        rest = msgspec.structs.replace(record, entries=record.entries[middle:], flags=0, counters=None)
        is_first = self.append(first, kind=kind, is_essential=is_essential)
        return self.append(rest, kind=kind, is_essential=is_essential) and is_first


def append_hit_to(runtime: Runtime, hit: AgentHit) -> bool:
    """Append an agent's hit to the journal of this runtime; False if the journal refused it."""
    return runtime.journal.append(payloads.encode_hit(hit), kind="agent", essential=False, wall=hit.at)
