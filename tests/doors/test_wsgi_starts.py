"""A WSGI response is settled when its first byte goes out: until then an error may replace its start (PEP 3333)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import flask
import pytest

from sojourn import track
from sojourn.flask import Sojourn
from tests.doors.browser import NAVIGATE, Site
from tests.doors.test_wsgi_door import PAGE, Body, Server

MARKED = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in NAVIGATE.items()}
SHARED = [("Content-Type", "text/html"), ("Cache-Control", "public")]
SHAPES = ["a list", "a generator", "started in the generator", "a body", "nothing"]


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site("wsgi")
    yield made
    made.close()


def replaces(start_response: Any, status: str, headers: list[tuple[str, str]]) -> Any:
    try:
        raise RuntimeError
    except RuntimeError:
        return start_response(status, headers, sys.exc_info())


def replacing(shape: str, status: str, headers: list[tuple[str, str]]) -> Any:
    """An app that starts a page, and replaces its start before the first byte."""

    def pieces(environ: Any, start_response: Any, *, is_started: bool = True) -> Iterator[bytes]:
        if not is_started:
            start_response("200 OK", PAGE)
        replaces(start_response, status, headers)
        yield b"sorry"

    def app(environ: Any, start_response: Any) -> Any:
        if shape == "started in the generator":
            return pieces(environ, start_response, is_started=False)
        start_response("200 OK", PAGE)
        if shape == "a generator":
            return pieces(environ, start_response)
        if shape == "a body":
            return Body(pieces(environ, start_response))
        replaces(start_response, status, headers)
        return [b"sorry"] if shape == "a list" else iter(())

    return app


@pytest.mark.parametrize("shape", SHAPES)
def test_a_replaced_start_is_recorded_as_it_was_sent(site: Site, shape: str) -> None:
    server = Server(site, replacing(shape, "500 Oh", PAGE), **MARKED)
    server.drain()
    ((status, headers, info),) = server.starts
    assert status == "500 Oh"
    assert info[0] is RuntimeError
    assert "set-cookie" in headers
    (view,) = site.named("page_view")
    assert (view.attributes["http.response.status_code"], view.attributes["error.type"]) == (500, "500")
    assert [error.attributes["exception.type"] for error in site.named("exception")] == ["RuntimeError"]
    assert len(site.sessions) == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_a_replacement_that_cannot_carry_the_cookie_starts_no_session(site: Site, shape: str) -> None:
    server = Server(site, replacing(shape, "503 Busy", SHARED), **MARKED)
    server.drain()
    ((status, headers, _),) = server.starts
    assert status == "503 Busy"
    assert "set-cookie" not in headers
    assert site.events == []


def test_an_error_before_the_first_byte_starts_no_session(site: Site) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", PAGE)
        raise RuntimeError
        yield b""

    server = Server(site, app)
    with pytest.raises(RuntimeError):
        server.drain()
    assert server.starts == []
    assert site.events == []


def test_a_start_that_is_out_stays_recorded(site: Site) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", PAGE)
        yield b"page"
        replaces(start_response, "500 Oh", PAGE)
        yield b"sorry"

    server = Server(site, app)
    server.drain()
    assert [(status, "set-cookie" in headers) for status, headers, _ in server.starts] == [
        ("200 OK", True),
        ("500 Oh", True),
    ]
    assert [view.attributes["http.response.status_code"] for view in site.named("page_view")] == [200]
    assert len(site.sessions) == 1


def test_the_start_is_out_before_the_first_piece(site: Site) -> None:
    seen: list[int] = []

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", PAGE)
        seen.append(len(server_starts))
        yield b"a"
        seen.append(len(server_starts))
        yield b"b"

    server = Server(site, app)
    server_starts = server.starts
    body = iter(server.body)
    assert next(body) == b"a"
    assert len(server.starts) == 1
    assert list(body) == [b"b"]
    assert seen == [0, 1]


def test_the_start_of_an_empty_body_is_out_at_its_end(site: Site) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("302 Found", [("Location", "/there")])
        return iter(())

    server = Server(site, app)
    assert server.drain() == b""
    assert [status for status, _, _ in server.starts] == ["302 Found"]


def test_write_sends_the_start(site: Site) -> None:
    lengths: list[int] = []

    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", PAGE)
        lengths.append(len(site.sessions))
        write(b"written, ")
        lengths.append(len(site.sessions))
        return iter([b"returned"])

    server = Server(site, app)
    assert [status for status, _, _ in server.starts] == ["200 OK"]
    assert server.drain() == b"written, returned"
    assert lengths == [0, 1]


def test_a_second_start_without_an_error_is_the_servers_to_refuse(site: Site) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PAGE)
        start_response("201 Created", PAGE)
        return [b""]

    assert [status for status, _, _ in Server(site, app).starts] == ["200 OK", "201 Created"]


def test_what_is_tracked_before_the_first_byte_comes_with_the_page(site: Site) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", PAGE)
        track("before")
        yield b"page"

    Server(site, app).drain()
    assert site.names() == ["session.start", "before", "page_view"]


@pytest.mark.parametrize("is_stream", [True, False])
def test_the_users_callable_and_the_route_are_read_in_flasks_context(*, is_stream: bool) -> None:
    calls: list[Any] = []

    def principal(request: Any) -> str:
        assert request is flask.request
        assert flask.has_request_context()
        calls.append(flask.request.path)
        return "anna"

    site = Site("wsgi", principal=principal)
    app = flask.Flask(__name__)

    @app.get("/plants/<name>")
    def plant(name: str) -> Any:
        return flask.Response(iter([b"<p>", name.encode()]) if is_stream else name)

    Sojourn(app, engine=site.engine)
    assert app.test_client().get("/plants/fern", headers=NAVIGATE).status_code == 200
    assert len(calls) == 1
    (view,) = site.named("page_view")
    assert view.attributes["http.route"] == "/plants/<name>"
    assert [event.attributes["user.id"] for event in site.named("user.identify")] == ["anna"]
    site.close()


@pytest.mark.parametrize("shape", ["a list", "a generator", "a body", "Flask's"])
def test_a_server_that_reads_the_start_at_return_gets_it_in_time(site: Site, shape: str) -> None:
    """Granian sends what was started when the app returned, and so lost status and headers of every stream."""
    shop = flask.Flask(__name__)
    shop.add_url_rule("/", view_func=lambda: flask.Response(iter([b"<p>", b"ok"]), status=404, mimetype="text/html"))

    def app(environ: Any, start_response: Any) -> Any:
        if shape == "Flask's":
            return shop(environ, start_response)
        start_response("404 Not Found", PAGE)
        pieces = [b"<p>", b"ok"]
        return {"a list": pieces, "a generator": (each for each in pieces), "a body": Body(pieces)}[shape]

    server = Server(site, app, SERVER_SOFTWARE="Granian", **MARKED)
    ((status, headers, _),) = server.starts
    assert status.startswith("404")
    assert "set-cookie" in headers
    assert server.drain() == b"<p>ok"
    assert len(server.starts) == 1
    (view,) = site.named("page_view")
    assert view.attributes["http.response.status_code"] == 404
