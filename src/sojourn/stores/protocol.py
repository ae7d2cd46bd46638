"""The port to the store, in a few small parts. Knows no SQL; every method may block and none is called by a request.

`now` is always an argument: milliseconds since the epoch by the clock that leases and retries follow.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from sojourn.core.events import Event

from .operating import Operating, OperatorQueries, Requeues
from .reporting.model import Summaries
from .rows import SessionRow
from .tombstones import DataSubject, SuppressionList, Tombstone


class PositionMoved(Exception):
    """Another recorder applied these records first: nothing of this transaction may stay."""


class TryAgain(Exception):
    """The database took this transaction back for another's sake (a deadlock, say): all of it may be repeated at once."""


class LeaseLost(Exception):
    """Another process holds the lease now: what this one was about to do is no longer its to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a journal has been applied.

    `recorded_until` (ms): when its oldest unapplied record was made, or when it was last seen empty. `totals` are the
    process's running counters as last seen; the recorder puts what they grew by among the counts of the same batch.
    `heard_at` (ms): when the recorder looked; `None`: at `recorded_until`. A journal with a backlog is old in the one
    and new in the other, and must go on holding the sweeper back.
    """

    journal: str
    position: int
    recorded_until: int
    totals: Mapping[str, int] = field(default_factory=dict)
    heard_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Session rows by key, and the ids of those `session.end` events that no backend has begun to read.

    `tombstones` are those of the people that were asked for.
    """

    rows: dict[str, SessionRow]
    unread: frozenset[str]
    tombstones: Mapping[DataSubject, Tombstone] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one transaction writes: all of it, or nothing. `marks` go with the position each journal was read from.

    `opted_out` are visitors, and when: each gets a tombstone for good, and what the sessions of this visitor have in
    the log, now or later, is barred (see `Claim`).
    """

    rows: Sequence[SessionRow] = ()
    events: Sequence[Event] = ()
    withdrawn: Sequence[str] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    opted_out: Mapping[str, int] = field(default_factory=dict)
    marks: Sequence[tuple[Mark, int]] = ()


class Recording(Protocol):
    """One writing transaction of the recorder or the sweeper. Each method is a constant number of statements."""

    def load(
        self, keys: Collection[str], *, successors_of: Collection[str] = (), people: Collection[DataSubject] = ()
    ) -> Loaded:
        """Rows with these keys, and all rows that come after `successors_of`, however many sessions later.

        With them, the tombstones of those of the `people` that left.
        """
        ...

    def silent(
        self, *, seen_before: int, started_before: int | None, limit: int, manual_seen_before: int | None = None
    ) -> Loaded:
        """Open sessions last seen at or before the one time, or started at or before the other; longest silent first.

        With `manual_seen_before` a manual session is among them only when last seen at or before that: so that many
        which may be silent for longer do not fill the limit again and again.
        """
        ...

    def save(self, batch: Batch) -> None:
        """Write it; raises `PositionMoved` where a mark's old position is not the store's."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who may do a thing now. `token` grows with every change of holder: it fences off a holder that overslept."""

    name: str
    holder: str
    token: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Events a dispatcher is about to send: it has said so in the store, so they can no longer be withdrawn."""

    events: tuple[Event, ...]
    no_forward: frozenset[str]
    """Ids of those that are for the own store only."""
    barred: frozenset[str] = frozenset()
    """Ids of those of people who left. Of these only `opt_out` may go, and the end of a session whose start went."""
    started: Mapping[str, Event] = field(default_factory=dict)
    """For barred ends: the starts that this backend was given, by session key. A withheld one is not among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of claimed events: the cursor moves to `upto` (a `seq`); each event before it was counted once.

    What was erased since it was claimed has been counted as skipped; the store sees to it that it counts once.
    """

    upto: int
    delivered: int = 0
    skipped: int = 0
    dropped: int = 0
    dead: Sequence[tuple[Event, str, int | None]] = ()
    """Events the backend will never take, why, and its status."""
    withheld: Sequence[str] = ()
    """Keys of sessions whose start was barred and so never went to this backend."""
    retried: int = 0
    retry_at: int | None = None
    failures: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendState:
    """How a backend stands. recorded = delivered + dead + skipped + dropped + backlog, always."""

    name: str
    cursor: int
    recorded: int
    delivered: int
    dead: int
    skipped: int
    dropped: int
    retried: int
    backlog: int
    retry_at: int | None
    failures: int
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStats:
    """Counters, and how many sessions and events the store holds now."""

    counters: Mapping[str, int]
    sessions: int
    open_sessions: int
    events: int
    backends: tuple[BackendState, ...]


class RecordStore(Protocol):
    """What the recorder needs."""

    def recording(self) -> AbstractContextManager[Recording]:
        """A writing transaction: committed when the block ends well, else rolled back."""
        ...

    def marks(self) -> dict[str, Mark]: ...

    def forget_journals(self, journals: Collection[str]) -> None:
        """Their files are gone and all of them is applied."""
        ...

    def recorded_until(self, *, now: int, silent_after: int) -> int | None:
        """The least `recorded_until` of journals heard of within `silent_after` ms; `None` when there is none."""
        ...


class EventLog(Protocol):
    """What dispatchers need. A backend's cursor is by its name."""

    def register(self, backends: Collection[str], *, now: int) -> None:
        """Give each new backend a cursor at the head (it gets what comes from now on) and note that it is in use."""
        ...

    def backend(self, name: str) -> BackendState: ...

    def head(self) -> int:
        """The greatest `seq` of the log; 0 when it is empty."""
        ...

    def claim(self, name: str, lease: Lease, *, until: int, limit: int, now: int) -> Claim:
        """The next events of a backend; renews the lease to `until` in the same transaction. Raises `LeaseLost`."""
        ...

    def settle(self, name: str, lease: Lease, settled: Settled, *, now: int) -> None:
        """Move the cursor and count; raises `LeaseLost`, and then nothing is written."""
        ...


class Leases(Protocol):
    """Who may do what. A lease that is over, or whose holder is known dead, passes to whoever asks."""

    def acquire(self, name: str, holder: str, *, now: int, until: int, dead: Collection[str] = ()) -> Lease | None: ...

    def holder(self, name: str) -> Lease | None: ...

    def release(self, holder: str) -> None:
        """Give back all leases of this holder."""
        ...


class Store(RecordStore, EventLog, Leases, Requeues, Operating, OperatorQueries, SuppressionList, Summaries, Protocol):
    """All of it, and its life. Opened by whoever uses it first; one object serves several threads."""

    def open(self) -> None:
        """Make or migrate the database; idempotent. Raises `StoreError` with the fix."""
        ...

    def time(self) -> int | None:
        """The database's own clock (ms since the epoch); `None` where that is this machine's: a store of one host."""
        ...

    def stats(self) -> StoreStats: ...

    def expire(self, *, older_than: int, limit: int, now: int) -> int:
        """Delete closed sessions last seen, and events made, before this time; returns how many rows.

        Never an open session, and no event that a backend in use has still to read. At most `limit` rows a call.
        """
        ...

    def checkpoint(self) -> bool:
        """Put the database's own log in order after much was deleted; False where somebody else is at it."""
        ...

    def close(self) -> None:
        """Close every connection of this process; idempotent."""
        ...
