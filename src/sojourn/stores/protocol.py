"""What the rest of Sojourn asks of a store, by role. Every method may block, and none is called by a request.

`now`, `at` and `until` are milliseconds since the epoch by the clock that leases and retry times follow. Reads see one
moment each. Where a method takes a `limit`, it works on at most so many rows; call it again for more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Protocol

from sojourn.core.events import START, Event, Position
from sojourn.core.in_flight import InFlight

from .history import History
from .imports_protocol import Imports
from .inbox.target import InboxTarget
from .maintenance_protocol import Maintenance
from .model import (
    BackendState,
    Claim,
    DataSubject,
    DeadLetter,
    EventPlace,
    Lease,
    OutboxState,
    Place,
    Resettled,
    Settled,
    Slice,
    StoreStats,
)
from .recomputing_protocol import Recomputing
from .recording_protocol import RecordStore
from .reporting.agents_protocol import AgentReport
from .reporting.conversions_protocol import Alerts, Conversions, Definitions
from .reporting.model import (
    EVERYTHING,
    Breakdowns,
    Bucket,
    Changes,
    Cursor,
    Filter,
    HourFigures,
    LongVisits,
    Overview,
    PersonDetail,
    Release,
    SessionDetail,
    SessionLine,
    SessionPage,
    Sort,
    Span,
    Timeline,
)
from .reporting.property_counts import EventFigures
from .rows import SessionRow
from .upkeep_protocol import Upkeep


class Leases(Protocol):
    """Who may do what. A lease passes to another holder when it has expired, or when its holder is known to be dead."""

    def acquire(self, name: str, holder: str, *, now: int, until: int, dead: Collection[str] = ()) -> Lease | None:
        """Take or renew a lease; `None` if another holder has it. `dead` names holders whose leases pass at once."""
        ...

    def holder(self, name: str) -> Lease | None: ...

    def held(self) -> tuple[Lease, ...]:
        """Return all held leases by name, expired ones included."""
        ...

    def release(self, holder: str) -> None:
        """Give back all leases of this holder."""
        ...


class Revocations(Protocol):
    """Log-ins to the report that ended before their time, on whichever host."""

    def add(self, hashed: str, *, until: int, now: int) -> None:
        """Refuse this log-in from now on; it would have expired at `until`. Forgets those that have."""
        ...

    def has(self, hashed: str) -> bool: ...


class Salts(Protocol):
    """The salts by which visitors without a cookie are known for a day; shared by all hosts."""

    def of_day(self, starts_at: int, *, until: int, proposed: bytes) -> bytes:
        """Return the salt of the day that begins at this moment: the first that was proposed. It is kept until `until`."""
        ...

    def forget(self, *, now: int) -> None:
        """Delete the salts whose time is over."""
        ...


class EventLog(Protocol):
    """The log of events in the order in which they were committed."""

    def head(self) -> Position:
        """Return the position of the last recorded event; `Position()` if there is none. What was imported comes before."""
        ...

    def has_passed(self, position: Position, other: Position) -> bool:
        """Whether a position is at the other one, or after it. Reads nothing."""
        ...

    def after(self, position: Position, *, limit: int) -> list[Event]: ...

    def latest(self, *, before: Position | None = None, limit: int) -> list[Event]:
        """Return the last events before a position, or of all (`None`), in the order of the log."""
        ...

    def of_session(self, session_key: str, *, limit: int = ..., after: Position = ...) -> list[Event]:
        """Return a session's events after a position."""
        ...

    def timeline(self, session_key: str, *, after: Position = START, limit: int = 200) -> Timeline:
        """Return a page of a session's events after a position, with their total."""
        ...

    def place_of(self, event_id: str) -> EventPlace | None:
        """Return where an event is."""
        ...


