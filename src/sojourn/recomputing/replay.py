"""Which sessions there would be by other rules, from the log of one visitor. Pure.

The core judges the same moments again: each session's activity, as far as its events show it, and the start of the session
after it, as far as its cookie knew. A fetch leaves no event, but the first activity in a slot of `heartbeat_interval` makes a
heartbeat. So what the log does not show lies in the rest of the slot of what it shows. Where it matters whether there was
something, the sessions stay as they are.

See P43 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby

from sojourn.core import events
from sojourn.core.events import Event
from sojourn.core.session import EndReason, Rules, over
from sojourn.stores.rows import SessionRow

_BY_TIME = frozenset({EndReason.IDLE_TIMEOUT, EndReason.MAX_DURATION})
_UNSURE = frozenset(
    {
        events.SESSION_PROPERTIES,
        events.EXCEPTION,
        events.LOG,
        events.CONNECTION_END,
        events.USER_IDENTIFY,
        events.OPT_OUT,
    }
)
"""Events that a passive request may bring, too."""
_BORDERS = frozenset({events.SESSION_START, events.SESSION_END})


class Kept(StrEnum):
    """Why sessions stay as they are."""

    FINER = "finer"
    """What decides is finer than the log shows."""
    MANUAL = "manual"
    OPEN = "open"
    LATE_EVENTS = "late_events"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    """Its first events are older than `retention`."""
    TOO_LONG = "too_long"
    """It has more events than are read at once."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A session as it is, and its events in order; `None`: they are not needed, because it cannot fall apart."""

    row: SessionRow
    events: Sequence[Event] | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a recorded session, from an event's time on. `since` is its start for the first piece."""

    of: Recorded
    since: int
    last_seen_at: int
    is_first: bool
    is_last: bool


@dataclass(slots=True)
class Planned:
    """A session by the new rules: pieces in the order of time. `reason`: why it ends, where that is not as recorded."""

    pieces: list[Piece] = field(default_factory=list)
    reason: EndReason | None = None

    @property
    def is_unchanged(self) -> bool:
        """Whether it is as it was recorded."""
        return len(self.pieces) == 1 and self.pieces[0].is_first and self.pieces[0].is_last

    @property
    def started_at(self) -> int:
        return self.pieces[0].since

    @property
    def last_seen_at(self) -> int:
        return self.pieces[-1].last_seen_at


@dataclass(frozen=True, slots=True)
class Running:
    """What `over` reads of a session that is followed."""

    started_at: int
    last_seen_at: int
    is_manual: bool = False


@dataclass(frozen=True, slots=True)
class _Moment:
    """Activity, and the activity before it as far as it is shown. `may_start`: it could begin a session."""

    at: int
    seen_at: int
    may_start: bool
    is_unsure: bool
    """Something happened in between that may or may not have been activity."""


class _Finer(Exception):
    """It cannot be told from the log."""


def why_kept(recorded: Recorded) -> Kept | None:
    """Whether a session stays as it is whatever the rules say, and why."""
    row = recorded.row
    if row.is_manual:
        return Kept.MANUAL
    if row.is_open:
        return Kept.OPEN
    if row.is_suppressed:
        return Kept.SUPPRESSED
    return Kept.LATE_EVENTS if row.has_late_events else None


def may_split(row: SessionRow, rules: Rules) -> bool:
    """Whether the session is long enough to fall apart by these rules."""
    length = row.last_seen_at - row.started_at
    return length >= rules.idle_timeout or (rules.max_duration is not None and length >= rules.max_duration)


def follows(row: SessionRow, before: SessionRow) -> bool:
    """Whether a session began because the one before it was over by time, so that other rules may join them."""
    return row.previous_key == before.key and row.previous_reason in _BY_TIME and before.end_reason in _BY_TIME


