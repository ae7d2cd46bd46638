"""The visitor's own switch (S7): `opt_out()` and `opt_in()`.

Opting out ends the session, tells that, and forgets the visitor here; the cookie then says nothing but the opt-out. A
call after the response has started is enforced by the recorder, and mended in the cookie by the next response.
"""

from __future__ import annotations

from sojourn.core.events import OPT_OUT, SESSION_END
from sojourn.core.records import Entry, Seal
from sojourn.core.session import EndReason

from .visit import Choice, Visit

_NOT_OURS = frozenset({"disabled", "excluded", "fault"})


def opt_out(visit: Visit) -> None:
    """End the session for good; from here on this visit is nobody's."""
    if visit.refused in _NOT_OURS:
        visit.host.count("no_session")
        return
    if visit.refused == "opted_out":
        return
    if not visit.responded:
        visit.follow()
    live = visit.live
    visit.parts.clear()  # what happened before in this request is told to nobody any more
    visit.draft = None
    if live is not None and not live.is_gone:
        at = max(visit.host.now(), live.last_seen_at) if visit.responded else visit.at
        is_running = visit.over(at) is None
        visit.at = at
        part = visit.part(live.state)
        part.entries.append(Entry(OPT_OUT, at))
        if not live.state.is_ended:
            part.seal = Entry(SESSION_END, at, seal=Seal(EndReason.OPTED_OUT, at if is_running else live.last_seen_at))
        visit.host.forget(live)
    visit.choice = Choice.OUT
    visit.refused = "opted_out"
    visit.live = visit.home = None
    visit.user_id = None
    if visit.responded:
        if not visit.parts:  # nobody whom the recorder could remember, and no answer left to tell the browser
            visit.host.count("no_session")
            visit.host.warn_once("late_opt_out", "opt_out() came after the response to a visitor without a session")
        visit.host.record_opt_out(visit)


def opt_in(visit: Visit) -> None:
    """Take part (again): a new visitor, whom nothing links to the one before."""
    if visit.refused not in {"opted_out", "no_consent"}:
        return
    if visit.responded:
        visit.host.count("no_session")
        visit.host.warn_once("late_opt_in", "opt_in() came after the response had started, too late for its cookie")
        return
    if visit.choice is Choice.OUT:
        visit.host.record_opt_out(visit)
    visit.choice, visit.refused = Choice.IN, None
    visit.arrived = visit.live = visit.home = visit.succession = visit.draft = None
    visit.at = visit.now
    if visit.host.rules.automatic:
        visit.enter(by_helper=True)
