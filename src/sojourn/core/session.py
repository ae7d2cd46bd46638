"""The state of one session and the rules that move it. Pure: time, ids and hashes are arguments; the result is a state.

The request path, the recorder and the sweeper decide by one predicate, `over`, when a session is over. It ends at its last
activity, not when that was noticed. Its successor's id is derived from the old one, so that requests which race with the same
stale cookie agree. All times are integer milliseconds since the epoch.

See S1, S2, S4 and S9 in docs/internals.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

import msgspec

MAX_REVISION: Final = 2**16 - 1
MAX_COUNT: Final = 2**32 - 1
"""Of visits and logouts: what the cookie has room for."""


class EndReason(StrEnum):
    """Why a session ended."""

    IDLE_TIMEOUT = "idle_timeout"
    MAX_DURATION = "max_duration"
    ENDED = "ended"
    RESTARTED = "restarted"
    USER_CHANGED = "user_changed"
    OPTED_OUT = "opted_out"


LINKING = frozenset({EndReason.IDLE_TIMEOUT, EndReason.MAX_DURATION, EndReason.RESTARTED, EndReason.USER_CHANGED})
"""Ends after which the successor names the session before it."""

BY_CALL = frozenset({EndReason.RESTARTED, EndReason.USER_CHANGED})
"""Ends by a call that a successor follows at once: the cookie that another request brings cannot show them."""

RETAGGING = frozenset({EndReason.IDLE_TIMEOUT, EndReason.MAX_DURATION, EndReason.RESTARTED})
"""Ends after which the successor belongs to the same user, if the old session was tagged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The settings that the rules need, in milliseconds; `None` turns a rule off."""

    idle_timeout: int = 30 * 60_000
    max_duration: int | None = 24 * 3_600_000
    heartbeat_interval: int | None = 60_000
    manual_max_silence: int | None = 24 * 3_600_000
    max_clock_lead: int = 24 * 3_600_000
    automatic: bool = True
    split_on_user_change: bool = True
    keep_first: frozenset[str] = frozenset()
    """Session properties, by full name, whose first value holds."""

    @property
    def refresh(self) -> int:
        """How old the cookie's `last_seen_at` may get before a response renews it."""
        return min(60_000, self.idle_timeout // 10)

    @property
    def message_interval(self) -> int:
        """How far apart the records of a busy socket are at least."""
        return min(10_000, self.idle_timeout // 10)


class Timed(Protocol):
    """What the predicate reads; the cookie's state and the store's row both have it."""

    @property
    def started_at(self) -> int: ...
    @property
    def last_seen_at(self) -> int: ...
    @property
    def is_manual(self) -> bool: ...


class SessionState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the cookie carries, and nothing else.

    `owner` is a keyed hash of the user named by `identify()`, `principal` of the principal bound to the session; no
    user id is ever here. `is_tagged` and `is_explicit` together say where the tag comes from: tagged and explicit, by
    `identify()`; tagged only, by the principal; explicit only, the app said `identify(None)`, and the principal it
    overruled stays silent until it changes.
    """

    visitor_id: str
    visitor_since: int
    key: str
    session_id: str
    started_at: int
    last_seen_at: int
    previous_key: str | None = None
    previous_seen_at: int = 0
    previous_reason: EndReason | None = None
    owner: bytes | None = None
    principal: bytes | None = None
    is_manual: bool = False
    is_tagged: bool = False
    is_explicit: bool = False
    is_ended: bool = False
    revision: int = 0
    """How often the session was changed (tagged, ended ...): of two cookies of one millisecond, the higher one is newer."""
    visit_number: int = 1
    """1 for a visitor's first session, one more for each after it."""
    logouts: int = 0
    """How often a user left this browser: the tag was removed, the user changed, or a call ended their session."""


def over(session: Timed, rules: Rules, now: int) -> EndReason | None:
    """Why the session is over at `now`; `None` if it is not.

    Both limits are inclusive: silent for exactly `idle_timeout` is over. If both limits have passed, the
    first one names the reason. For a manual session only `manual_max_silence` counts.
    """
    silent_since = session.last_seen_at
    if session.is_manual:
        limit = rules.manual_max_silence
        return EndReason.IDLE_TIMEOUT if limit is not None and now - silent_since >= limit else None
    idle_at = silent_since + rules.idle_timeout
    long_at = None if rules.max_duration is None else session.started_at + rules.max_duration
    if long_at is not None and long_at <= now and long_at < idle_at:
        return EndReason.MAX_DURATION
    return EndReason.IDLE_TIMEOUT if idle_at <= now else None


def clamped(state: SessionState, rules: Rules, now: int) -> int | None:
    """`now` as this session sees it: never before its last activity. `None` if that lies too far ahead."""
    lead = state.last_seen_at - now
    if lead <= 0:
        return now
    return state.last_seen_at if lead <= rules.max_clock_lead else None


def begin(
    *,
    visitor_id: str,
    visitor_since: int,
    key: str,
    now: int,
    session_id: str | None = None,
    is_manual: bool = False,
) -> SessionState:
    """A session out of nothing."""
    return SessionState(
        visitor_id=visitor_id,
        visitor_since=visitor_since,
        key=key,
        session_id=session_id or key,
        started_at=now,
        last_seen_at=now,
        is_manual=is_manual,
    )


def steps_since(last_seen_at: int, rules: Rules, now: int) -> int:
    """How many idle timeouts passed since the cookie was written: part of a successor's id, the same in a race."""
    return max(0, now - last_seen_at) // rules.idle_timeout


def succeed(
    old: SessionState,
    reason: EndReason,
    *,
    key: str,
    now: int,
    session_id: str | None = None,
    is_manual: bool = False,
) -> SessionState:
    """The session after `old`, which ended at `old.last_seen_at` for this reason.

    Idle, too long and restarted carry the user over; nothing else does, and only while tagged. A principal that the app
    overruled with `identify(None)` stays overruled.
    """
    carries = reason in RETAGGING
    retags = carries and old.is_tagged
    overruled = carries and old.is_explicit and not old.is_tagged
    return SessionState(
        visitor_id=old.visitor_id,
        visitor_since=old.visitor_since,
        key=key,
        session_id=session_id or key,
        started_at=now,
        last_seen_at=now,
        previous_key=old.key,
        previous_seen_at=old.last_seen_at,
        previous_reason=reason,
        owner=old.owner if retags else None,
        principal=old.principal if retags or overruled else None,
        is_manual=is_manual,
        is_tagged=retags,
        is_explicit=old.is_explicit if retags else overruled,
        visit_number=min(old.visit_number + 1, MAX_COUNT),
        logouts=old.logouts if retags else logouts_after(old),
    )


def logouts_after(state: SessionState) -> int:
    """The count of logouts once the user has left. It counts users, so without one it stays."""
    return min(state.logouts + state.is_tagged, MAX_COUNT)


def end(state: SessionState) -> SessionState:
    """The session after `end_session()`: the cookie keeps its key, marked ended, so that the next id can be derived."""
    return msgspec.structs.replace(state, is_ended=True)


def revised(state: SessionState) -> SessionState:
    """The session after a change: newer than every state that it was made from."""
    return msgspec.structs.replace(state, revision=min(state.revision + 1, MAX_REVISION))


def is_newer(state: SessionState, other: SessionState) -> bool:
    """Whether a state of a session is newer than another: changed more often, or else seen later.

    Hosts whose clocks differ date a change at the last activity in the cookie, and so alike.
    """
    return (state.revision, state.last_seen_at) > (other.revision, other.last_seen_at)


def is_newer_copy(state: SessionState, other: SessionState) -> bool:
    """Which of two cookies of one visitor is the newer, of whichever session: a copy from before a logout never is."""
    return _age(state) > _age(other)


def _age(state: SessionState) -> tuple[int, int, int, int]:
    return state.logouts, state.started_at, state.revision, state.last_seen_at


def seen(state: SessionState, at: int) -> SessionState:
    """The session with activity at this time; time never runs back."""
    return state if at <= state.last_seen_at else msgspec.structs.replace(state, last_seen_at=at)
