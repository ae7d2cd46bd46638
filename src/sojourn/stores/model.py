"""The values of the store's ports, except sessions, events and the report's figures.

Times are milliseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import msgspec

from sojourn.core.events import Event, Position, Scalar
from sojourn.core.in_flight import InFlight
from sojourn.core.records import LAST
from sojourn.core.session import EndReason

from .rows import SessionRow

VISITOR: Final = "visitor"
USER: Final = "user"
SESSION: Final = "session"


# --- errors


class PositionMoved(Exception):
    """Another recorder applied these records first; the transaction is rolled back."""


class TryAgain(Exception):
    """The database rolled this transaction back for the sake of another (a deadlock, say). Repeat it at once."""


class LeaseLost(Exception):
    """Another process holds the lease now; the transaction is rolled back."""


# --- data subjects


class DataSubject(NamedTuple):
    """A visitor, or a user in all sessions tagged with it; or a session, which gets a tombstone when its user is erased."""

    kind: Literal["visitor", "user", "session"]
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """Records made at or before `at` (ms) are dropped; with `is_for_good` (an opt-out) all records are."""

    at: int
    is_for_good: bool = False


class Place(NamedTuple):
    """How far an erasure has come: its part, and the last number in that part."""

    part: int
    after: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What one slice of an erasure deleted. `after`: where the next slice begins; `None` at the end."""

    sessions: int = 0
    events: int = 0
    dead_letters: int = 0
    forwarded: Mapping[str, int] = field(default_factory=dict)
    """By backend, how many of the events it was offered, at most: its filters may have left some out."""
    after: Place | None = None


# --- recording


class AgentCount(msgspec.Struct, array_like=True):
    """By how much the row of an agent, a path and a class of status grows in an hour (`at`, ms)."""

    at: int
    agent: str
    path: str
    status: int
    kind: str
    hits: int = 0
    verified: int = 0
    refuted: int = 0
    last_at: int = 0


IGNORED: Final = "ignored."
"""Before a reason of the request path: the name of its counter."""
LAST_IGNORED: Final = IGNORED + LAST
"""Among a mark's totals: when (ms) this process counted the reason last. It is not added up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a journal has been applied.

    `recorded_until` (ms): when its oldest unapplied record was made, or when it was last seen empty. `totals`: the process's
    running counters as last seen; the recorder adds their growth to the counts of the same batch. `heard_at` (ms): when the
    recorder last read it; `None` means `recorded_until`. A journal with a backlog is old in the first and recent in the
    second, and must keep holding the sweeper back.
    """

    journal: str
    position: int
    recorded_until: int
    totals: Mapping[str, int] = field(default_factory=dict)
    heard_at: int | None = None

    @property
    def last_ignored(self) -> dict[str, int]:
        """When (ms) this process counted each reason last."""
        return {
            name.removeprefix(LAST_IGNORED): at for name, at in self.totals.items() if name.startswith(LAST_IGNORED)
        }


HEARD_OF_MS: Final = 120_000
"""A journal that no recorder has read for this long belongs to a host that is gone."""


class SessionNote(msgspec.Struct, frozen=True, array_like=True):
    """What a row says of its session to the workers of another host. Times in ms; the order of the query's columns."""

    key: str
    last_seen_at: int
    revision: int
    logouts: int
    sealed_at: int | None
    sealed_reason: EndReason | None
    started_at: int
    previous_key: str | None
    previous_reason: EndReason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Session rows by key, the ids of those `session.end` events that no backend has begun to read, and tombstones."""

    rows: dict[str, SessionRow]
    unread: frozenset[str]
    tombstones: Mapping[DataSubject, Tombstone] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Which of the keys stand for another session, and for which; if they were asked for."""


class InboxRow(NamedTuple):
    """What an application wrote in a transaction of its own: its id, and a record as in a journal."""

    id: str
    data: bytes


class WaitingRow(NamedTuple):
    """A record that came before the start of its session, as it waits in the inbox."""

    id: str
    visitor_id: str
    session_key: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one transaction writes, all or nothing. `marks` go with the position from which each journal was read.

    `opted_out`: visitors, and when they opted out (ms). Each gets a tombstone for good, and the events of its sessions, present
    and future, are barred (see `Claim`).
    """

    rows: Sequence[SessionRow] = ()
    events: Sequence[Event] = ()
    withdrawn: Sequence[str] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    opted_out: Mapping[str, int] = field(default_factory=dict)
    aliases: Sequence[tuple[str, str, int]] = ()
    """Keys that stand for another session from now on, that session, and when (ms)."""
    marks: Sequence[tuple[Mark, int]] = ()
    agents: Sequence[AgentCount] = ()
    """No two of the same row."""
    taken: Sequence[str] = ()
    """Ids of the rows of the inbox that this batch is made of."""
    waiting: Sequence[WaitingRow] = ()
    """What goes into the inbox."""
    is_local: bool = False
    """The events come before all that was recorded: no backend is ever sent them, and none counts them (P42)."""
    removed: Sequence[str] = ()
    """Keys of sessions that are no more: their events are withdrawn, and are inserted as those of others."""
    imported: Sequence[tuple[int, str, str]] = ()
    """Imported lines: the hour (ms), a random name, and their hashes as base64."""


# --- leases


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Which holder may do something, and until when (ms). `token` grows with every change of holder: an older one is void."""

    name: str
    holder: str
    token: int
    until: int