class DeliveryQueue(Protocol):
    """A dispatcher's port: the next events of a backend, and what became of them. No transaction is open in between."""

    def state(self, name: str) -> BackendState: ...

    def claim(
        self,
        name: str,
        lease: Lease,
        *,
        until: int,
        limit: int,
        now: int,
        with_contexts: bool = False,
        with_batches: bool = False,
        with_previous: bool = False,
    ) -> Claim:
        """Return a backend's next events and renew its lease to `until`. Raises `LeaseLost`.

        `with_batches`: if batches were noted and not settled, return the events up to the last of them, whatever the limit.
        """
        ...

    def note_batches(self, name: str, lease: Lease, in_flight: InFlight, *, upto: Position) -> None:
        """Note the batches that are about to be sent, made of events up to this position. Raises `LeaseLost`."""
        ...

    def settle(self, name: str, lease: Lease, settled: Settled, *, now: int) -> None:
        """Move the cursor and count. Raises `LeaseLost`, and then writes nothing."""
        ...

    def has_requeued(self, name: str) -> bool:
        """Whether `claim_requeued` has anything to return; cheap."""
        ...

    def claim_requeued(
        self, name: str, lease: Lease, *, until: int, limit: int, now: int, with_contexts: bool = False
    ) -> Claim:
        """Return a backend's oldest requeued dead letters, and renew its lease to `until`. Raises `LeaseLost`.

        Of those that are `barred` only `opt_out` may be sent; `started` is empty.
        """
        ...

    def settle_requeued(self, name: str, lease: Lease, settled: Resettled, *, now: int) -> None:
        """Count, and delete the letters that are settled. Raises `LeaseLost`, and then writes nothing."""
        ...


class Outbox(Protocol):
    """An operator's port to delivery.

    A dead letter that is requeued stays counted as dead until it is delivered or skipped; rejected again, it is a dead
    letter as before, with the new reason. So at every moment recorded = delivered + dead + skipped + dropped + expired +
    backlog.
    """

    def register(
        self, backends: Collection[str], *, now: int, oldest_accepted: Mapping[str, int] | None = None
    ) -> None:
        """Start each new backend at the head of the log, and note that these backends are in use.

        `oldest_accepted`: by name, the greatest age (ms) of an event that its receiver accepts, if there is a limit.
        """
        ...

    def states(self) -> tuple[OutboxState, ...]: ...

    def letters(self, name: str | None, *, after: int, limit: int) -> list[DeadLetter]:
        """Return dead letters of a backend, or of all (`None`), with numbers above `after`, oldest first."""
        ...

    def requeue(self, name: str, *, event_ids: Collection[str] | None, limit: int, now: int) -> int:
        """Requeue dead letters, these or all (`None`), that were rejected until now; return how many.

        Clears the backend's retry time, failures and problem. So with no ids the backend is merely tried at once. Raises
        `StoreError` for an unknown backend.
        """
        ...

    def skip_waiting(self, name: str, *, upto: Position, limit: int) -> int:
        """Move the cursor past waiting events up to this position, counted as skipped; return how many.

        Revokes the dispatcher's lease: it can no longer settle what it has claimed.
        """
        ...

    def skip_letters(self, name: str, *, event_ids: Collection[str] | None, limit: int) -> int:
        """Delete dead letters, these or all (`None`), counted as skipped instead of dead. Revokes the lease likewise."""
        ...


class DataSubjects(Protocol):
    """Erasure and export of one person.

    `events_naming` and `letters_naming` scan everything, a part at a time; continue where they stopped, until that is `None`.
    """

    def add_tombstone(self, subject: DataSubject, *, at: int) -> Position:
        """Suppress a person's records from before `at`, and unsent events from now on; return the head of the log."""
        ...

    def add_session_tombstones(self, keys: Collection[str], *, at: int) -> None:
        """Suppress the records of sessions from before `at`: of sessions of an erased user that are not recorded yet."""
        ...

    def erase(self, subject: DataSubject, *, at: int, upto: Position, after: Place, limit: int) -> Slice:
        """Delete the next rows of this person, those of the log up to `upto`, and dead letters.

        Events that a backend has not read yet are counted as skipped for it. An erased session of a user gets a
        tombstone of its own, because not every record names the user.
        """
        ...

    def sessions_of(self, subject: DataSubject, *, after: str, limit: int) -> list[SessionRow]:
        """Return the sessions of a visitor or a user with keys above `after`, by key."""
        ...

    def events_naming(
        self, subject: DataSubject, *, after: Position, limit: int
    ) -> tuple[list[Event], Position | None]:
        """Return those of the next `limit` events that name the person, but belong to no session of theirs.

        Such events belong to a session that went to another user (`on_user_change="keep"`), or whose row is deleted.
        """
        ...

    def letters_naming(self, subject: DataSubject, *, after: int, limit: int) -> tuple[list[DeadLetter], int | None]:
        """Return those of the next `limit` dead letters that name the person."""
        ...


