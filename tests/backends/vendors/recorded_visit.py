"""The events of a visit with everything that can happen in one, as an engine records it, and its true sessions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Final

import sojourn
from sojourn.backends import Backend
from sojourn.core.events import Event
from sojourn.testing import ManualClock, MemoryBackend
from sojourn.testing.backend_contract import deliver
from sojourn.testing.vendors import VendorSession
from tests.backends.vendors.played_visit import BEGAN_AT, Truth
from tests.doors.browser import Browser, Response, Site, view_of

PLAN: Final = {"session_properties.plan": "team"}
TRUTH: Final = (
    Truth(user="anna", started=0, ended=105, reason="idle_timeout", properties=PLAN),
    Truth(user="anna", started=4_000, ended=4_010, reason="user_changed"),
    Truth(user="ben", started=4_020, ended=4_050, reason="opted_out"),
)
_STEPS: Final[Sequence[tuple[int, str]]] = (
    (0, "/?utm_source=letter&utm_medium=mail"),
    (10, "/seeds"),
    (15, "/login/anna"),
    (20, "/plan"),
    (25, "/broken"),
    (30, "/missing"),
    (100, "/basil"),
    (105, "/seeds"),
    (4_000, "/"),
    (4_010, "/seeds"),
    (4_020, "/login/ben"),
    (4_050, "/leave"),
)


@cache
def visit_events() -> tuple[Event, ...]:
    """The events, as their backends were given them."""
    memory = MemoryBackend(wants_context=True)
    site = Site(
        "asgi",
        clock=ManualClock(BEGAN_AT),
        backends=[memory],
        service_name="shop",
        service_version="1.4.0",
        environment="test",
    )
    site.views |= {
        "/login/anna": view_of(lambda: sojourn.identify("anna", "Anna", traits={"team": "blue"})),
        "/login/ben": view_of(lambda: sojourn.identify("ben")),
        "/plan": view_of(
            lambda: sojourn.set_session_property("plan", "team"),
            lambda: sojourn.track("cart_add", {"sku": "A-17", "price": 3.5, "gift": True}),
        ),
        "/broken": view_of(_break),
        "/missing": lambda: Response(status=404),
        "/leave": view_of(sojourn.opt_out),
    }
    browser = Browser(site)
    try:
        for at, path in _STEPS:
            site.clock.advance((BEGAN_AT + at * 1000 - site.clock.now()) / 1000)
            site.engine.sweep()
            browser.navigate(path)
            site.engine.flush()
        return tuple(memory.events)
    finally:
        site.close()


def _break() -> None:
    try:
        raise LookupError("no such seed")
    except LookupError as error:
        sojourn.capture_exception(error)


def deliver_in_parts(backend: Backend, cuts: Sequence[int], *, times: int = 1) -> None:
    """Deliver the visit in as many parts as there are cuts, and each part so many times over."""
    events = [event for event in visit_events() if backend.accepts(event)]
    places = sorted({0, len(events), *(cut % len(events) for cut in cuts)})
    for start, end in pairwise(places):
        for _ in range(times):
            outcome = deliver(backend, events[start:end], sends=200)
            assert outcome.rejected == ()


def check_truth(sessions: Sequence[VendorSession]) -> None:
    """Compare what a vendor shows with what is true."""
    assert [
        (session.user_id, session.started_at, session.ended_at, session.duration_ms, session.reason)
        for session in sessions
    ] == [(truth.user, truth.started_at, truth.ended_at, truth.duration_ms, truth.reason) for truth in TRUTH]
    assert [dict(session.properties) for session in sessions] == [dict(truth.properties) for truth in TRUTH]
    assert [session.previous_id for session in sessions] == [None, sessions[0].session_id, sessions[1].session_id]
    assert len({session.visitor_id for session in sessions}) == 1
