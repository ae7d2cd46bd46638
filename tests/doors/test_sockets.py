"""Sockets: their messages keep a session alive and follow it; they never begin one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sojourn import end_session, identify, track
from sojourn.asgi import Message, Scope
from tests.doors.asgi_calls import door
from tests.doors.browser import Browser, Site, run


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site("asgi")
    yield made
    made.close()


def socket(site: Site, browser: Browser, steps: Callable[[], Iterator[Message]]) -> list[Message]:
    """A socket that receives these messages; what the steps do in between happens while it is open."""
    sent: list[Message] = []
    messages = steps()

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            if message["type"] == "websocket.connect":
                await send({"type": "websocket.accept"})
            elif message.get("text"):
                track(message["text"])

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items()).encode()
    headers = [(b"cookie", cookie)] if cookie else []
    run(door(site, app)({"type": "websocket", "path": "/ws", "headers": headers}, receive, send))
    return sent


def said(*texts: str) -> Iterator[Message]:
    yield {"type": "websocket.connect"}
    for text in texts:
        yield {"type": "websocket.receive", "text": text}
    yield {"type": "websocket.disconnect", "code": 1001}


def test_two_hours_of_messages_keep_the_session_alive(site: Site) -> None:
    browser = Browser(site)
    browser.navigate()

    def steps() -> Iterator[Message]:
        yield {"type": "websocket.connect"}
        for _ in range(2 * 3600 // 20):
            site.clock.advance(20)
            yield {"type": "websocket.receive", "bytes": b"x"}
        yield {"type": "websocket.disconnect", "code": 1000}

    socket(site, browser, steps)
    site.clock.advance(1799)
    browser.navigate()
    assert len(site.sessions) == 1
    beats = site.named("session.heartbeat")
    assert len(beats) >= 119
    assert {event.attributes.get("url.path") for event in beats[:-1]} == {"/ws"}
    assert "url.path" not in beats[-1].attributes, "the page view says it"
    (end,) = site.named("connection.end")
    assert end.attributes["connection.duration_ms"] == 7_200_000
    assert end.attributes["websocket.close_code"] == 1000


def test_a_busy_socket_records_every_ten_seconds(site: Site) -> None:
    browser = Browser(site)
    browser.navigate()
    site.engine.flush()
    before = site.engine.stats().store

    def steps() -> Iterator[Message]:
        yield {"type": "websocket.connect"}
        for _ in range(100):
            site.clock.advance(1)
            yield {"type": "websocket.receive", "bytes": b"x"}
        yield {"type": "websocket.disconnect"}

    accepted: list[object] = []
    append = site.engine.tracker.connections._sink.append

    class Counting:
        def append(self, record: Any, *, kind: str, is_essential: bool) -> bool:
            accepted.append(record)
            return append(record, kind=kind, is_essential=is_essential)

        def wake(self) -> None:
            pass

    site.engine.tracker.connections._sink = Counting()
    socket(site, browser, steps)
    assert len(accepted) == 1 + 10 + 1, "the handshake, ten of a hundred messages, the end"
    assert before is not None


def test_a_socket_never_begins_or_revives_a_session(site: Site) -> None:
    browser = Browser(site)
    sent = socket(site, browser, lambda: said("one"))
    assert sent == [{"type": "websocket.accept"}]
    browser.navigate()
    site.clock.advance(1800)
    socket(site, browser, lambda: said("two"))
    assert len(site.sessions) == 1
    assert site.named("one") + site.named("two") == []
    assert site.ignored["no_session"] == 1
    assert site.ignored["over"] >= 2


def test_a_socket_follows_a_split_and_an_end(site: Site) -> None:
    browser = Browser(site)
    site.views["/login"] = lambda: identify("ada")
    site.views["/other"] = lambda: identify("bob")
    site.views["/out"] = end_session
    browser.navigate("/login")

    def steps() -> Iterator[Message]:
        yield {"type": "websocket.connect"}
        yield {"type": "websocket.receive", "text": "first"}
        browser.navigate("/other")
        yield {"type": "websocket.receive", "text": "second"}
        browser.navigate("/out")
        yield {"type": "websocket.receive", "text": "nowhere"}
        browser.navigate("/")
        yield {"type": "websocket.receive", "text": "third"}
        yield {"type": "websocket.disconnect"}

    socket(site, browser, steps)
    where = {event.name: event.session_id for event in site.events}
    assert [where["first"], where["second"], where["third"]] == site.sessions
    assert "nowhere" not in where


def test_a_socket_that_came_first_after_a_restart_follows_too(site: Site) -> None:
    before = Site("asgi", clock=site.clock)
    browser = Browser(before)
    browser.navigate()
    before.close()
    browser.site = site
    site.clock.advance(1800)

    def steps() -> Iterator[Message]:
        yield {"type": "websocket.connect"}
        browser.navigate("/")
        yield {"type": "websocket.receive", "text": "after"}
        yield {"type": "websocket.disconnect"}

    socket(site, browser, steps)
    assert [event.session_id for event in site.named("after")] == site.sessions[-1:]


def test_a_socket_follows_a_split_by_another_worker_once_the_browser_is_back(site: Site) -> None:
    there = Site("asgi", clock=site.clock)
    there.views["/login"] = lambda: identify("bob")
    site.views["/login"] = lambda: identify("ada")
    browser = Browser(site)
    browser.navigate("/login")

    def steps() -> Iterator[Message]:
        yield {"type": "websocket.connect"}
        Browser(there, cookies=browser.cookies).navigate("/login")
        browser.fetch()
        yield {"type": "websocket.receive", "text": "after"}
        yield {"type": "websocket.disconnect"}

    socket(site, browser, steps)
    assert [event.session_id for event in site.named("after")] == there.sessions
    there.close()


def test_an_open_connection_is_activity_when_the_setting_says_so() -> None:
    site = Site("asgi", presence="open")
    browser = Browser(site)
    browser.navigate()

    def steps() -> Iterator[Message]:
        yield {"type": "websocket.connect"}
        for _ in range(100):
            site.clock.advance(60)
            site.engine.tracker.connections.touch_open()
        yield {"type": "websocket.disconnect"}

    socket(site, browser, steps)
    site.clock.advance(1799)
    site.engine.tracker.connections.touch_open()  # closed: no activity
    browser.navigate()
    assert len(site.sessions) == 1
    site.close()
