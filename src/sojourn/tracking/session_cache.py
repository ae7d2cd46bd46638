"""The sessions that this process has seen lately: what it knows before the store or the browser does. Bounded; no I/O.

One `CachedSession` follows one browser through its sessions: when a session is succeeded, the same object becomes the
successor, so a parallel request, an open socket or a late helper call that still holds it sees the change.

See S1 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Protocol

import msgspec

from sojourn.core import identity, session
from sojourn.core.bounded import Bounded
from sojourn.core.session import EndReason, SessionState
from sojourn.core.threads import Lock

_LIMIT = 10_000
_SHARED_EVERY_MS = 1000
"""How much newer activity must be to be worth sharing with the other workers."""


class SharedSession(Protocol):
    """What the workers of this host note of one session for each other. Never blocks, never raises."""

    def look(self) -> tuple[int, int, int]:
        """Last activity (ms since the epoch), revision, and end; each 0 where unknown."""
        ...

    @property
    def end(self) -> tuple[EndReason, int] | None:
        """Why and when a call ended it."""
        ...

    def see(self, at: int) -> None: ...

    def targets(self) -> list[int]: ...

    def put_target(self, place: int, value: int, at: int) -> None: ...

    def forget_targets(self) -> None: ...

    @property
    def is_in_use(self) -> bool:
        """Whether a fetch of its page has extended the session."""
        ...

    def mark_in_use(self, at: int) -> None: ...

    def revise(self, revision: int, logouts: int, at: int) -> None: ...

    def seal(self, reason: EndReason, at: int) -> None: ...


Shared = Callable[[str], SharedSession]
"""The shared entry of a session, by its key."""


class CachedSession:
    """A session as this process knows it: the newest state, and its last activity to the millisecond."""

    __slots__ = (
        *("ended_elsewhere", "is_ahead", "is_gone", "key_number", "last_seen_at", "principal_id", "recorded_at"),
        *("shared", "shared_at", "state"),
    )

    def __init__(self, state: SessionState, key_number: int, shared: SharedSession) -> None:
        self.state = state
        self.shared = shared
        self.shared_at = 0
        """The last activity that the other workers know from this one."""
        self.ended_elsewhere: EndReason | None = None
        """A call at another worker ended it: the browser may be in another session by now, whatever its cookie says."""
        self.last_seen_at = state.last_seen_at
        self.key_number = key_number
        """The signing key of its cookie, under which the id of a successor is derived."""
        self.is_gone = False
        """The visitor opted out: nothing may follow, not even what still holds this object."""
        self.is_ahead = False
        """Changed since a cookie was last written: a cookie with later activity only does not undo that."""
        self.principal_id: str | None = None
        """The principal last compared, in memory only, to spare a returning visitor the hash."""
        self.recorded_at = 0
        """When activity was last recorded: a busy socket records less often than messages arrive."""

    # Getters in C: the predicate `over` reads both for every request.
    started_at = property(attrgetter("state.started_at"))
    is_manual = property(attrgetter("state.is_manual"))

    def see(self, at: int) -> None:
        """Note activity; time never runs back."""
        self.last_seen_at = max(self.last_seen_at, at)
        if at - self.shared_at >= _SHARED_EVERY_MS:
            self.shared.see(at)
            self.shared_at = at

    def look(self) -> None:
        """Take over what other workers of this host noted."""
        last_seen_at, revision, end = self.shared.look()
        if revision & 0xFFFF > self.state.logouts:  # its user left at another worker, and this cookie is older
            self.state = identity.logged_out(self.state, revision=revision >> 16, logouts=revision & 0xFFFF)
            self.principal_id = None
        self.last_seen_at = max(self.last_seen_at, last_seen_at)
        if end and not self.state.is_ended and (known := self.shared.end) is not None:
            self.ended_elsewhere = known[0]

    def may_write(self, *, is_slow: bool) -> bool:
        """Whether a cookie may be written that this request did not change: not over what another worker has changed.

        A slow response may be overtaken by one of this very process, so it writes only what every worker agrees on.
        """
        last_seen_at, revision, end = self.shared.look()
        if (end and not self.state.is_ended) or revision >> 16 > self.state.revision:
            return False
        return last_seen_at > 0 or not is_slow

    def differs_from(self, cookie: SessionState) -> bool:
        """Whether this process knows more of the session than a cookie says, later activity aside."""
        state = self.state
        return state is not cookie and session.seen(cookie, state.last_seen_at) != session.seen(
            state, cookie.last_seen_at
        )

    def become(self, state: SessionState, shared: SharedSession) -> None:
        """Follow the browser into the next session."""
        self.state = state
        self.shared = shared
        self.shared_at = 0
        self.ended_elsewhere = None
        self.last_seen_at = max(state.last_seen_at, state.started_at)
        self.is_ahead = True
        self.principal_id = None
        self.recorded_at = 0


class SessionCache:
    """Recent sessions by session key; a key that was succeeded still leads to where its browser is now.

    Every method may be called by any thread. What changes a session's state does it under one lock.
    """

    __slots__ = ("_by_key", "_lock", "_opted_out", "_shared", "has_opt_outs")

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._by_key: Bounded[str, CachedSession] = Bounded(_LIMIT)
        self._lock = Lock()
        self._opted_out: Bounded[bytes, bool] = Bounded(_LIMIT)
        self.has_opt_outs = False
        """Whether to ask `has_opted_out` at all: it takes a hash."""

    def after_fork(self) -> None:
        self._lock = Lock()

    def get_or_add(self, state: SessionState, key_number: int) -> CachedSession:
        """The session of a cookie. The newer state holds: another worker may have written the cookie."""
        live = self._by_key.young.get(state.key) or self._by_key.get(state.key)
        if live is None:
            live = self._add(state, key_number)
            live.look()
            return live
        cached = live.state
        if cached is not state and cached.key == state.key:
            if state == cached:
                live.state = state  # one object from here on, which is quick to compare
            elif session.is_newer(state, cached) and not live.is_ahead:
                live.state = state
                live.principal_id = None
            live.last_seen_at = max(live.last_seen_at, state.last_seen_at)
        live.look()
        return live

    def change(self, live: CachedSession, state: SessionState) -> None:
        """Another state of the same session, which its cookie does not say yet."""
        with self._lock:
            live.state = state
            live.is_ahead = True
        if state.is_ended:
            live.shared.seal(EndReason.ENDED, state.last_seen_at)
        live.shared.revise(state.revision, state.logouts, state.last_seen_at)

    def adopt(self, draft: SessionState, live: CachedSession | None, at: int) -> CachedSession:
        """Make a drafted session, the successor of `live`, known to this process; the session that holds.

        A parallel request may have derived the same session, and been quicker.
        """
        with self._lock:
            cached = self._by_key.get(draft.key)
            if live is None or (cached is not None and cached.state.key == draft.key):
                live = cached or CachedSession(draft, -1, self._shared(draft.key))
            if cached is None:
                if draft.previous_key is not None and draft.previous_reason in session.BY_CALL:
                    self._shared(draft.previous_key).seal(draft.previous_reason, at)
                live.become(draft, self._shared(draft.key))
            elif live.state.key == draft.key:
                live.state = msgspec.structs.replace(draft, started_at=min(draft.started_at, live.started_at))
                live.is_ahead = True
            if live.state.key == draft.key:
                live.see(at)
            self._by_key[live.state.key] = live
            return live

    def write(self, live: CachedSession) -> SessionState:
        """The state to write into a cookie now."""
        with self._lock:
            live.state = state = session.seen(live.state, live.last_seen_at)
            live.is_ahead = False
            return state

    def forget(self, live: CachedSession, hashed_visitor: bytes) -> None:
        """The visitor opted out: drop the session, for whatever still holds it too, and remember only a hash."""
        self._opted_out[hashed_visitor] = self.has_opt_outs = True
        key = live.state.key
        live.is_gone = True
        live.shared.seal(EndReason.OPTED_OUT, live.last_seen_at)
        live.state = msgspec.structs.replace(live.state, is_ended=True)
        live.principal_id = None
        self._by_key.discard(key)

    def has_opted_out(self, hashed_visitor: bytes) -> bool:
        """Whether this visitor opted out in this process lately."""
        return self._opted_out.get(hashed_visitor) is not None

    def _add(self, state: SessionState, key_number: int) -> CachedSession:
        with self._lock:
            live = self._by_key.get(state.key)
            if live is not None:  # a parallel request was quicker
                return live
            previous = None if state.previous_key is None else self._by_key.get(state.previous_key)
            if previous is not None and previous.state.key == state.previous_key:
                live = previous  # another worker moved the browser on: what runs here follows
                live.become(state, self._shared(state.key))
                live.is_ahead, live.key_number = False, key_number
            else:
                live = CachedSession(state, key_number, self._shared(state.key))
            self._by_key[state.key] = live
            return live
