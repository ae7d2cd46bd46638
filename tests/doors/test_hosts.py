"""Several hosts with one store: what one of them recorded reaches the table that the workers of another share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sojourn import end_session, identify, opt_out, start_session
from sojourn.testing import ManualClock
from tests.doors.browser import Browser, Protocol, Reply, Site, during, view_of
from tests.doors.several_sites import WITHOUT_A_COOKIE, at, serve_without_a_cookie
from tests.postgres import Cluster

MakeHosts = Callable[..., tuple[Site, Site]]


@pytest.fixture(params=["sqlite", "postgres"])
def make_hosts(request: pytest.FixtureRequest, protocol: Protocol, tmp_path: Path) -> Iterator[MakeHosts]:
    hosts: list[Site] = []
    store = f"sqlite:///{tmp_path}/sojourn.db"
    if request.param == "postgres":
        cluster: Cluster = request.getfixturevalue("postgres")
        store = cluster.fresh_database()

    def make(**settings: Any) -> tuple[Site, Site]:
        clock = ManualClock()
        hosts.extend(
            Site(protocol, clock=clock, store=store, journal_dir=tmp_path / name, **settings) for name in ("a", "b")
        )
        return hosts[0], hosts[1]

    yield make
    for host in hosts:
        host.close()


def settle(*hosts: Site) -> None:
    """Let each host record, and read what the others recorded."""
    for host in (*hosts, *hosts):
        host.engine.flush()


def events_of(*hosts: Site) -> list[Any]:
    """All events, once."""
    return list({event.id: event for host in hosts for event in host.events}.values())


def starts_of(*hosts: Site) -> list[str]:
    return [event.session_id for event in events_of(*hosts) if event.name == "session.start"]


def page_at(path: str, *hosts: Site) -> Any:
    (page,) = (e for e in events_of(*hosts) if e.name == "page_view" and e.attributes["url.path"] == path)
    return page


@pytest.mark.parametrize("request_once", WITHOUT_A_COOKIE)
def test_activity_whose_responses_carry_no_cookie_reaches_the_other_host(
    make_hosts: MakeHosts, request_once: Callable[[Browser], Reply]
) -> None:
    one, other = make_hosts()
    serve_without_a_cookie(one)
    browser = Browser(one)
    browser.navigate()
    for _ in range(8):
        one.clock.advance(5 * 60)
        request_once(browser)
        settle(one, other)
    at(other, browser).navigate()
    assert len(starts_of(one, other)) == 1


def test_host_that_starts_later_learns_what_was_recorded_before(make_hosts: MakeHosts) -> None:
    one, other = make_hosts()
    browser = Browser(one)
    browser.navigate()
    for _ in range(5):
        one.clock.advance(8 * 60)
        browser.ask("HEAD", "/", {})
    one.engine.flush()
    one.clock.advance(8 * 60)
    other.engine.flush()
    at(other, browser).navigate()
    assert len(starts_of(one, other)) == 1


def test_slow_response_refreshes_a_cookie_that_another_host_wrote(make_hosts: MakeHosts) -> None:
    one, other = make_hosts()
    browser = Browser(one)
    browser.navigate()
    settle(one, other)
    one.clock.advance(100)
    other.views["/slow"] = view_of(lambda: other.clock.advance(25))
    assert len(at(other, browser).navigate("/slow").cookies) == 1


def test_cookie_from_before_a_logout_names_no_user_at_the_other_host(make_hosts: MakeHosts) -> None:
    one, other = make_hosts()
    one.views["/in"] = view_of(lambda: identify("anna"))
    one.views["/out"] = view_of(lambda: identify(None))
    browser = Browser(one)
    browser.navigate("/in")
    stale = dict(browser.cookies)
    one.clock.advance(5)
    browser.navigate("/out")
    settle(one, other)
    browser.cookies = stale
    assert len(at(other, browser).navigate("/next").cookies) == 1
    assert (page_at("/next", one, other).user_id, len(starts_of(one, other))) == (None, 1)


CALLS = {
    "end_session": (end_session, 2),
    "another user": (lambda: identify("ben"), 3),
    "start_session": (start_session, 3),
}


@pytest.mark.parametrize(("call", "sessions"), CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("silent_for", [0, 20 * 60])
def test_cookie_from_before_a_call_leads_to_an_anonymous_new_session(
    make_hosts: MakeHosts, call: Callable[[], object], sessions: int, silent_for: int
) -> None:
    one, other = make_hosts()
    one.views["/in"] = view_of(lambda: identify("anna"))
    one.views["/call"] = view_of(call)
    browser = Browser(one)
    browser.navigate("/in")
    settle(one, other)
    stale = dict(browser.cookies)
    one.clock.advance(5 + silent_for)
    browser.navigate("/call")
    settle(one, other)
    one.clock.advance(5)
    browser.cookies = stale
    assert len(at(other, browser).navigate("/next").cookies) == 1
    started = starts_of(one, other)
    page = page_at("/next", one, other)
    assert (len(started), page.session_id, page.user_id) == (sessions, started[-1], None)


@pytest.mark.parametrize(("call", "sessions"), CALLS.values(), ids=CALLS)
def test_poll_in_flight_at_the_other_host_writes_no_cookie_over_a_call(
    make_hosts: MakeHosts, call: Callable[[], object], sessions: int
) -> None:
    one, other = make_hosts()
    one.views["/in"] = view_of(lambda: identify("anna"))
    one.views["/call"] = view_of(call)
    browser = Browser(one)
    browser.navigate("/in")
    settle(one, other)
    one.clock.advance(120)
    poll = at(other, browser).twin()

    def leave() -> None:
        browser.navigate("/call")
        settle(one, other)

    assert during(poll, "/poll", leave).cookies == []
    assert sessions > 1


def test_opt_out_holds_at_the_other_host(make_hosts: MakeHosts) -> None:
    one, other = make_hosts()
    one.views["/out"] = view_of(opt_out)
    browser = Browser(one)
    browser.navigate()
    stale = dict(browser.cookies)
    browser.navigate("/out")
    settle(one, other)
    assert Browser(other, cookies=stale).navigate("/next").status == 200
    assert other.ignored["opted_out"] == 1


def test_clock_that_is_behind_does_not_hide_activity(make_hosts: MakeHosts, protocol: Protocol, tmp_path: Path) -> None:
    """The clock of the host that sees the visitor is a minute behind that of the other one."""
    one, other = make_hosts()
    behind = ManualClock()
    behind.advance(-60)
    late = Site(protocol, clock=behind, store=one.settings.store, journal_dir=tmp_path / "c")
    browser = Browser(late)
    browser.navigate()
    for _ in range(8):
        one.clock.advance(5 * 60)
        behind.advance(5 * 60)
        browser.ask("HEAD", "/", {})
        settle(late, other)
    at(other, browser).navigate()
    assert len(starts_of(late, other)) == 1
    late.close()


# --- what a host could not know in time


def test_successor_that_the_row_contradicts_is_part_of_the_session(make_hosts: MakeHosts) -> None:
    """The other host learns of the activity only when it records what it took for the next session."""
    one, other = make_hosts()
    one.views["/call"] = view_of(lambda: identify("anna"))
    browser = Browser(one)
    browser.navigate()
    for _ in range(8):
        one.clock.advance(5 * 60)
        browser.ask("HEAD", "/", {})
    at_other = at(other, browser)
    at_other.navigate("/first")
    settle(one, other)
    assert len(starts_of(one, other)) == 1
    one.clock.advance(60)
    at_other.navigate("/second")
    one.clock.advance(60)
    at(one, at_other).navigate("/call")
    settle(one, other)
    (session,) = starts_of(one, other)
    pages = [page_at(path, one, other) for path in ("/first", "/second", "/call")]
    assert {page.session_id for page in pages} == {session}
    assert [event.name for event in events_of(one, other)].count("session.end") == 0
    (row,) = one.engine.store.sessions.latest(limit=9)
    assert (row.page_views, row.user_id, row.is_open) == (4, "anna", True)
    assert one.engine.stats().store.counters["sessions.folded_in"] == 1


def test_session_after_one_that_was_folded_in_follows_the_whole(make_hosts: MakeHosts) -> None:
    one, other = make_hosts()
    other.views["/end"] = view_of(start_session)
    browser = Browser(one)
    browser.navigate()
    for _ in range(5):
        one.clock.advance(8 * 60)
        browser.ask("HEAD", "/", {})
    at_other = at(other, browser)
    at_other.navigate("/first")
    settle(one, other)
    one.clock.advance(60)
    at_other.navigate("/end")
    settle(one, other)
    first, second = starts_of(one, other)
    (end,) = (event for event in events_of(one, other) if event.name == "session.end")
    assert (end.session_id, end.attributes["session.end_reason"]) == (first, "restarted")
    assert end.attributes["session.duration_ms"] == 41 * 60_000
    (begun,) = (e for e in events_of(one, other) if e.name == "session.start" and e.session_id == second)
    assert begun.previous_id == first


def test_both_sessions_stand_where_the_successor_was_recorded_first(make_hosts: MakeHosts) -> None:
    one, other = make_hosts()
    browser = Browser(one)
    browser.navigate()
    one.engine.flush()
    for _ in range(5):
        one.clock.advance(8 * 60)
        browser.ask("HEAD", "/", {})
    at(other, browser).navigate("/first")
    other.engine.flush()
    settle(one, other)
    assert len(starts_of(one, other)) == 2
    assert "sessions.folded_in" not in one.engine.stats().store.counters
