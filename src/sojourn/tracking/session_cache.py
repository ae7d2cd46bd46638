"""The sessions that this process has seen lately: what it knows before the store or the browser does. Bounded; no I/O.

One `CachedSession` follows one browser through its sessions: when a session is succeeded, the same object becomes the
successor, so a parallel request, an open socket or a late helper call that still holds it sees the move.
"""

from __future__ import annotations

import msgspec

from sojourn.core import session
from sojourn.core.bounded import Bounded
from sojourn.core.session import SessionState
from sojourn.core.threads import Lock

_REMEMBERED = 10_000


class CachedSession:
    """A session as this process knows it: the newest state, and its last activity to the millisecond."""

    __slots__ = ("is_ahead", "is_gone", "key_number", "last_seen_at", "principal_id", "recorded_at", "state")

    def __init__(self, state: SessionState, key_number: int) -> None:
        self.state = state
        self.last_seen_at = state.last_seen_at
        self.key_number = key_number
        self.is_gone = False
        """The visitor opted out: nothing may follow, not even what still holds this object."""
        self.is_ahead = False
        """Changed since a cookie last told it: a cookie that merely saw later activity does not undo that."""
        self.principal_id: str | None = None
        """The principal last compared, in memory only, to spare a returning visitor the hash."""
        self.recorded_at = 0
        """When activity was last recorded: a busy socket records less often than it is heard."""

    @property
    def started_at(self) -> int:
        return self.state.started_at

    @property
    def is_manual(self) -> bool:
        return self.state.is_manual

    def see(self, at: int) -> None:
        """Activity; time never runs back."""
        self.last_seen_at = max(self.last_seen_at, at)

    def differs_from(self, told: SessionState) -> bool:
        """Whether this process knows more of the session than a cookie tells, but for later activity."""
        known = self.state
        return known is not told and session.seen(told, known.last_seen_at) != session.seen(known, told.last_seen_at)

    def become(self, state: SessionState) -> None:
        """Follow the browser into the next session."""
        self.state = state
        self.last_seen_at = max(state.last_seen_at, state.started_at)
        self.is_ahead = True
        self.principal_id = None
        self.recorded_at = 0


class SessionCache:
    """Live sessions by session key; a key that was succeeded still finds where its browser is now."""

    __slots__ = ("_by_key", "_meeting")

    def __init__(self) -> None:
        self._by_key: Bounded[str, CachedSession] = Bounded(_REMEMBERED)
        self._meeting = Lock()

    def after_fork(self) -> None:
        self._meeting = Lock()

    def find(self, key: str) -> CachedSession | None:
        return self._by_key.get(key)

    def get_or_add(self, state: SessionState, key_number: int) -> CachedSession:
        """The live session of a cookie. The newer state holds: another worker may have written the cookie."""
        live = self._by_key.young.get(state.key) or self._by_key.get(state.key)
        if live is None:
            return self._met_first(state, key_number)
        known = live.state
        if known is not state and known.key == state.key:
            if state == known:
                live.state = state  # one object from here on, which is quick to compare
            elif session.is_newer(state, known) and not live.is_ahead:
                live.state = state
                live.principal_id = None
            live.see(state.last_seen_at)
        return live

    def keep(self, live: CachedSession) -> None:
        self._by_key[live.state.key] = live

    def forget(self, live: CachedSession) -> None:
        """Drop what is known of a browser, and tell whoever still holds it."""
        key = live.state.key
        live.is_gone = True
        live.state = msgspec.structs.replace(live.state, is_ended=True)
        live.principal_id = None
        self._by_key.discard(key)

    def _met_first(self, state: SessionState, key_number: int) -> CachedSession:
        with self._meeting:
            live = self._by_key.get(state.key)
            if live is not None:  # a parallel request was quicker
                return live
            previous = None if state.previous_key is None else self._by_key.get(state.previous_key)
            if previous is not None and previous.state.key == state.previous_key:
                live = previous  # another worker moved the browser on: what runs here follows
                live.become(state)
                live.is_ahead, live.key_number = False, key_number
            else:
                live = CachedSession(state, key_number)
            self._by_key[state.key] = live
            return live
