"""What goes into a store and comes out of it, beside sessions, events and the report's figures.

Times are milliseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import msgspec

from sojourn.core.events import Event, Position

from .rows import SessionRow

VISITOR: Final = "visitor"
USER: Final = "user"
SESSION: Final = "session"


# --- errors


class PositionMoved(Exception):
    """Another recorder applied these records first: nothing of this transaction may stay."""


class TryAgain(Exception):
    """The database took this transaction back for another's sake (a deadlock, say): all of it may be repeated at once."""


class LeaseLost(Exception):
    """Another process holds the lease now: what this one was about to do is no longer its to do."""


# --- data subjects


class DataSubject(NamedTuple):
    """A visitor, or a user in all sessions tagged with it. A session has a tombstone where it was erased with its user."""

    kind: Literal["visitor", "user", "session"]
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """Records made at `at` or before count no more; for good (opt-out): none ever does."""

    at: int
    is_for_good: bool = False


class Place(NamedTuple):
    """How far an erasure has come: which part of it, and behind which number."""

    part: int
    after: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What one slice of an erasure deleted. `after` is where the next begins; `None`: nothing is left."""

    sessions: int = 0
    events: int = 0
    dead_letters: int = 0
    forwarded: Mapping[str, int] = field(default_factory=dict)
    """By backend, how many of the events it had been given: at most, for some it may not have wanted."""
    after: Place | None = None


# --- recording


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


# --- leases


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who may do a thing now. `token` grows with every change of holder: it fences off a holder that overslept."""

    name: str
    holder: str
    token: int
    until: int


def dispatcher_lease(backend: str) -> str:
    """The name of the lease under which a backend is delivered to."""
    return f"dispatcher:{backend}"


# --- delivery


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


class EventPlace(NamedTuple):
    """Where an event is: its session, its position, and a position right before it."""

    session_key: str
    position: Position
    before: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of claimed events: the cursor moves to `upto` (`None`: stays); each event before it was counted once.

    What was erased since it was claimed has been counted as skipped; the store sees to it that it counts once.
    """

    upto: Position | None
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
class Resettled:
    """What became of requeued letters that were claimed, by event id. Those not named stay in the queue."""

    delivered: Collection[str] = ()
    skipped: Collection[str] = ()
    """Not to be sent any more: of somebody who left meanwhile, say. The letter goes."""
    dead: Sequence[tuple[Event, str, int | None]] = ()
    """Refused once more: why, and the status."""
    retried: int = 0
    retry_at: int | None = None
    failures: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendState:
    """How a backend stands. recorded = delivered + dead + skipped + dropped + backlog, always."""

    name: str
    cursor: Position
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


class OutboxState(msgspec.Struct, frozen=True, array_like=True):
    """How the queue of a backend stands, beside its `BackendState`. `letters` are those that are kept still.

    `oldest_at` (ms): when the oldest event that waits was made; `None`: none waits, or only ends of sessions, which are
    dated back to the last activity and tell nothing.
    """

    name: str
    oldest_at: int | None
    letters: int
    requeued: int
    in_use_at: int


class DeadLetter(msgspec.Struct, frozen=True, array_like=True):
    """A dead letter in its place. `requeued_at` (ms): when it was put back in the queue; `None`: it was not."""

    number: int
    backend: str
    reason: str
    status: int | None
    at: int
    requeued_at: int | None
    event: Event


# --- the whole store


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStats:
    """Counters, and how many sessions and events the store holds now."""

    counters: Mapping[str, int]
    sessions: int
    open_sessions: int
    events: int
    backends: tuple[BackendState, ...]
