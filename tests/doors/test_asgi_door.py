"""What only ASGI has: scopes, sockets, lifespan, disconnects, servers that look before they call."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from uvicorn.config import Config

from sojourn import Settings, track
from sojourn.asgi import Message, Scope, SojournMiddleware
from sojourn.engine import Engine
from sojourn.testing import ManualClock, MemoryBackend
from sojourn.tracking.visit import VISIT_KEY
from tests.doors.asgi_calls import call, door, page, scope
from tests.doors.browser import KEY, Browser, Site, run


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site("asgi")
    yield made
    made.close()


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(None, id="null"),
        pytest.param((), id="a tuple"),
        pytest.param([(b"HOST", b"a"), (b"USER-AGENT", b"Shouting/1")], id="upper case"),
        pytest.param([(b"user-agent", b"a"), (b"user-agent", b"b")], id="twice the same"),
    ],
)
def test_headers_come_in_any_shape(site: Site, headers: Any) -> None:
    sent = call(door(site, page), scope(headers=headers, client=None))
    assert [name for name, _ in sent[0]["headers"]] == [b"content-type", b"set-cookie", b"cache-control"]
    (start,) = site.named("session.start")
    if headers and headers[0][0] == b"HOST":
        assert start.attributes["user_agent.original"] == "Shouting/1"
    assert "client.address" not in start.attributes


def test_headers_that_can_be_read_but_once_reach_the_app(site: Site) -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        seen.extend(scope["headers"])
        await page(scope, receive, send)

    call(door(site, app), scope(headers=iter([(b"host", b"a"), (b"accept", b"b")])))
    assert seen == [(b"host", b"a"), (b"accept", b"b")]


def test_a_scope_without_headers_path_or_method(site: Site) -> None:
    assert len(call(door(site, page), {"type": "http"})) == 2
    assert len(site.sessions) == 1


def test_a_cookie_header_in_several_parts_is_one(site: Site) -> None:
    browser = Browser(site)
    browser.navigate()
    own = browser.cookies["sojourn"].encode()
    for parts in (
        [(b"cookie", b"a=1"), (b"cookie", b"sojourn=" + own), (b"cookie", b"b=2")],
        [(b"Cookie", b"sojourn=" + own)],
        [(b"COOKIE", b"a=1"), (b"cookie", b"sojourn=" + own)],
    ):
        call(door(site, page), scope(headers=parts))
    assert len(site.sessions) == 1


@pytest.mark.parametrize("headers", [None, (), [], "generator"], ids=str)
def test_a_response_start_may_have_any_headers_and_is_not_changed_in_place(site: Site, headers: Any) -> None:
    start: dict[str, Any] = {"type": "http.response.start", "status": 204}
    if headers is not None:
        start["headers"] = ((b"x", b"1") for _ in range(1)) if headers == "generator" else headers
    before = dict(start)

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        await send(start)
        await send({"type": "http.response.body"})

    sent = call(door(site, app), scope())
    names = [name for name, _ in sent[0]["headers"]]
    assert names == ([b"x"] if headers == "generator" else []) + [b"set-cookie", b"cache-control"]
    assert start == before


def test_what_is_not_a_response_start_passes_untouched(site: Site) -> None:
    others: list[Message] = [
        {"type": "http.response.early_hint", "links": []},
        {"type": "http.response.debug", "info": {}},
        {"type": "http.response.pathsend", "path": "/x"},
        {"type": "http.response.start", "status": 103, "headers": [(b"link", b"</a>")]},
        {"type": "unheard.of"},
    ]

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        for message in others:
            await send(message)
        await page(scope, receive, send)

    sent = call(door(site, app), scope())
    assert all(one is other for one, other in zip(sent, others, strict=False))
    assert b"set-cookie" in dict(sent[5]["headers"])


@pytest.mark.parametrize("kind", ["telepathy", None, "http.push"])
def test_unknown_scopes_pass_untouched(site: Site, kind: str | None) -> None:
    seen: list[Any] = []

    async def app(*args: Any) -> None:
        seen.extend(args)

    given: Any = ({"type": kind}, object(), object())
    run(door(site, app)(*given))
    assert all(one is other for one, other in zip(seen, given, strict=True))
    assert seen[0] == {"type": kind}


@pytest.mark.parametrize("error", [RuntimeError("app"), asyncio.CancelledError(), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("when", ["before", "after"])
def test_exceptions_pass_unchanged_and_the_activity_counts(site: Site, error: BaseException, when: str) -> None:
    browser = Browser(site)
    browser.navigate()
    cookie = f"sojourn={browser.cookies['sojourn']}".encode()
    site.clock.advance(1000)

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        track("tried")
        if when == "after":
            await page(scope, receive, send)
        raise error

    with pytest.raises(type(error)) as caught:
        call(door(site, app), scope(headers=[(b"cookie", cookie)]))
    assert caught.value is error
    assert len(site.named("tried")) == 1
    site.clock.advance(1700)
    browser.navigate()
    assert len(site.sessions) == 1


def test_without_any_response_nothing_starts(site: Site) -> None:
    async def app(scope: Scope, receive: Any, send: Any) -> None:
        track("lost")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        call(door(site, app), scope())
    assert site.events == []
    assert site.ignored == {"undeliverable": 1, "no_session": 2}  # the call, and the error that ended it


def test_a_stale_session_is_not_succeeded_where_no_response_passes(site: Site) -> None:
    browser = Browser(site)
    browser.navigate()
    site.clock.advance(1800)

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        call(door(site, app), scope(headers=[(b"cookie", f"sojourn={browser.cookies['sojourn']}".encode())]))
    assert len(site.sessions) == 1
    assert site.ignored == {"over": 1}


def test_receive_is_passed_as_it_is(site: Site) -> None:
    seen: list[Message] = []

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        seen.extend([await receive(), await receive()])
        await page(scope, receive, send)

    messages: list[Message] = [{"type": "http.request", "body": b"x"}, {"type": "http.disconnect"}]
    call(door(site, app), scope(), messages)
    assert seen == messages


def test_a_stream_records_its_length_at_its_last_piece_not_after_background_tasks(site: Site) -> None:
    async def app(scope: Scope, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        for _ in range(3):
            site.clock.advance(2)
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        site.clock.advance(100)
        track("in the background")

    call(door(site, app), scope())
    (end,) = site.named("connection.end")
    assert end.attributes["connection.duration_ms"] == 6000
    assert len(site.named("in the background")) == 1


def test_a_page_in_one_piece_is_no_stream(site: Site) -> None:
    async def app(scope: Scope, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body"})

    call(door(site, app), scope())
    assert site.names() == ["session.start", "page_view"]


# --- lifespan --------------------------------------------------------------------------------------------------------


def lifespan(site: Site, app: Any) -> list[Message]:
    return call(door(site, app), {"type": "lifespan"}, [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])


def test_lifespan_passes_through_and_ends_with_a_flush(site: Site) -> None:
    states: list[Any] = []

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        states.append(site.engine.intake.runtime)
        Browser(site).navigate()
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    sent = lifespan(site, app)
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert states[0] is not None
    assert site.engine.intake.runtime is None
    assert [event.name for event in site.backend.events] == ["session.start", "page_view"]


def test_an_app_without_lifespan_raises_its_own_error(site: Site) -> None:
    async def app(scope: Scope, receive: Any, send: Any) -> None:
        assert scope["type"] == "http", "no lifespan here"

    with pytest.raises(AssertionError, match="no lifespan here"):
        lifespan(site, app)
    assert Browser(site).navigate().status == 200


def test_a_start_that_fails_does_not_keep_the_app_down(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(site.engine.intake, "running", broken)
    monkeypatch.setattr(site.engine, "close", broken)

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    assert len(lifespan(site, app)) == 2
    monkeypatch.undo()


# --- installing ------------------------------------------------------------------------------------------------------


def test_a_second_door_passes_through(site: Site) -> None:
    other = Engine(Settings(secret_key=KEY, store="memory:", backends=[MemoryBackend()]), clock=ManualClock())
    sent = call(door(site, SojournMiddleware(page, engine=other)), scope())
    assert [name for name, _ in sent[0]["headers"]].count(b"set-cookie") == 1
    assert len(site.sessions) == 1
    assert other.guard.counters() == {}
    other.close()


def test_a_door_called_as_wsgi_says_so_at_once(site: Site) -> None:
    wrong: Any = door(site, page)
    with pytest.raises(TypeError, match=r"sojourn\.wsgi import SojournMiddleware"):
        wrong({}, lambda *_: None)


def test_servers_see_asgi_3(site: Site) -> None:
    config = Config(door(site, page), log_config=None)
    config.load()
    assert config.interface == "asgi3"
    assert inspect.iscoroutinefunction(door(site, page).__call__)


def test_settings_come_from_the_environment_without_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOJOURN_SECRET_KEY", KEY)
    monkeypatch.setenv("SOJOURN_STORE", "memory:")
    monkeypatch.setenv("SOJOURN_COOKIE_NAME", "mine")
    assert SojournMiddleware(page).engine.settings.cookie_name == "mine"


def test_a_scope_that_breaks_our_reading_still_has_a_visit(site: Site) -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        seen.append(scope[VISIT_KEY])
        track("lost")
        await page(scope, receive, send)

    sent = call(door(site, app), scope(headers=[(b"a", b"b", b"c")]))
    assert sent[0]["headers"] == [(b"content-type", b"text/html")]
    assert len(seen) == 1
    assert site.ignored == {"fault": 1}


def test_an_asynchronous_generator_keeps_the_visit() -> None:
    site = Site("asgi")

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(3):
            track(f"piece {number}")
            await asyncio.sleep(0)
            yield b"x"

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async for piece in pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    async def main() -> None:
        async def receive() -> Message:
            return {}

        async def send(_: Message) -> None:
            return None

        await door(site, app)(scope(), receive, send)

    asyncio.run(main())
    assert [event.name for event in site.events if event.name.startswith("piece")] == ["piece 0", "piece 1", "piece 2"]
    site.close()
