"""Several workers of one host: each knows what it saw, and what the table that they share says of the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sojourn import end_session, identify, opt_out, start_session
from sojourn.testing import ManualClock
from tests.doors.browser import Browser, Protocol, Site, during, view_of
from tests.doors.several_sites import WITHOUT_A_COOKIE, at, serve_without_a_cookie

MakeWorkers = Callable[..., tuple[Site, Site]]


@pytest.fixture
def make_workers(protocol: Protocol, tmp_path: Path) -> Iterator[MakeWorkers]:
    workers: list[Site] = []

    def make(**settings: Any) -> tuple[Site, Site]:
        clock = ManualClock()
        store = f"sqlite:///{tmp_path}/sojourn.db"
        workers.extend(Site(protocol, clock=clock, store=store, **settings) for _ in range(2))
        return workers[0], workers[1]

    yield make
    for worker in workers:
        worker.close()


def events_of(*workers: Site) -> list[Any]:
    return [event for worker in workers for event in worker.events]


def starts_of(*workers: Site) -> list[str]:
    return [event.session_id for event in events_of(*workers) if event.name == "session.start"]


@pytest.mark.parametrize(
    "request_once",
    [
        *WITHOUT_A_COOKIE,
        pytest.param(lambda browser: browser.navigate("/slow"), id="slow responses"),
    ],
)
def test_activity_whose_responses_carry_no_cookie_reaches_the_next_worker(
    make_workers: MakeWorkers, request_once: Callable[[Browser], object]
) -> None:
    one, other = make_workers()
    serve_without_a_cookie(one)
    one.views["/slow"] = view_of(lambda: one.clock.advance(25))
    browser = Browser(one)
    browser.navigate()
    for _ in range(8):
        one.clock.advance(5 * 60)
        request_once(browser)
    at(other, browser).navigate()
    assert len(starts_of(one, other)) == 1


def test_a_slow_response_refreshes_a_cookie_that_has_grown_old(make_workers: MakeWorkers) -> None:
    one, _ = make_workers()
    browser = Browser(one)
    browser.navigate()
    one.clock.advance(100)
    one.views["/slow"] = view_of(lambda: one.clock.advance(25))
    assert len(browser.navigate("/slow").cookies) == 1


def test_a_cookie_from_before_a_logout_names_no_user_at_another_worker(make_workers: MakeWorkers) -> None:
    one, other = make_workers()
    one.views["/in"] = view_of(lambda: identify("anna"))
    one.views["/out"] = view_of(lambda: identify(None))
    browser = Browser(one)
    browser.navigate("/in")
    stale = dict(browser.cookies)
    one.clock.advance(5)
    browser.navigate("/out")
    browser.cookies = stale
    assert len(at(other, browser).navigate("/next").cookies) == 1
    (page,) = (event for event in events_of(one, other) if event.attributes.get("url.path") == "/next")
    assert (page.user_id, len(starts_of(one, other))) == (None, 1)


LEAVE = {
    "end_session": (end_session, 2),
    "another user": (lambda: identify("ben"), 3),
    "start_session": (start_session, 3),
}


@pytest.mark.parametrize(("call", "sessions"), LEAVE.values(), ids=LEAVE)
def test_a_poll_in_flight_elsewhere_writes_no_cookie_over_a_call(
    make_workers: MakeWorkers, call: Callable[[], object], sessions: int
) -> None:
    one, other = make_workers()
    one.views["/in"] = view_of(lambda: identify("anna"))
    one.views["/call"] = view_of(call)
    browser = Browser(one)
    browser.navigate("/in")
    one.clock.advance(120)
    poll = at(other, browser).twin()
    reply = during(poll, "/poll", lambda: browser.navigate("/call"))
    assert reply.cookies == []
    assert sessions > 1


@pytest.mark.parametrize(("call", "sessions"), LEAVE.values(), ids=LEAVE)
def test_a_cookie_from_before_a_call_leads_to_an_anonymous_new_session(
    make_workers: MakeWorkers, call: Callable[[], object], sessions: int
) -> None:
    """The poll's response left before the call, and reached the browser after it."""
    one, other = make_workers()
    one.views["/in"] = view_of(lambda: identify("anna"))
    one.views["/call"] = view_of(call)
    browser = Browser(one)
    browser.navigate("/in")
    stale = dict(browser.cookies)
    one.clock.advance(5)
    browser.navigate("/call")
    browser.cookies = stale
    one.clock.advance(5)
    assert len(at(other, browser).navigate("/next").cookies) == 1
    started = starts_of(one, other)
    assert len(started) == sessions
    (page,) = (
        event
        for event in events_of(one, other)
        if event.attributes.get("url.path") == "/next" and event.name == "page_view"
    )
    assert (page.session_id, page.user_id) == (started[-1], None)


def test_a_fetch_with_a_cookie_from_before_a_call_stays_with_its_session(make_workers: MakeWorkers) -> None:
    """It was sent before the browser had the new cookie, so it must not put another one over that."""
    one, other = make_workers()
    one.views["/in"] = view_of(lambda: identify("ben"))
    browser = Browser(one)
    browser.navigate("/")
    identified = browser.twin()
    one.views["/out"] = view_of(end_session)
    one.clock.advance(120)
    browser.navigate("/out")
    one.clock.advance(1)
    reply = Browser(other, cookies=identified.cookies).fetch("/api")
    assert reply.cookies == []
    assert len(starts_of(one, other)) == 1


def test_an_opt_out_holds_at_every_worker_at_once(make_workers: MakeWorkers) -> None:
    one, other = make_workers()
    one.views["/out"] = view_of(opt_out)
    browser = Browser(one)
    browser.navigate()
    stale = dict(browser.cookies)
    browser.navigate("/out")
    assert at(other, Browser(other, cookies=stale)).navigate("/next").status == 200
    assert other.ignored["opted_out"] == 1
    assert [event for event in events_of(one, other) if event.attributes.get("url.path") == "/next"] == []