def segments(sessions: Sequence[Recorded], rules: Rules) -> list[list[Recorded]]:
    """Cut a visitor's sessions, in the order of time, where the rules leave a border whatever was before it."""
    cut: list[list[Recorded]] = []
    before: Recorded | None = None
    for session in sessions:
        is_cut = before is None or not follows(session.row, before.row)
        if before is not None and not is_cut:
            known = max(before.row.last_seen_at, session.row.previous_seen_at)
            is_cut = session.row.started_at - known >= rules.idle_timeout
        if is_cut or why_kept(session) is not None or (before is not None and why_kept(before) is not None):
            cut.append([])
        cut[-1].append(session)
        before = session
    return cut


def replayed(segment: Sequence[Recorded], rules: Rules) -> list[Planned] | Kept:
    """Replay a segment; return what its sessions would be, or why they stay."""
    for session in segment:
        if (kept := why_kept(session)) is not None:
            return kept
    try:
        return _Replay(rules).of(segment)
    except _Finer:
        return Kept.FINER


class _Replay:
    """One segment."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._planned: list[Planned] = []
        self._started_at = 0

    def of(self, segment: Sequence[Recorded]) -> list[Planned]:
        for session in segment:
            if not self._planned or self._is_border(session.row):
                self._begin(session.row.started_at)
            self._add(session)
        return self._planned

    def _begin(self, at: int) -> None:
        self._planned.append(Planned())
        self._started_at = at

    def _over(self, seen_at: int, at: int) -> EndReason | None:
        return over(Running(self._started_at, seen_at), self._rules, at)

    def _is_border(self, row: SessionRow) -> bool:
        """Whether a session begins at its start by the new rules, too: as far as its cookie knew of the one before."""
        known = self._over(row.previous_seen_at, row.started_at)
        actual = self._over(self._planned[-1].last_seen_at, row.started_at)
        if (known is None) is not (actual is None):
            raise _Finer
        return known is not None

    def _add(self, session: Recorded) -> None:
        """Add the pieces of a session."""
        row = session.row
        since, is_first = row.started_at, True
        for moment in self._moments(session):
            reason = self._judged(moment, row)
            if reason is None:
                continue
            if not moment.may_start or moment.is_unsure:
                raise _Finer
            self._planned[-1].pieces.append(Piece(session, since, moment.seen_at, is_first, is_last=False))
            self._planned[-1].reason = reason
            self._begin(moment.at)
            since, is_first = moment.at, False
        self._planned[-1].pieces.append(Piece(session, since, row.last_seen_at, is_first, is_last=True))

    def _moments(self, session: Recorded) -> Iterator[_Moment]:
        """Yield the moments of activity after the first."""
        row = session.row
        if session.events is None:  # too short to fall apart, unless it is now a part of a longer one
            if self._rules.max_duration is not None and row.last_seen_at - self._started_at >= self._rules.max_duration:
                raise _Finer
            return
        seen_at, is_unsure = row.started_at, False
        for at, same in groupby(sorted(session.events, key=_time), key=_time):
            if at <= row.started_at or at > row.last_seen_at:
                continue
            names = {event.name for event in same if events.PREFETCHED not in event.attributes} - _UNSURE - _BORDERS
            if names:
                yield _Moment(at, seen_at, names != {events.SESSION_HEARTBEAT}, is_unsure)
                seen_at, is_unsure = at, False
            elif at < row.last_seen_at:
                is_unsure = True
        if row.last_seen_at > seen_at:  # the latest activity made no event of its own
            yield _Moment(row.last_seen_at, seen_at, may_start=False, is_unsure=is_unsure)

    def _judged(self, moment: _Moment, row: SessionRow) -> EndReason | None:
        """Why the session is over at a moment. There may have been activity in the rest of the slot of the one before."""
        reason = self._over(moment.seen_at, moment.at)
        interval = self._rules.heartbeat_interval
        if reason is None or interval is None:
            return reason
        slot = (moment.seen_at - row.anchor) // interval
        hidden = min(row.anchor + (slot + 1) * interval - 1, moment.at - 1)
        if self._over(moment.seen_at, hidden) is not None or self._over(hidden, moment.at) is not reason:
            raise _Finer
        return reason


def _time(event: Event) -> int:
    return event.time