def dispatcher_lease(backend: str) -> str:
    """Return the name of the lease for delivery to a backend."""
    return f"dispatcher:{backend}"


# --- delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Events that a dispatcher is about to send. The store marks them as read, so they cannot be withdrawn any more."""

    events: tuple[Event, ...]
    no_forward: frozenset[str]
    """Ids of events for the own store only."""
    barred: frozenset[str] = frozenset()
    """Ids of events of suppressed people. Of these only `opt_out` may be sent, and the end of a session whose start was."""
    started: Mapping[str, Event] = field(default_factory=dict)
    """For barred ends: the starts that this backend was sent, by session key. Withheld ones are left out."""
    withheld: frozenset[str] = frozenset()
    """Keys of the sessions that end here and whose start this backend was not sent."""
    in_flight: InFlight = field(default_factory=InFlight)
    """Batches of these events that were sent before and not confirmed, if the claim asked for them."""
    upto: Position | None = None
    """With them: the last event of the claim that they were made of. No later event is in this one."""
    contexts: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    """By session key, what `session.start` says of the client (see `CONTEXT`), if the claim asked for it.

    Read from the log, so what `scrub` took out is not in it. Suppressed people have none.
    """
    previous: Mapping[str, int] = field(default_factory=dict)
    """By session key, the time of the latest activity in the log before these events, if the claim asked for it."""


class EventPlace(NamedTuple):
    """Where an event is: its session, its position, and a position right before it."""

    session_key: str
    position: Position
    before: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of claimed events. The cursor moves to `upto` (`None`: stays); each event up to it is in one of the counts.

    What was erased since it was claimed has been counted as skipped; the store sees to it that it counts once.
    """

    upto: Position | None
    delivered: int = 0
    skipped: int = 0
    dropped: int = 0
    expired: int = 0
    dead: Sequence[tuple[Event, str, int | None]] = ()
    """Events that the backend rejected for good, the reason, and its HTTP status."""
    withheld: Sequence[str] = ()
    """Keys of sessions whose start was barred or expired, and so never sent to this backend."""
    in_flight: InFlight = field(default_factory=InFlight)
    """The batches to repeat; those noted before are forgotten."""
    retried: int = 0
    retry_at: int | None = None
    failures: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resettled:
    """What became of claimed, requeued letters, by event id. Letters not named stay in the queue."""

    delivered: Collection[str] = ()
    skipped: Collection[str] = ()
    """Not to be sent any more (the visitor opted out, say). The letter is deleted."""
    expired: Collection[str] = ()
    """Too old for the receiver by now. The letter is deleted."""
    dead: Sequence[tuple[Event, str, int | None]] = ()
    """Rejected again: the event, the reason, and the HTTP status."""
    retried: int = 0
    retry_at: int | None = None
    failures: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendState:
    """The state of delivery to a backend. recorded = delivered + dead + skipped + dropped + expired + backlog, always."""

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
    expired: int = 0
    oldest_accepted: int | None = None
    """The greatest age (ms) of an event that its receiver accepts; `None`: any."""

    @property
    def settled(self) -> int:
        """How many events are done, whatever became of them."""
        return self.delivered + self.dead + self.skipped + self.dropped + self.expired


class OutboxState(msgspec.Struct, frozen=True, array_like=True):
    """The queue of a backend, beside its `BackendState`. `letters`: how many dead letters are stored.

    `oldest_at` (ms): when the oldest waiting event was made; `None` if none waits, or only ends of sessions, which are dated
    back to the last activity.
    """

    name: str
    oldest_at: int | None
    letters: int
    requeued: int
    in_use_at: int


class DeadLetter(msgspec.Struct, frozen=True, array_like=True):
    """An event that a backend rejected for good, and why. `requeued_at` (ms): when it was requeued; `None` if it was not."""

    number: int
    backend: str
    reason: str
    status: int | None
    at: int
    requeued_at: int | None
    event: Event


# --- the whole store


class AlertState(msgspec.Struct, frozen=True, array_like=True):
    """An alert that is on, or was: since when, and the figures of that moment."""

    name: str
    is_on: bool
    since: int
    text: str


class Notice(msgspec.Struct, frozen=True, array_like=True):
    """What is to be said to one target: that an alert is on, or over."""

    number: int
    alert: str
    is_on: bool
    at: int
    target: str
    text: str
    attempts: int
    retry_at: int
    problem: str | None
    """Why the last attempt failed."""


class Definition(msgspec.Struct, frozen=True, array_like=True):
    """What was defined on a page of the report: its name, and what it is, as people write it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStats:
    """Counters, and how many sessions and events the store holds now."""

    counters: Mapping[str, int]
    sessions: int
    open_sessions: int
    events: int
    backends: tuple[BackendState, ...]
    size: int | None = None
    """Bytes: of the database file in SQLite, of our tables with their indexes in PostgreSQL; `None`: not known."""
