"""Which session a request belongs to, as one immutable value. A visit replaces it at each step. Pure.

    state           refused      arrived  live       home   over    draft     begun_key
    --------------  -----------  -------  ---------  -----  ------  --------  ---------
    not recognised  -            -        -          -      -       -         -
    running         -            cookie   session    state  -       -         -
    over            -            cookie   session    -      reason  -         -
    drafted         -            any      any        any    -       state     draft's
    begun           -            any      session    any    -       -         session's
    ended           -            any      ended      any    any     -         any
    draft ended     -            any      any        any    -       ended     draft's
    refused         reason       any      -          -      -       -         -
    opted out       "opted_out"  any      -          -      -       -         -

A request that no cookie identifies is not recognised. One whose cookie verifies is running, or over if the session has
timed out since. A helper or the response start drafts a session, or the successor of one that is over; once recorded it
is begun, and other requests see it. `refused` requests have nothing to do with sessions: excluded paths, bots, visitors
who opted out. `seen_key` (not shown) is the key of `live` as this request last saw it: another request of the same
browser may move `live` on to a successor meanwhile.

See S1 and S3 in docs/internals.md.
"""

from __future__ import annotations

from enum import Enum, auto

import msgspec

from sojourn.core.session import EndReason, SessionState

from .cookie import Verified
from .session_cache import CachedSession

OPTED_OUT = "opted_out"
DISPUTED = "disputed"
NO_ADDRESS = "no_address"
"""Nothing tells the visitor from others: without a cookie, and behind a proxy that is not declared."""


class Choice(Enum):
    """What the visitor chose in this very request."""

    OUT = auto()
    IN = auto()


class SessionBinding(msgspec.Struct, frozen=True, gc=False):
    """The session of a request. See the table of states above."""

    refused: str | None = None
    """Why this request has nothing to do with sessions, as a counted reason."""
    arrived: Verified | None = None
    """The cookie that the request brought."""
    live: CachedSession | None = None
    """The session as this process knows it."""
    home: SessionState | None = None
    """The session that the request arrived with and is activity of."""
    over: EndReason | None = None
    """Why `live` may not be continued: a response that can carry a cookie begins its successor."""
    draft: SessionState | None = None
    """The session that this request is about to begin; no other request sees it yet."""
    begun_key: str = ""
    """The session that this request began, drafted or recorded."""
    seen_key: str = ""
    choice: Choice | None = None

    @property
    def state(self) -> SessionState | None:
        """The session as of now; `None` without one, and when it is ended, or over and not yet succeeded."""
        if self.draft is not None:
            return None if self.draft.is_ended else self.draft
        if self.live is None or self.over is not None or self.live.state.is_ended:
            return None
        return self.live.state

    @property
    def latest(self) -> SessionState | None:
        """The session as of now, an ended one included."""
        return self.draft or (None if self.live is None else self.live.state)

    @property
    def pending(self) -> EndReason | None:
        """Why the session of this request is to be succeeded."""
        if self.draft is not None:
            return EndReason.ENDED if self.draft.is_ended else None
        if self.live is not None and self.live.state.is_ended:
            return EndReason.ENDED
        return self.over

    @property
    def has_moved_on(self) -> bool:
        """Whether another request of this browser has begun a successor since this one last looked."""
        return self.live is not None and self.draft is None and self.live.state.key != self.seen_key

    def is_left_behind(self, *, has_ended_it: bool) -> bool:
        """Whether another request of this browser has left or ended the session that this one is activity of."""
        if self.home is None or self.live is None or self.begun_key:
            return False
        if self.live.state.key != self.home.key:
            return True
        return (self.live.state.is_ended or self.live.ended_elsewhere is not None) and not has_ended_it

    # --- transitions -----------------------------------------------------------------------------------------------

    def refuse(self, reason: str) -> SessionBinding:
        """Leave every session: nothing of this request is recorded."""
        return SessionBinding(refused=reason, arrived=self.arrived, choice=self.choice)

    def opt_out(self) -> SessionBinding:
        """The visitor opted out in this request."""
        return SessionBinding(refused=OPTED_OUT, arrived=self.arrived, choice=Choice.OUT)

    def follow(self, live: CachedSession, over: EndReason | None) -> SessionBinding:
        """Follow the browser to where another request has moved it."""
        return msgspec.structs.replace(self, seen_key=live.state.key, over=over)

    def continue_late(self) -> SessionBinding:
        """A call after the response start found the session running."""
        return self if self.over is None else msgspec.structs.replace(self, over=None)

    def begin(self, draft: SessionState) -> SessionBinding:
        """Draft a session."""
        return msgspec.structs.replace(self, draft=draft, begun_key=draft.key, over=None)

    def revise(self, draft: SessionState) -> SessionBinding:
        """The drafted session with another tag or flag."""
        return msgspec.structs.replace(self, draft=draft)

    def drop_draft(self, earlier: SessionState | None, over: EndReason | None) -> SessionBinding:
        """Go back to the session drafted earlier in this request, or to none."""
        if earlier is not None:
            return msgspec.structs.replace(self, draft=earlier, begun_key=earlier.key)
        return msgspec.structs.replace(self, draft=None, begun_key="", over=over)

    def commit(self, live: CachedSession) -> SessionBinding:
        """The drafted session is known to this process from here on."""
        return msgspec.structs.replace(self, live=live, draft=None, seen_key=live.state.key)


NOT_RECOGNISED = SessionBinding()


def recognised(arrived: Verified, live: CachedSession, over: EndReason | None) -> SessionBinding:
    """The binding of a request whose cookie verifies: running, or over."""
    home = live.state if over is None else None
    return SessionBinding(None, arrived, live, home, over, None, "", live.state.key)
