"""One request's view of its session: the one mutable object, in the scope or environ and in a context variable.

Helpers and the tracker move it. It knows the rules' outcome (which session, what happened in it), and nothing of doors,
journals or stores. Until the response starts, a session that this request would begin is a `draft`; none else sees it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from enum import Enum, auto
from typing import Any, ParamSpec, Protocol, TypeVar

import msgspec

from sojourn.core import session
from sojourn.core.events import SESSION_END, Scalar
from sojourn.core.ids import uuid7
from sojourn.core.properties import Declared
from sojourn.core.records import Entry, Seal
from sojourn.core.session import EndReason, Rules, SessionState

from . import admission
from .cookie import CookieCodec, Verified
from .facts import RequestFacts
from .principal import User
from .session_cache import CachedSession, SessionCache

P = ParamSpec("P")
R = TypeVar("R")

VISIT_KEY = "sojourn.visit"
"""Where doors put the Visit in a scope or an environ."""

active_visit: ContextVar[Visit | None] = ContextVar("sojourn_visit", default=None)


class Choice(Enum):
    """What the visitor chose in this very request."""

    OUT = auto()
    IN = auto()


class Host(Protocol):
    """What a visit needs of the tracker that made it."""

    rules: Rules
    codec: CookieCodec
    sessions: SessionCache
    starts_on_any_request: bool
    refuses_programs: bool
    declared: Declared

    @property
    def moves(self) -> AbstractContextManager[Any]:
        """Held while a live session's state is changed."""
        ...

    def now(self) -> int: ...

    def chance(self) -> bytes: ...

    def new_visitor_id(self) -> str: ...

    def shown_user(self, user: User) -> User: ...

    def count(self, reason: str) -> None: ...

    def record_late(self, visit: Visit) -> None: ...

    def record_opt_out(self, visit: Visit) -> None: ...

    def forget(self, live: CachedSession) -> None: ...

    def warn_once(self, cause: str, text: str) -> None: ...

    def refuse_data(self, problem: str, text: str) -> None: ...

    def guarded(self, default: R, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R: ...


class SessionChanges:
    """What this request has to tell about one session."""

    __slots__ = ("entries", "is_start", "reason", "seal", "state", "was")

    def __init__(
        self, state: SessionState, *, is_start: bool, was: SessionState | None, reason: EndReason | None
    ) -> None:
        self.state = state
        self.is_start = is_start
        self.was = was
        """The session before it, if this request began it as a successor."""
        self.reason = reason
        self.entries: list[Entry] = []
        self.seal: Entry | None = None

    def entries_in_order(self) -> tuple[Entry, ...]:
        """All of it, the seal last: what happened in a session comes before its end."""
        return tuple(self.entries) if self.seal is None else (*self.entries, self.seal)


class Visit:
    """One request (or socket) and its session, if it has one."""

    # Defaults on the class, not slots set one by one: most visits change few of them, and one is made per request.
    mono = 0.0
    shown_path = ""
    refused: str | None = None
    """Why this request has nothing to do with sessions at all (excluded, switched off, opted out)."""
    arrived: Verified | None = None
    live: CachedSession | None = None
    seen_key = ""
    """The session that this visit last knew its browser to be in."""
    home: SessionState | None = None
    """The session it arrived with, if that was not over by then: this request is its activity."""
    begun_key = ""
    succession: EndReason | None = None
    """The session is over: why, and a response that can carry a cookie begins its successor."""
    draft: SessionState | None = None
    responded = False
    changed = False
    """Something that the cookie must tell has changed."""
    is_named = False
    """The app called `identify()`: the principal of this request is neither bound nor compared."""
    user_id: str | None = None
    tags = 0
    page_view: dict[str, Scalar] | None = None
    can_carry: bool | None = None
    """Whether the answer may carry a cookie, once somebody asked."""
    cookie_line: str | None = None
    choice: Choice | None = None
    no_forward = False
    """For the own store only: the browser asked for it."""
    is_anonymous = False
    """No user may be named: the browser asked for it."""
    told_error: BaseException | None = None
    """The exception that was told last, so that one which passes several places is told once; dropped with the request."""
    chunks = 0
    """Pieces of the body sent so far, as far as they were counted: more than one makes a stream."""

    def __init__(self, host: Host, facts: RequestFacts, now: int) -> None:
        self.host = host
        self.facts = facts
        self.now = now
        self.at = now
        """`now` as the session sees it: never before its last activity."""
        self.parts: list[SessionChanges] = []

    # --- which session -------------------------------------------------------------------------------------------

    @property
    def state(self) -> SessionState | None:
        """The session as of now, or `None`: none, or over and not yet succeeded, or ended."""
        if self.draft is not None:
            return None if self.draft.is_ended else self.draft
        if self.live is None or self.succession is not None or self.live.state.is_ended:
            return None
        return self.live.state

    def follow(self) -> None:
        """See whether another request of this browser has moved on while this one ran."""
        if self.live is not None and self.live.is_gone:
            self.refused = "opted_out"
            self.live = self.home = self.draft = self.succession = None
            self.parts.clear()
            return
        if self.live is not None and self.draft is None and self.live.state.key != self.seen_key:
            self.seen_key = self.live.state.key
            self.at = max(self.at, self.live.started_at)
            self.succession = self.over(self.at)

    def is_left_behind(self) -> bool:
        """Whether another request of this browser has ended or left the session that this one is activity of."""
        if self.home is None or self.live is None or self.begun_key:
            return False
        if self.live.state.key != self.home.key:
            return True
        return self.live.state.is_ended and not any(part.seal for part in self.parts)

    def over(self, at: int) -> EndReason | None:
        """Why the live session is not to be continued at this time."""
        live = self.live
        if live is None:
            return None
        if live.state.is_ended:
            return EndReason.ENDED
        return session.over(live, self.host.rules, at)

    def enter(self, *, by_helper: bool) -> SessionState | None:
        """The session for a helper, or for the automatic start: the running one, else one that this request may begin.

        `None` where there is none and none may be: counted, with the reason.
        """
        if self.refused is not None:
            return self.refuse_helper() if by_helper else None
        if self.responded:
            return self.enter_late()
        self.follow()
        if self.state is not None:
            return self.state
        if not self.host.rules.automatic:
            return self.refuse("automatic_off")
        if (reason := self.pending()) is not None:
            return self.succeed(reason)
        refusal = self.refusal(by_helper=by_helper)
        return self.refuse(refusal) if refusal else self.begin()

    def present(self) -> SessionState | None:
        """The session that is there, or that this request begins anyway; none is begun for the call's sake."""
        if self.refused is not None:
            return self.refuse_helper()
        if self.responded:
            return self.enter_late()
        return self.look() or self.refuse("no_session")

    def pending(self) -> EndReason | None:
        """Why the session that this request knows is to be succeeded."""
        if self.draft is not None:
            return EndReason.ENDED if self.draft.is_ended else None
        if self.live is not None and self.live.state.is_ended:
            return EndReason.ENDED
        return self.succession

    def begin(self, *, session_id: str | None = None, is_manual: bool = False) -> SessionState:
        """A session out of nothing."""
        self.draft = session.begin(
            visitor_id=self.host.new_visitor_id(),
            visitor_since=self.now,
            key=uuid7(self.now, self.host.chance()),
            now=self.now,
            session_id=session_id,
            is_manual=is_manual,
        )
        return self._drafted(None, None)

    def succeed(
        self,
        reason: EndReason,
        *,
        session_id: str | None = None,
        is_manual: bool = False,
        user: str | None = None,
    ) -> SessionState:
        """The session after the current one; its id is derived, so that racing requests agree on it."""
        old = self._old(reason)
        base = self._written_at(old)
        steps = session.steps_since(base, self.host.rules, self.at)
        number = self.live.key_number if self.live is not None else -1
        told = [old.key, reason.value, str(steps)]
        if user is not None:
            told.append(self.host.codec.hash_user(user, key_number=number).hex())
        if is_manual:
            told += ["manual", session_id or ""]
        key = uuid7(base + steps * self.host.rules.idle_timeout, self.host.codec.derive(number, *told))
        self.draft = session.succeed(old, reason, key=key, now=self.at, session_id=session_id, is_manual=is_manual)
        return self._drafted(old, reason)

    def become(self, state: SessionState) -> None:
        """The current session with another tag or flag."""
        state = session.revised(state)
        if self.draft is not None:
            self.draft = state
        elif self.live is not None:
            with self.host.moves:
                self.live.state = state
                self.live.is_ahead = True
        self.changed = True
        for part in self.parts:
            if part.state.key == state.key:
                part.state = state

    # --- what happened in it -------------------------------------------------------------------------------------

    def part(self, of: SessionState | None = None) -> SessionChanges:
        """What there is to tell about this session, or the current one (an ended one included)."""
        state = of or self.draft or (self.live.state if self.live is not None else None)
        if state is None:
            msg = "no session to tell about"
            raise LookupError(msg)
        for part in self.parts:
            if part.state.key == state.key:
                return part
        part = SessionChanges(state, is_start=False, was=None, reason=None)
        self.parts.append(part)
        return part

    def note(self, name: str, attributes: dict[str, Scalar] | None, *, of: SessionState | None = None) -> None:
        """An event, now, of this session or the current one."""
        self.part(of).entries.append(Entry(name, self.at, attributes))

    def end(self, state: SessionState, reason: EndReason = EndReason.ENDED) -> None:
        """End the current session now; this request was its last activity."""
        part = self.part()
        ended = session.end(session.seen(state, self.at))
        part.seal = Entry(SESSION_END, self.at, seal=Seal(reason, self.at))
        self.become(ended)
        if self.draft is None and self.live is not None:
            self.live.see(self.at)

    def look(self) -> SessionState | None:
        """The session to show: on a request that will start one, the one it will start."""
        if self.refused is not None:
            return None
        if not self.responded:
            self.follow()
            will_start = self.host.rules.automatic and not self.parts and self.state is None
            if will_start and (self.pending() is not None or self.refusal(by_helper=False) is None):
                return self.enter(by_helper=False)
        return self.state

    def is_new(self, state: SessionState) -> bool:
        """Whether this request began the session."""
        return self.begun_key == state.key

    def leave(self) -> None:
        """A helper is done: its part waits for the record of the request, or, after the response start, goes out at once."""
        if self.responded:
            self.host.record_late(self)

    def enter_late(self) -> SessionState | None:
        """The session for a call after the response has started: the one that is there, if it still runs."""
        live = self.live
        if live is None or live.is_gone:
            return self.refuse("no_session")
        self.at = max(self.host.now(), live.last_seen_at)
        if live.state.is_ended:
            return self.refuse("no_session")
        if session.over(live, self.host.rules, self.at) is not None:
            return self.refuse("over")
        self.succession = None
        return live.state

    def refusal(self, *, by_helper: bool) -> str | None:
        """Why this request may not start a session out of nothing."""
        return admission.refusal_to_start(
            self.facts,
            any_request=self.host.starts_on_any_request,
            by_helper=by_helper,
            refuses_programs=self.host.refuses_programs,
        )

    def refuse(self, reason: str) -> SessionState | None:
        """Nothing comes of it: counted."""
        if reason in admission.NOBODY:  # once is enough, whatever else this request asks for
            self.refused = reason
        self.host.count(reason)
        return None

    def refuse_helper(self) -> SessionState | None:
        """A call on a request that has nothing to do with sessions: lost; said, unless somebody wants it so."""
        if self.refused == "excluded":
            self.host.count("no_session")
            self.host.warn_once("excluded", "a helper was called on an excluded path; its call was dropped")
        return None

    # --- inner ---------------------------------------------------------------------------------------------------

    def _old(self, reason: EndReason) -> SessionState:
        if self.draft is not None:
            return self.draft
        if self.live is None:
            msg = "nothing to succeed"
            raise LookupError(msg)
        known = max(self.live.last_seen_at, self.live.state.last_seen_at)
        last = self.at if reason is EndReason.RESTARTED else known
        return msgspec.structs.replace(self.live.state, last_seen_at=last)

    def _written_at(self, old: SessionState) -> int:
        """When the cookie that racing requests share was written."""
        if self.arrived is not None and self.arrived.state.key == old.key:
            return self.arrived.state.last_seen_at
        return self.live.state.last_seen_at if self.live is not None and self.draft is None else old.started_at

    def _drafted(self, was: SessionState | None, reason: EndReason | None) -> SessionState:
        if self.draft is None:
            msg = "no draft"
            raise LookupError(msg)
        self.succession = None
        self.changed = True
        self.begun_key = self.draft.key
        self.parts.append(SessionChanges(self.draft, is_start=True, was=was, reason=reason))
        return self.draft
