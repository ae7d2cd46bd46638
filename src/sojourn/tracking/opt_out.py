"""The visitor's own switch (S7): `opt_out()` and `opt_in()`.

Opting out ends the session, records that, and forgets the visitor here; the cookie then says nothing but the opt-out. For
a call after the response has started, the recorder enforces it, and the next response corrects the cookie.
"""

from __future__ import annotations

from sojourn.core.events import OPT_OUT, SESSION_END
from sojourn.core.records import Entry, Seal
from sojourn.core.session import EndReason

from .binding import NO_ADDRESS, OPTED_OUT, Choice, SessionBinding
from .own_traffic import OWN_ADDRESS, OWN_BROWSER, OWN_USER
from .visit import Visit

_UNTRACKED = frozenset({"disabled", "excluded", "fault", OWN_ADDRESS, OWN_BROWSER, OWN_USER})


def opt_out(visit: Visit) -> None:
    """End the session for good; this visit has none from here on."""
    if visit.refused in _UNTRACKED:
        visit.guard.count("no_session")
        return
    if visit.refused == OPTED_OUT:
        return
    if not visit.responded:
        visit.follow()
    context, live = visit.context, visit.live
    visit.changes.clear()  # what happened before in this request is not recorded any more
    if live is not None and not live.is_gone:
        at = max(context.clock.now(), live.last_seen_at) if visit.responded else visit.at
        is_running = visit.over(live, at) is None
        visit.at = at
        changes = visit.changes_of(live.state)
        changes.entries.append(Entry(OPT_OUT, at))
        if not live.state.is_ended:
            last_seen_at = at if is_running else live.last_seen_at
            changes.seal = Entry(SESSION_END, at, seal=Seal(EndReason.OPTED_OUT, last_seen_at))
        context.sessions.forget(live, context.codec.hash_user(live.state.visitor_id))
        context.memory.forget(live.state.visitor_id)
    visit.binding = visit.binding.opt_out()
    visit.user_id = None
    if visit.responded:
        if not visit.changes:  # no visitor for the recorder to remember, and no response left that could set the cookie
            visit.guard.count("no_session")
            visit.guard.warn_once("late_opt_out", "opt_out() came after the response to a visitor without a session")
        context.recorder.record_opt_out(visit)


def opt_in(visit: Visit) -> None:
    """Take part (again), as a new visitor that nothing links to the one before.

    A visitor who is known without a cookie consents to one: the session goes on.
    """
    cookieless = visit.context.cookieless
    is_consent = cookieless is not None and visit.lacks_consent and visit.daily is not None and visit.refused is None
    if not is_consent and visit.refused not in {OPTED_OUT, "no_consent", NO_ADDRESS}:
        return
    if visit.responded:
        visit.guard.count("no_session")
        visit.guard.warn_once("late_opt_in", "opt_in() came after the response had started, too late for its cookie")
        return
    if visit.binding.choice is Choice.OUT:
        visit.context.recorder.record_opt_out(visit)
    if cookieless is not None and is_consent:
        cookieless.consent(visit)
    else:
        visit.binding, visit.daily, visit.at = SessionBinding(choice=Choice.IN), None, visit.now
        if cookieless is not None and cookieless.is_always:
            cookieless.return_to(visit)
    if visit.context.options.rules.automatic:
        visit.enter(by_helper=True)
