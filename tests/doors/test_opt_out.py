"""S7 where requests overlap: opting out beside parallel requests, open sockets and streams, and late calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sojourn import heartbeat, identify, opt_in, opt_out, set_session_property, start_session, track
from sojourn.asgi import Message
from sojourn.testing import ManualClock
from sojourn.tracking.cookie_layout import OptedOut
from tests.doors.asgi_calls import door
from tests.doors.browser import Browser, Protocol, Response, Site, during, run, view_of

MakeSite = Callable[..., Site]


def is_out(browser: Browser) -> bool:
    """Whether its cookie says that it opted out, and nothing else."""
    return [
        isinstance(browser.site.engine.tracker.codec.loads(value.encode()), OptedOut)
        for value in browser.cookies.values()
    ] == [True]


def everything() -> None:
    """Call every helper that records something."""
    track("late")
    identify("bob")
    set_session_property("plan", "pro")
    heartbeat()
    start_session("checkout-1")


@pytest.fixture
def leaving(site: Site, browser: Browser) -> Browser:
    site.views["/out"] = view_of(opt_out)
    browser.navigate()
    site.clock.advance(5)
    assert site.names() == LEFT[:2]  # forwarded: what is not yet is never
    return browser


LEFT = ["session.start", "page_view", "opt_out", "session.end"]


@pytest.mark.parametrize("where", ["after opting out", "late", "on the next page"])
def test_nothing_is_recorded_of_a_visitor_who_opted_out(site: Site, leaving: Browser, where: str) -> None:
    if where == "after opting out":
        site.views["/out"] = view_of(opt_out, everything)
    elif where == "late":
        site.views["/out"] = view_of(opt_out, response=Response(late=everything))
    else:
        site.views["/"] = view_of(everything)
    leaving.navigate("/out")
    leaving.navigate()
    assert site.names() == LEFT
    assert is_out(leaving)


def test_a_request_in_flight_records_nothing_after_the_opt_out(site: Site, leaving: Browser) -> None:
    twin = leaving.twin()

    def meanwhile() -> None:
        track("before")
        twin.navigate("/out")
        everything()

    during(leaving, "/slow", meanwhile, Response(late=everything))
    assert site.names() == LEFT
    assert is_out(twin)


def test_an_open_socket_falls_silent() -> None:
    site = Site("asgi")
    browser = Browser(site)
    site.views["/out"] = view_of(opt_out)
    browser.navigate()
    assert site.names() == LEFT[:2]
    messages: Iterator[Message] = iter(
        [
            {"type": "websocket.connect"},
            {"type": "websocket.receive", "text": "leave"},
            {"type": "websocket.receive", "text": "speak"},
            {"type": "websocket.disconnect", "code": 1001},
        ]
    )

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            if message["text"] == "leave":
                browser.twin().navigate("/out")
            else:
                everything()

    async def receive() -> Message:
        site.clock.advance(20)
        return next(messages)

    async def send(_message: Message) -> None:
        pass

    cookie = f"sojourn={browser.cookies['sojourn']}".encode()
    run(door(site, app)({"type": "websocket", "path": "/ws", "headers": [(b"cookie", cookie)]}, receive, send))
    assert site.names() == LEFT
    site.close()


def test_opting_out_in_a_socket_counts_and_the_next_page_mends_the_cookie() -> None:
    site = Site("asgi")
    browser = Browser(site)
    browser.navigate()
    assert site.names() == LEFT[:2]

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        opt_out()
        track("late")

    async def nothing(*_: Any) -> Any:
        pytest.fail("the consent callback was called")

    cookie = f"sojourn={browser.cookies['sojourn']}".encode()
    run(door(site, app)({"type": "websocket", "path": "/ws", "headers": [(b"cookie", cookie)]}, nothing, nothing))
    browser.navigate()
    assert site.names() == LEFT
    assert is_out(browser)
    site.close()


def test_a_late_opt_out_ends_a_session_that_the_same_response_began(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(response=Response(late=opt_out))
    browser.navigate()
    site.views["/"] = view_of(everything)
    browser.navigate()
    assert site.names() == ["opt_out"]  # the rest was still on its way, and is not forwarded any more
    assert is_out(browser)


def test_a_late_opt_out_without_a_session_is_counted(site: Site, browser: Browser) -> None:
    """No cookie of ours came, and the response with one has left."""
    site.views["/api"] = view_of(response=Response(late=opt_out))
    browser.fetch("/api")
    assert browser.cookies == {}
    assert site.ignored["no_session"] == 1


def test_a_late_opt_out_holds_in_another_process_too(protocol: Protocol, tmp_path: Path) -> None:
    """There the cookie still looks right: the recorder drops what comes."""
    clock = ManualClock()
    store = f"sqlite:///{tmp_path}/sojourn.db"
    first = Site(protocol, clock=clock, store=store)
    browser = Browser(first)
    first.views["/"] = view_of(response=Response(late=opt_out))
    browser.navigate()
    assert first.names() == ["opt_out"]
    first.close()
    second = Site(protocol, clock=clock, store=store)
    second.views["/"] = view_of(everything)
    elsewhere = Browser(second, cookies=dict(browser.cookies))
    clock.advance(5)
    elsewhere.navigate()
    assert second.names() == []
    second.close()


def test_out_and_in_again_in_one_request_is_a_new_visitor(site: Site, leaving: Browser) -> None:
    site.views["/"] = view_of(opt_out, opt_in, lambda: track("fresh"))
    leaving.navigate()
    old, new = site.named("session.start")
    assert old.visitor_id != new.visitor_id
    assert new.previous_id is None
    assert site.named("fresh")[0].session_id == new.session_id
    assert site.ends() == [("opted_out", 5.0)]


def test_opting_out_twice_is_recorded_once(site: Site, leaving: Browser) -> None:
    twin = leaving.twin()
    site.views["/out"] = view_of(opt_out, opt_out)
    leaving.navigate("/out")
    twin.navigate("/out")
    leaving.navigate("/out")
    assert site.names() == LEFT
    assert is_out(twin)


def test_a_session_that_was_over_ends_where_it_fell_silent(site: Site, leaving: Browser) -> None:
    site.clock.advance(7200)
    leaving.navigate("/out")
    assert site.named("session.end")[0].time == site.named("page_view")[0].time
    assert is_out(leaving)


@pytest.mark.parametrize("setting", ["consent_required", "gpc"])
def test_who_was_not_recorded_at_all_may_still_opt_out(make_site: MakeSite, setting: str) -> None:
    site = make_site(consent_required=True) if setting == "consent_required" else make_site(gpc="off")
    site.views["/out"] = view_of(opt_out)
    browser = Browser(site)
    browser.navigate("/out", sec_gpc="1")
    assert site.events == []
    assert is_out(browser)


@pytest.mark.parametrize("setting", [{"enabled": False}, {"exclude": ["/*"]}], ids=["switched off", "excluded"])
def test_where_we_are_not_there_is_no_cookie_either(make_site: MakeSite, setting: dict[str, Any]) -> None:
    site = make_site(**setting)
    site.views["/out"] = view_of(opt_out, opt_in)
    browser = Browser(site)
    assert browser.navigate("/out").cookies == []


def test_consent_once_withdrawn_and_given_again_is_a_new_visitor(make_site: MakeSite) -> None:
    decisions = [True, False, True]
    site = make_site(consent=lambda _request: decisions.pop(0))
    site.views["/"] = view_of(lambda: track("seen"))
    browser = Browser(site)
    for _ in range(3):
        browser.navigate()
    first, second = site.named("session.start")
    assert first.visitor_id != second.visitor_id
    assert len(site.named("seen")) == 2


def test_the_consent_callable_gets_the_frameworks_request_once(make_site: MakeSite) -> None:
    asked: list[Any] = []

    def consent(request: Any) -> bool:
        asked.append(request)
        return True

    site = make_site(consent=consent)
    browser = Browser(site)
    for _ in range(3):
        browser.navigate("/page")
    if site.protocol.startswith("django"):
        asked = [vars(request) for request in asked]
    places = [request.get("path") or request.get("PATH_INFO") for request in asked]
    assert places == ["/page"] * 3
