"""The session of a request in another process: a job of a queue, a call to another service of yours.

The request issues a ticket (`issue`), the job takes it up (`travelled`). Calls there are carried calls (`carrying.py`) that
name the ticket's session, and they are no activity: a job is not the visitor. They add events, properties and a user to
that session while it is there, late ones after its end. They revive nothing, begin nothing and set no cookie.

See S15 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sojourn.core import session
from sojourn.core.records import CARRIED, LATE
from sojourn.core.session import SessionState

from .binding import OPTED_OUT, SessionBinding
from .carrying import Carried, Carrier, active, call
from .facts import NOTHING_KNOWN
from .identification import known_user_id
from .tickets import Ticket
from .visit import Visit, active_visit
from .visit_context import VisitContext

NO_TICKET: Final = "not_carried"


@dataclass(frozen=True, slots=True)
class Travelled(Carried):
    """A session that came with a ticket."""

    ticket: Ticket

    def ended_session(self) -> SessionState:
        """The session of these calls, however it is: nothing of them waits for a response."""
        visit, state = self.visit, self.ticket.state
        visit.late_flags = CARRIED | (LATE if self._has_ended() else 0)
        return state

    def _has_ended(self) -> bool:
        """Whether the session has ended, as far as this host knows. The fold finds it out where it does not."""
        state, live = self.ticket.state, self.visit.live
        if state.is_ended or live is None:
            return True
        live.look()
        if live.state.key != state.key or live.state.is_ended or live.ended_elsewhere is not None:
            return True
        last_seen_at, _, _ = live.shared.look()  # 0: another host has the session
        now = self.visit.context.clock.now()
        return last_seen_at > 0 and session.over(live, self.visit.context.options.rules, now) is not None


def issue(visit: Visit) -> str | None:
    """The ticket of the session that a request is in; the one that a job came with is passed on, at its age."""
    current = visit.ticket
    if current is not None:
        return visit.context.tickets.dumps(current)
    state = session_of(visit)
    if state is None:
        return None
    ticket = Ticket(
        state=state, issued_at=visit.context.clock.now(), no_forward=visit.no_forward, is_anonymous=visit.is_anonymous
    )
    return visit.context.tickets.dumps(ticket)


def session_of(visit: Visit) -> SessionState | None:
    """The session that helpers name now, an ended one included."""
    return call(None, _state, _state_late, visit)


def correlation(visit: Visit, *, has_user: bool) -> dict[str, str]:
    """`session.id`, and `user.id` if it is wanted and known here, for what other services get to see.

    Empty where the browser asks that nothing is forwarded.
    """
    state = None if visit.no_forward else session_of(visit)
    if state is None:
        return {}
    user_id = known_user_id(visit, state) if has_user and not visit.is_anonymous else None
    return {"session.id": state.session_id} | ({} if user_id is None else {"user.id": user_id})


def _state(visit: Visit) -> SessionState | None:
    return visit.look() or (visit.binding.latest if visit.refused is None else None)


def _state_late(_visit: Visit, state: SessionState) -> SessionState:
    return state


@contextmanager
def travelled(context: VisitContext, value: str | None, *, max_age: int) -> Iterator[None]:
    """Make the session of a ticket the one that helpers name. Without a valid ticket they do nothing, and are counted."""
    visit, carried = _arrived(context, value, max_age)
    if carried is None:
        token = active_visit.set(visit)
        try:
            yield
        finally:
            active_visit.reset(token)
    else:
        with active(carried):
            yield


def _arrived(context: VisitContext, value: str | None, max_age: int) -> tuple[Visit, Carried | None]:
    visit = Visit(context, NOTHING_KNOWN, context.clock.now())
    visit.responded = True
    ticket = context.guard.guarded(None, context.tickets.loads, value) if value else None
    refusal = _refusal(context, value, ticket, max_age)
    if refusal is not None or ticket is None:
        visit.refuse(refusal or NO_TICKET)
        context.guard.count(refusal or NO_TICKET)
        return visit, None
    state = ticket.state
    live = context.sessions.get_or_add(state, ticket.key_number)
    visit.binding = SessionBinding(live=live, seen_key=live.state.key)
    visit.no_forward, visit.is_anonymous = ticket.no_forward, ticket.is_anonymous
    visit.ticket = ticket
    visit.carrier = Carrier()
    return visit, Travelled(visit, visit.carrier, state.key, ticket)


def _refusal(context: VisitContext, value: str | None, ticket: Ticket | None, max_age: int) -> str | None:
    if not context.options.is_enabled:
        return "disabled"
    if ticket is None:
        return "ticket_unverified" if value else NO_TICKET
    now = context.clock.now()
    if now - ticket.issued_at > max_age or ticket.issued_at - now > context.options.rules.max_clock_lead:
        return "ticket_too_old"
    sessions = context.sessions
    if sessions.has_opt_outs and sessions.has_opted_out(context.codec.hash_user(ticket.state.visitor_id)):
        return OPTED_OUT
    return None