class SessionLists(Protocol):
    """Sessions, page by page."""

    def latest(self, *, limit: int, started_before: int | None = None) -> list[SessionRow]:
        """Return the latest sessions that started at or before this time, latest first."""
        ...

    def page(
        self,
        where: Filter,
        *,
        sort: Sort = Sort.STARTED,
        is_ascending: bool = False,
        cursor: Cursor | None = None,
        limit: int = 50,
    ) -> SessionPage:
        """Return the first sessions, or those after (or before) a cursor of the same filter and sort."""
        ...

    def changes(self, where: Filter, *, shown: Collection[str], started_after: int) -> Changes:
        """Return the current lines of these keys, in no order and without deleted ones.

        And how many sessions of the filter started after this time.
        """
        ...

    def export(self, where: Filter, *, limit: int | None = None) -> Iterator[Sequence[SessionLine]]:
        """Yield all sessions of a filter, latest first, a few hundred at a time, each in a short transaction.

        Sessions that start meanwhile are not included. A part may be empty where few sessions match.
        """
        ...

    def detail(self, name: str) -> SessionDetail | None:
        """Return a session by its key or its public id; the latest one if several share the id."""
        ...


class Report(Protocol):
    """Figures over many sessions."""

    def overview(
        self,
        span: Span,
        where: Filter = EVERYTHING,
        *,
        bucket: Bucket,
        zone: tzinfo = UTC,
        online_since: int,
    ) -> Overview:
        """Return the figures of the sessions of a filter in a span (not in the filter's), and in the equally long span before.

        `online_since`: a session is online if it is open and was seen at this time or later. `zone`: whose days
        and weeks the series has.
        """
        ...

    def breakdowns(self, span: Span, names: Sequence[str], where: Filter | None = None) -> Breakdowns:
        """Return what the sessions of a span (and a filter) are counted by: tables of `reporting.breakdowns.BREAKDOWNS`."""
        ...

    def event(self, name: str, span: Span, where: Filter = EVERYTHING) -> EventFigures:
        """Return what the events of this name carry, of the sessions of a span and a filter; bounded."""
        ...

    def releases(self, span: Span) -> tuple[Release, ...]:
        """Return the versions of the app that first appeared in a span, after others, in order of time."""
        ...

    def online(self, *, since: int) -> int:
        """Return how many sessions are open and were seen at this time or later; cheap."""
        ...

    def has_cookieless(self, span: Span) -> bool:
        """Whether sessions of a span are of visitors without a cookie, who are counted by day; cheap."""
        ...

    def long_visits(self) -> LongVisits:
        """Return which of the latest sessions lasted above an hour with one page view; bounded, for a health page."""
        ...

    def hour_until(self, until: int) -> HourFigures:
        """Return the figures of the hour before this time."""
        ...

    def last_activity(self) -> int | None:
        """Return when a session was last active; `None` without a session."""
        ...

    def person(self, subject: DataSubject) -> PersonDetail | None:
        """Return one user or visitor over all sessions; `None` if there are none."""
        ...


class Store(Protocol):
    """A store: its life, and a port for each role. Opens at its first use; serves several threads."""

    @property
    def name(self) -> str:
        """Its URL without credentials."""
        ...

    @property
    def records(self) -> RecordStore: ...

    @property
    def leases(self) -> Leases: ...

    @property
    def revocations(self) -> Revocations: ...

    @property
    def salts(self) -> Salts: ...

    @property
    def log(self) -> EventLog: ...

    @property
    def delivery(self) -> DeliveryQueue: ...

    @property
    def outbox(self) -> Outbox: ...

    @property
    def data_subjects(self) -> DataSubjects: ...

    @property
    def sessions(self) -> SessionLists: ...

    @property
    def report(self) -> Report: ...

    @property
    def alerts(self) -> Alerts: ...

    @property
    def definitions(self) -> Definitions: ...

    @property
    def conversions(self) -> Conversions: ...

    @property
    def agents(self) -> AgentReport: ...

    @property
    def imports(self) -> Imports: ...

    @property
    def recomputing(self) -> Recomputing: ...

    @property
    def history(self) -> History: ...

    @property
    def maintenance(self) -> Maintenance: ...

    @property
    def upkeep(self) -> Upkeep: ...

    def open(self) -> None:
        """Create the database if needed; idempotent. Raises `StoreError` with the fix."""
        ...

    def exists(self) -> bool:
        """Whether the database is there; creates nothing."""
        ...

    def recreate(self) -> Store:
        """Return another store object for the same database. Raises `StoreError` for a database in memory."""
        ...

    def time(self) -> int | None:
        """Return the database's own clock; `None` if this machine's clock is meant: a database of one host."""
        ...

    def inbox_target(self) -> InboxTarget:
        """Return where an application's connection finds the inbox. May connect."""
        ...

    def stats(self) -> StoreStats: ...

    def close(self) -> None:
        """Close every connection of this process; idempotent."""
        ...
