"""What integrations are made of: facts left by hooks, and requests that hooks track without a door."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from sojourn import Settings, User, track
from sojourn.engine import Engine
from sojourn.integration import ROUTE_KEY, USER_KEY, Embedded, Framework, unhandled
from sojourn.testing import ManualClock, MemoryBackend
from sojourn.tracking.visit import active_visit
from tests.doors.browser import Protocol

KEY = "a key that only these tests use"
HTML = [("Content-Type", "text/html")]


class Rig:
    def __init__(self, framework: Framework | None = None, **settings: Any) -> None:
        self.backend = MemoryBackend()
        chosen: dict[str, Any] = {"secret_key": KEY, "store": "memory:", "backends": [self.backend], **settings}
        self.engine = Engine(Settings(**chosen), clock=ManualClock())
        self.embedded = Embedded(self.engine, framework)

    def events(self, name: str) -> list[Any]:
        self.engine.flush()
        return self.backend.named(name)


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.engine.close()


def place(protocol: Protocol, path: str = "/", cookie: str = "") -> dict[str, Any]:
    if protocol == "wsgi":
        return {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path,
            "HTTP_HOST": "site.test",
            "HTTP_ACCEPT": "text/html",
            "HTTP_COOKIE": cookie,
            "wsgi.url_scheme": "http",
        }
    headers = [(b"host", b"site.test"), (b"accept", b"text/html"), (b"cookie", cookie.encode())]
    return {"type": "http", "method": "GET", "path": path, "scheme": "http", "headers": headers}


def test_hooks_track_a_request_without_a_door(rig: Rig, protocol: Protocol) -> None:
    request = place(protocol, "/items/7")
    exchange = rig.embedded.begin(request)
    assert exchange is not None
    assert rig.embedded.begin(request) is None  # one Sojourn tracks a request
    track("seen")
    request[ROUTE_KEY], request[USER_KEY] = "/items/{number}", User("7", "Ada")
    added = exchange.respond(200, HTML)
    exchange.close()
    assert added.cookies[0].startswith("sojourn=")
    assert added.cache_control == "private"
    assert rig.events("page_view")[0].attributes["http.route"] == "/items/{number}"
    assert [event.user_id for event in rig.events("seen")] == ["7"]
    assert active_visit.get() is None


def test_a_response_without_a_cookie_gets_nothing(rig: Rig, protocol: Protocol) -> None:
    first = rig.embedded.begin(place(protocol))
    assert first is not None
    cookie = first.respond(200, HTML).cookies[0].partition(";")[0]
    first.close()
    second = rig.embedded.begin(place(protocol, cookie=cookie))
    assert second is not None
    assert second.respond(200, HTML).cookies == ()
    second.close()


def test_an_unhandled_error_is_recorded_once(rig: Rig, protocol: Protocol) -> None:
    error = ValueError("no")
    exchange = rig.embedded.begin(place(protocol))
    assert exchange is not None
    unhandled(error)
    exchange.failed(error)
    exchange.respond(500, HTML)
    exchange.close()
    assert [event.attributes["exception.type"] for event in rig.events("exception")] == ["ValueError"]
    unhandled(error)  # outside a request: nothing


def test_a_request_without_a_response_is_left_behind(rig: Rig, protocol: Protocol) -> None:
    exchange = rig.embedded.begin(place(protocol))
    assert exchange is not None
    exchange.failed(ValueError("no"), has_response=False)
    exchange.close()
    assert rig.events("session.start") == []
    assert active_visit.get() is None


def test_our_endpoints_respond_through_hooks(protocol: Protocol) -> None:
    rig = Rig(beacon_path="/beacon")
    script = rig.embedded.endpoint(place(protocol, "/beacon.js"))
    assert script is not None
    assert not rig.embedded.reads(script, place(protocol, "/beacon.js"))
    assert rig.embedded.reply(script, place(protocol, "/beacon.js")).status == 200
    assert rig.embedded.endpoint(place(protocol, "/")) is None
    rig.engine.close()


class Fails(Framework):
    def request(self, place: Any) -> Any:
        raise LookupError

    def route(self, place: Any) -> str | None:
        raise LookupError

    def principal(self, place: Any) -> Any:
        raise LookupError


def test_a_fault_of_an_integration_costs_its_fact_and_is_logged_once(
    protocol: Protocol, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(Fails())
    with caplog.at_level(logging.WARNING, "sojourn"):
        for _ in range(3):
            exchange = rig.embedded.begin(place(protocol))
            assert exchange is not None
            assert exchange.respond(200, HTML).cookies
            exchange.close()
    assert len(rig.events("page_view")) == 3
    assert rig.engine.guard.counters() == {"fault": 6, "principal_error": 3}  # of each page, and of its start
    assert len(caplog.records) == 2
    rig.engine.close()


def test_asgi_headers_and_client_may_be_read_only_once(rig: Rig) -> None:
    request = place("asgi")
    request["headers"] = iter([iter(pair) for pair in request["headers"]])
    request["client"] = iter(["192.0.2.7", 5])
    exchange = rig.embedded.begin(request)
    assert exchange is not None
    exchange.respond(200, HTML)
    exchange.close()
    assert rig.events("session.start")[0].attributes["client.address"] == "192.0.2.0"
    assert rig.engine.guard.counters() == {}
    assert next(tuple(pair) for pair in request["headers"]) == (b"host", b"site.test")  # the app reads them, too
    assert tuple(request["client"]) == ("192.0.2.7", 5)
