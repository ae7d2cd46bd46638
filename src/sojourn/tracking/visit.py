"""One request's view of its session: the one mutable object, in the scope or environ and in a context variable.

Helpers and the tracker move it. Which session it is in stands in its `binding`, whose module has the table of states;
what happened there is collected in `changes` until the response starts, and recorded at once from then on.

See S3 and S4 in docs/internals.md.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from sojourn.core import session
from sojourn.core.events import SESSION_END, Scalar
from sojourn.core.ids import uuid7
from sojourn.core.records import CARRIED, LATE, Entry, Seal
from sojourn.core.session import EndReason, SessionState

from . import admission
from .binding import NOT_RECOGNISED, OPTED_OUT, SessionBinding
from .changes import SessionChanges
from .facts import RequestFacts, ResponseFacts
from .guard import Guard
from .principal import Principal
from .session_cache import CachedSession
from .visit_context import VisitContext

if TYPE_CHECKING:
    from sojourn.user_agents.agents import Agent

    from .carrying import Carrier
    from .own_traffic import Mark
    from .tickets import Ticket
    from .visitor_hash import DailyVisitor

VISIT_KEY = "sojourn.tracking.visit"
"""Where doors put the Visit in a scope or an environ."""

active_visit: ContextVar[Visit | None] = ContextVar("sojourn_visit", default=None)


class Visit:
    """One request (or socket) and its session, if it has one."""

    # Defaults on the class, not slots set one by one: most visits change few of them, and one is made per request.
    binding: SessionBinding = NOT_RECOGNISED
    mono = 0.0
    is_passive = False
    """No sign of a person so far: the request neither extends its session nor begins the next one."""
    is_counted = True
    """Whether it is a request of its session at all, and not a script, a style, a picture or a font."""
    responded = False
    is_cookie_due = False
    """Something has changed that the cookie must say."""
    is_named = False
    """The app called `identify()`: the principal of this request is neither bound nor compared."""
    principal: tuple[Principal] | None = None
    """The principal, where it was read before the response is settled."""
    user_id: str | None = None
    tags = 0
    page_view: dict[str, Scalar] | None = None
    response: ResponseFacts | None = None
    """The start of the response, once it is settled, until a stream of it is over."""
    can_carry: bool | None = None
    """Whether the response may carry a cookie; `None` until that is first needed."""
    cookie_line: str | None = None
    more_cookie_lines: tuple[str, ...] = ()
    """Further `Set-Cookie` lines beside `cookie_line`."""
    no_forward = False
    """For the own store only, at the browser's request."""
    is_anonymous = False
    """No user may be named, at the browser's request."""
    browser: Mapping[str, str] | None = None
    """The session ids of vendors' browser SDKs that came with the request; `None` if none are to be read."""
    captured: BaseException | None = None
    """The exception recorded last: one that passes several places is recorded once. Dropped with the request."""
    failed_view: tuple[str, int] | None = None
    """Session and time of the failed page view that is recorded already, by a request that has recorded no exception so far."""
    ticket: Ticket | None = None
    """What brought the session here from another process."""
    carrier: Carrier | None = None
    """What other threads need that the request was carried into."""
    is_carried = False
    """A carried call works on it now, after the response."""
    late_flags = CARRIED | LATE
    """Of the records of carried calls that come after their session, or from another process."""
    agent: Agent | None = None
    """Which crawler or other agent sent it: those are counted apart."""
    own_mark: Mark | None = None
    own_mark_after: Mark | None = None
    """The mark that leaves this browser out, as the request brought it, and as the response is to leave it."""
    daily: DailyVisitor | None = None
    """Who the visitor is for a day, where no cookie may be set: nothing of this request has to be carried by its response."""
    takes_over: DailyVisitor | None = None
    """The same, of a session that the cookie takes over with this response."""
    lacks_consent = False
    """The visitor has not consented to the cookie, and is known without."""
    drops_cookie = False
    """A cookie of ours came along, and the visitor is to be known without one."""
    chunks = 0
    """Pieces of the body sent so far, as far as they were counted: more than one makes a stream."""

    def __init__(self, context: VisitContext, facts: RequestFacts, now: int) -> None:
        self.context = context
        self.facts = facts
        self.intent = admission.intent_of(facts)
        self.now = now
        self.at = now
        """`now` as the session sees it: never before its last activity."""
        self.changes: list[SessionChanges] = []

    @property
    def guard(self) -> Guard:
        return self.context.guard

    @property
    def shown_path(self) -> str:
        """The path as it may be kept. Worked out where it is kept: most requests, and all refused ones, need none."""
        facts = self.facts
        return self.context.paths.shown(facts.path, facts.mount, facts.route())

    # --- which session -------------------------------------------------------------------------------------------

    @property
    def refused(self) -> str | None:
        """Why this request has nothing to do with sessions at all (excluded, switched off, opted out)."""
        return self.binding.refused

    @property
    def live(self) -> CachedSession | None:
        """The session as this process knows it."""
        return self.binding.live

    @property
    def state(self) -> SessionState | None:
        """The session as of now; `None` without one, and when it is ended, or over and not yet succeeded."""
        return self.binding.state

    def refuse(self, reason: str) -> None:
        """Leave every session, for this reason: nothing of this request is recorded."""
        self.binding = self.binding.refuse(reason)
        self.changes.clear()

    def follow(self) -> None:
        """See whether another request of this browser has moved on while this one ran."""
        binding = self.binding
        live = binding.live
        if live is None:
            return
        if live.is_gone:
            self.refuse(OPTED_OUT)
        elif binding.has_moved_on:
            self.at = max(self.at, live.started_at)
            self.binding = binding.follow(live, self.over(live, self.at))

    def is_left_behind(self) -> bool:
        """Whether another request of this browser has ended or left the session that this one is activity of."""
        return self.binding.is_left_behind(has_ended_it=any(changes.seal for changes in self.changes))

    def over(self, live: CachedSession, at: int) -> EndReason | None:
        """Why this session may not be continued at this time."""
        return EndReason.ENDED if live.state.is_ended else session.over(live, self.context.options.rules, at)

    def enter(self, *, by_helper: bool) -> SessionState | None:
        """The session for a helper, or for the automatic start: the running one, else one that this request may begin.

        `None` where there is none and none may be: counted, with the reason.
        """
        if self.refused is not None:
            return self.drop_call() if by_helper else None
        if by_helper:
            self.is_passive = False
        if self.responded:
            return self.enter_late()
        self.follow()
        if (state := self.state) is not None:
            return state
        if not self.context.options.rules.automatic:
            return self.drop("automatic_off")
        if (reason := self.binding.pending) is not None:
            return self.succeed(reason)
        refusal = self.refusal(by_helper=by_helper)
        return self.drop(refusal) if refusal else self.begin()

    def enter_present(self) -> SessionState | None:
        """The session that is there, or that this request begins anyway; none is begun for the call's sake."""
        if self.refused is not None:
            return self.drop_call()
        if self.responded:
            return self.enter_late()
        return self.look() or self.drop("no_session")

    def enter_late(self) -> SessionState | None:
        """The session for a call after the response has started: the one that is there, if it still runs."""
        live = self.live
        if live is None or live.is_gone:
            return self.drop("no_session")
        self.at = max(self.context.clock.now(), live.last_seen_at)
        if live.state.is_ended:
            return self.drop("no_session")
        if session.over(live, self.context.options.rules, self.at) is not None:
            return self.drop("over")
        self.binding = self.binding.continue_late()
        return live.state

    def look(self) -> SessionState | None:
        """The session to show: on a request that will start one, the one it will start."""
        if self.refused is not None:
            return None
        if not self.responded:
            self.follow()
            is_possible = self.context.options.rules.automatic and not self.is_passive
            will_start = is_possible and not self.changes and self.state is None
            if will_start and (self.binding.pending is not None or self.refusal(by_helper=False) is None):
                return self.enter(by_helper=False)
        return self.state

    def is_new(self, state: SessionState) -> bool:
        """Whether this request began the session."""
        return self.binding.begun_key == state.key

    @property
    def is_automatic(self) -> bool:
        """Whether nothing but the request itself asks for a session: no call has made one, or said anything about it."""
        return all(
            changes.reason is None and not changes.entries and not changes.state.is_manual for changes in self.changes
        )

    @property
    def starts_from_nothing(self) -> bool:
        """Whether this request begins a session without a cookie of ours, for no user and by no `start_session()`."""
        if self.binding.arrived is not None or not self.changes:
            return False
        first = self.changes[0]
        return (first.is_start and first.previous is None) and not any(
            changes.state.is_tagged or changes.state.is_manual for changes in self.changes
        )

    def drop_drafts(self, first: int = 0) -> None:
        """Drop the sessions that this request began, from the first of these changes on."""
        del self.changes[first:]
        earlier, live = self.last_draft(), self.live
        self.binding = self.binding.drop_draft(earlier, None if live is None else self.over(live, self.at))
        if earlier is None:
            self.is_cookie_due = bool(self.changes)

    # --- starts --------------------------------------------------------------------------------------------------

    def begin(self, *, session_id: str | None = None, is_manual: bool = False) -> SessionState:
        """Begin a session for a new visitor."""
        if self.daily is None:
            visitor_id, key = str(UUID(bytes=os.urandom(16), version=4)), uuid7(self.now, os.urandom(10))
        else:
            visitor_id = self.daily.visitor_id
            key = self.daily.first_key(self.now, self.context.options.rules.idle_timeout)
        draft = session.begin(
            visitor_id=visitor_id,
            visitor_since=self.now,
            key=key,
            now=self.now,
            session_id=session_id,
            is_manual=is_manual,
        )
        return self._begun(SessionChanges(draft, is_start=True))

    def succeed(
        self,
        reason: EndReason,
        *,
        session_id: str | None = None,
        is_manual: bool = False,
        user: str | None = None,
    ) -> SessionState:
        """Begin the session after the current one. Its id is derived, so that racing requests agree on it."""
        codec, rules = self.context.codec, self.context.options.rules
        old = self._old(reason)
        base = self._written_at(old)
        steps = session.steps_since(base, rules, self.at)
        number = self.live.key_number if self.live is not None else -1
        parts = [old.key, reason.value, str(steps)]
        if user is not None:
            parts.append(codec.hash_user(user, key_number=number).hex())
        if is_manual:
            parts += ["manual", session_id or ""]
        key = uuid7(base + steps * rules.idle_timeout, codec.derive(number, *parts))
        draft = session.succeed(old, reason, key=key, now=self.at, session_id=session_id, is_manual=is_manual)
        return self._begun(SessionChanges(draft, is_start=True, previous=old, reason=reason))

    def last_draft(self) -> SessionState | None:
        """The session that this request drafted last, by its changes."""
        return self.changes[-1].state if self.changes and self.changes[-1].is_start else None

    # --- what happened in it -------------------------------------------------------------------------------------

    def become(self, state: SessionState) -> None:
        """The current session with another tag or flag."""
        state = session.revised(state)
        if self.binding.draft is not None:
            self.binding = self.binding.revise(state)
        elif self.live is not None:
            self.context.sessions.change(self.live, state)
        self.is_cookie_due = True
        for changes in self.changes:
            if changes.state.key == state.key:
                changes.state = state

    def changes_of(self, of: SessionState | None = None) -> SessionChanges:
        """The changes of this session, or of the current one (an ended one included)."""
        state = of or self.binding.latest
        if state is None:
            msg = "there is no session to change"
            raise LookupError(msg)
        for changes in self.changes:
            if changes.state.key == state.key:
                return changes
        self.changes.append(SessionChanges(state))
        return self.changes[-1]

    def note(self, name: str, attributes: dict[str, Scalar] | None, *, of: SessionState | None = None) -> None:
        """Add an event, now, to this session or the current one."""
        self.changes_of(of).entries.append(Entry(name, self.at, attributes))

    def end(self, state: SessionState, reason: EndReason = EndReason.ENDED) -> None:
        """End the current session now; this request was its last activity."""
        changes = self.changes_of()
        ended = session.end(session.seen(state, self.at))
        changes.seal = Entry(SESSION_END, self.at, seal=Seal(reason, self.at))
        self.become(ended)
        if self.binding.draft is None and self.live is not None:
            self.live.see(self.at)

    def leave(self) -> None:
        """Finish a helper call: its changes wait for the response start, or are recorded at once if that is past."""
        if self.responded:
            self.context.recorder.record_late(self)

    # --- calls that come to nothing ------------------------------------------------------------------------------

    def refusal(self, *, by_helper: bool) -> str | None:
        """Why this request may not start a session out of nothing."""
        options = self.context.options
        return admission.refusal_to_start(
            self.facts,
            any_request=options.starts_on_any_request,
            by_helper=by_helper,
            refuses_programs=options.refuses_programs,
        )

    def drop(self, reason: str) -> SessionState | None:
        """Drop a call, or an automatic start: counted."""
        if reason in admission.CLIENT_REFUSALS:  # once is enough, whatever else this request calls
            self.refuse(reason)
        self.guard.count(reason)
        return None

    def drop_call(self) -> SessionState | None:
        """Drop a helper call on a request that has nothing to do with sessions; warn where that is a surprise."""
        if self.refused == "excluded":
            self.guard.count("no_session")
            self.guard.warn_once("excluded", "a helper was called on an excluded path; the call was dropped")
        return None

    # --- inner ---------------------------------------------------------------------------------------------------

    def _old(self, reason: EndReason) -> SessionState:
        """The session to succeed, as of its end."""
        if self.binding.draft is not None:
            return self.binding.draft
        if self.live is None:
            msg = "there is no session to succeed"
            raise LookupError(msg)
        last = max(self.live.last_seen_at, self.live.state.last_seen_at)
        return msgspec.structs.replace(self.live.state, last_seen_at=self.at if reason is EndReason.RESTARTED else last)

    def _written_at(self, old: SessionState) -> int:
        """When the cookie that racing requests share was written."""
        arrived, live = self.binding.arrived, self.live
        if arrived is not None and arrived.state.key == old.key:
            return arrived.state.last_seen_at
        return live.state.last_seen_at if live is not None and self.binding.draft is None else old.started_at

    def _begun(self, changes: SessionChanges) -> SessionState:
        self.binding = self.binding.begin(changes.state)
        self.is_cookie_due = True
        self.changes.append(changes)
        return changes.state
