"""S13 and events in the session: errors of the app, recorded once, passed on unchanged, without a value of theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from sojourn import capture_exception, track
from sojourn.wsgi import SojournMiddleware as WsgiDoor
from tests.doors.asgi_calls import call, door, page, scope
from tests.doors.browser import Browser, Protocol, Response, Site, view_of


class OwnError(Exception):
    """An error of an app."""


def failing(error: BaseException) -> Any:
    def view() -> Response | None:
        password = "correct horse battery staple"
        assert password
        raise error

    return view


def test_an_error_that_leaves_the_app_is_recorded_in_the_running_session(site: Site, browser: Browser) -> None:
    browser.navigate()
    error = OwnError("it says why")
    site.views["/"] = failing(error)
    with pytest.raises(OwnError) as caught:
        browser.navigate()
    assert caught.value is error
    assert (error.args, error.__notes__ if hasattr(error, "__notes__") else None) == (("it says why",), None)
    (event,) = site.named("exception")
    assert event.attributes["exception.type"].endswith("OwnError")  # type: ignore[union-attr]
    assert event.attributes["exception.message"] == "it says why"
    assert event.attributes["exception.escaped"] is True
    assert "in failing.<locals>.view" in str(event.attributes["exception.stacktrace"])
    assert not any("correct horse" in str(value) for value in event.attributes.values())
    assert site.ignored == {}


def test_it_begins_no_session_where_no_response_can_carry_the_cookie(site: Site, browser: Browser) -> None:
    site.views["/"] = failing(OwnError())
    with pytest.raises(OwnError):
        browser.navigate()
    assert site.events == []


def test_an_error_captured_on_its_way_is_recorded_once(site: Site, browser: Browser) -> None:
    browser.navigate()

    def view() -> None:
        error = OwnError()
        capture_exception(error)
        capture_exception(error)
        raise error

    site.views["/"] = view
    with pytest.raises(OwnError):
        browser.navigate()
    assert len(site.named("exception")) == 1


def test_errors_at_the_same_memory_address_are_each_recorded(site: Site, browser: Browser) -> None:
    def view() -> None:
        for number in range(5):
            try:
                raise OwnError(str(number))
            except OwnError as error:
                capture_exception(error)

    site.views["/"] = view
    browser.navigate()
    assert [event.attributes["exception.message"] for event in site.named("exception")] == list("01234")


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(asyncio.CancelledError(), id="a cancelled task"),
        pytest.param(KeyboardInterrupt(), id="the end of the process"),
        pytest.param(SystemExit(), id="sys.exit"),
        pytest.param(GeneratorExit(), id="a closed generator"),
    ],
)
def test_what_is_no_error_is_not_recorded(site: Site, browser: Browser, error: BaseException) -> None:
    browser.navigate()
    site.views["/"] = failing(error)
    with pytest.raises(type(error)):
        browser.navigate()
    assert site.named("exception") == []


def test_a_handled_error_after_the_response_start_is_recorded_at_once(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(response=Response(late=lambda: capture_exception(OwnError("late"))))
    browser.navigate()
    (event,) = site.named("exception")
    assert event.attributes["exception.escaped"] is False
    assert event.session_id == site.sessions[0]


@pytest.mark.parametrize("given", [None, "text", OwnError], ids=["nothing", "text", "a class"])
def test_what_is_no_exception_is_a_type_error(site: Site, browser: Browser, given: Any) -> None:
    def view() -> None:
        with pytest.raises(TypeError, match="pass the exception itself"):
            capture_exception(given)

    site.views["/"] = view
    assert browser.navigate().status == 200


def test_an_error_while_the_body_is_produced_is_recorded(protocol: Protocol, site: Site, browser: Browser) -> None:
    browser.navigate()
    error = OwnError()

    def late() -> None:
        raise error

    site.views["/"] = view_of(response=Response(pieces=(b"a", b"b"), late=late))
    with pytest.raises(OwnError) as caught:
        browser.navigate()
    assert caught.value is error
    assert len(site.named("exception")) == 1


def test_an_exception_message_reaches_third_parties_only_by_setting(make_site: Any) -> None:
    shown: list[bool] = []
    for wanted in (False, True):
        site = make_site(exception_messages=wanted)
        site.backend.third_party = True
        site.views["/"] = view_of(lambda: capture_exception(OwnError("card 4111")))
        Browser(site).navigate()
        shown.append("exception.message" in site.named("exception")[0].attributes)
    assert shown == [False, True]


def test_an_error_in_a_socket_is_recorded_in_its_session() -> None:
    site = Site("asgi")
    browser = Browser(site)
    browser.navigate()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise OwnError

    cookie = f"sojourn={browser.cookies['sojourn']}".encode()
    with pytest.raises(OwnError):
        call(door(site, app), scope(type="websocket", headers=[(b"cookie", cookie)]))
    assert len(site.named("exception")) == 1
    site.close()


def test_an_error_after_the_response_is_recorded_in_the_session_that_it_began() -> None:
    site = Site("asgi")

    async def app(asked: Any, receive: Any, send: Any) -> None:
        await page(asked, receive, send)
        raise OwnError

    with pytest.raises(OwnError):
        call(door(site, app), scope())
    assert site.names() == ["session.start", "page_view", "exception"]
    site.close()


def test_a_wsgi_app_may_replace_headers_after_an_error_and_stays_in_its_session() -> None:
    site = Site("wsgi")

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/html")])
        try:
            raise OwnError
        except OwnError as error:
            capture_exception(error)
            start_response("500 Sorry", [("Content-Type", "text/html")], (OwnError, error, error.__traceback__))
        return [b"sorry"]

    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started.append((status, headers))
        return lambda data: None

    list(WsgiDoor(app, engine=site.engine)({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, start_response))
    assert [sum(name == "Set-Cookie" for name, _ in headers) for _, headers in started] == [1]
    assert started[0][0] == "500 Sorry"
    assert len(site.named("exception")) == 1
    site.close()


def test_nothing_of_the_request_holds_an_error_when_it_is_over(site: Site, browser: Browser) -> None:
    """Its traceback holds every frame of the request, and what was in them."""
    held: list[Any] = []

    def view() -> None:
        from sojourn.tracking.visit import active_visit

        held.append(active_visit.get())
        capture_exception(OwnError())
        track("seen")

    site.views["/"] = view
    browser.navigate()
    assert held[0].captured is None
