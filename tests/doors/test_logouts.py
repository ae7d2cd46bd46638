"""What is anonymous after a logout is told apart from what was anonymous before: `visitor.logouts`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import sojourn
from sojourn import Event
from tests.doors.browser import Browser, Site, view_of
from tests.doors.conftest import MakeSite

LEAVE: dict[str, tuple[Callable[[], object], ...]] = {
    "identify(None)": (lambda: sojourn.identify(None),),
    "end_session()": (sojourn.end_session,),
    "both": (lambda: sojourn.identify(None), sojourn.end_session),
    "both, the other way round": (sojourn.end_session, lambda: sojourn.identify(None)),
}


def visit(site: Site, leave: tuple[Callable[[], object], ...], *, then: str | None = None) -> list[Event]:
    """A page, Anna's login and logout, and a page of the next person, who may log in."""
    site.views |= {
        "/login": view_of(lambda: sojourn.identify("anna")),
        "/logout": view_of(*leave),
        "/next": view_of(lambda: sojourn.identify(then)),
    }
    browser = Browser(site)
    for path in ("/", "/login", "/mine", "/logout", "/stranger", *(("/next",) if then else ())):
        site.clock.advance(5)
        browser.navigate(path)
        site.engine.flush()
    return site.events


def persons(events: list[Event]) -> dict[str, tuple[str | None, object]]:
    """Whose page view it is: (user, logouts), by path."""
    return {
        str(event.attributes["url.path"]): (event.user_id, event.attributes.get("visitor.logouts"))
        for event in events
        if event.name == "page_view"
    }


@pytest.mark.parametrize("way", LEAVE)
def test_a_logout_is_counted_once_however_it_is_done(site: Site, way: str) -> None:
    events = visit(site, LEAVE[way], then="ben")
    shown = persons(events)
    assert (shown["/"], shown["/mine"]) == ((None, None), ("anna", None))
    assert (shown["/stranger"], shown["/next"]) == ((None, 1), ("ben", 1))
    assert len({event.visitor_id for event in events}) == 1


def test_direct_change_of_user_is_a_logout(site: Site) -> None:
    shown = persons(visit(site, (lambda: sojourn.identify("ben"),)))
    assert (shown["/mine"], shown["/stranger"]) == (("anna", None), ("ben", 1))


def test_change_of_user_within_the_session_is_a_logout(make_site: MakeSite) -> None:
    site = make_site(on_user_change="keep")
    shown = persons(visit(site, (lambda: sojourn.identify("ben"),)))
    assert (shown["/mine"], shown["/stranger"]) == (("anna", None), ("ben", 1))


def test_logout_of_the_frameworks_user_is_counted_from_the_first_anonymous_page() -> None:
    """The user may have been gone before that page: it is not theirs."""
    site = Site("asgi")  # REMOTE_USER does not say that a visitor is anonymous
    browser = Browser(site)
    for user in ("anna", "", "", "ben", ""):
        site.user = user
        browser.navigate()
    views = site.named("page_view")
    assert [(view.user_id, view.attributes.get("visitor.logouts")) for view in views] == [
        ("anna", None),
        (None, 1),
        (None, 1),
        ("ben", 1),
        (None, 2),
    ]
    assert [(event.user_id, event.attributes.get("visitor.logouts")) for event in site.named("user.identify")] == [
        ("anna", None),
        (None, None),
        ("ben", 1),
        (None, 1),
    ]
    site.close()


@pytest.mark.parametrize("way", ["identify(None)", "end_session()", "both"])
def test_request_that_logs_out_and_the_end_of_its_session_are_still_before(site: Site, way: str) -> None:
    """So the session that the user ended is theirs to its last event."""
    events = visit(site, LEAVE[way])
    assert persons(events)["/logout"][1] is None
    assert [event.attributes.get("visitor.logouts") for event in site.named("session.end")] in ([], [None])
    untagging = [event for event in site.named("user.identify") if event.user_id is None]
    assert [event.attributes.get("visitor.logouts") for event in untagging] in ([], [None])


def test_session_that_begins_with_the_logout_ends_with_it(site: Site) -> None:
    """After an idle timeout the user goes on in another session, and its first request may be the logout."""
    site.views |= {"/login": view_of(lambda: sojourn.identify("anna")), "/logout": view_of(*LEAVE["both"])}
    browser = Browser(site)
    browser.navigate("/login")
    site.clock.advance(3_600)
    browser.navigate("/logout")
    browser.navigate("/stranger")
    assert {event.attributes.get("visitor.logouts") for event in site.events[:-2]} == {None}
    assert [event.attributes.get("visitor.logouts") for event in site.events[-2:]] == [1, 1]


def test_later_sessions_and_their_ends_keep_the_count(site: Site) -> None:
    """The sweeper's end of a session has no request of its own."""
    visit(site, LEAVE["identify(None)"])
    site.clock.advance(3_600)
    site.engine.sweep()
    browser = Browser(site)
    browser.navigate()
    last = site.named("session.end")[-1]
    assert (last.user_id, last.attributes["visitor.logouts"]) == (None, 1)


def test_idle_timeout_is_no_logout(site: Site) -> None:
    site.views["/login"] = view_of(lambda: sojourn.identify("anna"))
    browser = Browser(site)
    browser.navigate("/login")
    site.clock.advance(3_600)
    browser.navigate("/back")
    assert persons(site.events)["/back"] == ("anna", None)


def test_scrub_cannot_take_the_count_out(make_site: MakeSite) -> None:
    """Without it, a vendor that merges visitors would give what is anonymous to the user who left."""
    without = "visitor.logouts"

    def scrub(event: Event) -> Event:
        shown = {name: value for name, value in event.attributes.items() if name != without}
        return sojourn.Event(
            **{**{name: getattr(event, name) for name in event.__struct_fields__}, "attributes": shown}
        )

    site = make_site(scrub=scrub)
    assert persons(visit(site, LEAVE["both"]))["/stranger"] == (None, 1)
