"""What only WSGI has: `start_response` late, twice or never, `write()`, bodies and how they are closed."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest

from sojourn import Settings, current_session, track
from sojourn.engine import Engine
from sojourn.testing import ManualClock
from sojourn.wsgi import SojournMiddleware
from tests.doors.browser import KEY, Browser, Site

PAGE = [("Content-Type", "text/html")]


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site("wsgi")
    yield made
    made.close()


class Server:
    """Calls an app as a server does, and remembers what it was told."""

    def __init__(self, site: Site, app: Any, **environ: Any) -> None:
        self.starts: list[tuple[str, dict[str, str], Any]] = []
        self.written: list[bytes] = []
        self.environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", **environ}
        setup_testing_defaults(self.environ)
        self.body: Any = SojournMiddleware(app, engine=site.engine)(self.environ, self.start_response)

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self.starts.append((status, {name.lower(): value for name, value in headers}, exc_info))
        return self.written.append

    def drain(self) -> bytes:
        try:
            return b"".join(self.written) + b"".join(self.body)
        finally:
            if hasattr(self.body, "close"):
                self.body.close()


def test_a_list_passes_as_it_is(site: Site) -> None:
    body = [b"a", b"b"]

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PAGE)
        return body

    assert Server(site, app).body is body


@pytest.mark.parametrize("kind", ["the server's wrapper", "a file"])
def test_files_pass_as_they_are(site: Site, tmp_path: Any, kind: str) -> None:
    path = tmp_path / "it"
    path.write_bytes(b"content")
    with path.open("rb") as file:
        body: Any = FileWrapper(file) if kind == "the server's wrapper" else file

        def app(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", PAGE)
            return body

        server = Server(site, app, **{"wsgi.file_wrapper": FileWrapper})
        assert server.body is body
        assert server.drain() == b"content"
    assert len(site.sessions) == 1


def test_start_response_may_come_with_the_first_piece(site: Site) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        track("made while sent")
        start_response("200 OK", PAGE)
        yield b"late"

    server = Server(site, app)
    assert server.starts == []
    assert server.drain() == b"late"
    assert "set-cookie" in server.starts[0][1]
    assert len(site.named("made while sent")) == 1


def test_write_is_the_servers_own(site: Site) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", PAGE)
        write(b"written, ")
        return [b"returned"]

    assert Server(site, app).drain() == b"written, returned"


class Body:
    """A body that knows how often it was closed, and in whose visit."""

    def __init__(self, pieces: Iterable[bytes], error: Exception | None = None) -> None:
        self.pieces = iter(pieces)
        self.error = error
        self.closed: list[Any] = []

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            yield piece
            if self.error is not None:
                raise self.error

    def close(self) -> None:
        self.closed.append(current_session())


@pytest.mark.parametrize("read", [True, False], ids=["read", "broken off"])
def test_close_is_called_once_inside_the_visit(site: Site, *, read: bool) -> None:
    body = Body([b"a", b"b", b"c"])

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PAGE)
        return body

    server = Server(site, app)
    if read:
        assert server.drain() == b"abc"
    else:
        server.body.close()
    assert [session.id for session in body.closed] == site.sessions
    assert current_session() is None


def test_a_stream_records_its_length_when_closed(site: Site) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", PAGE)
        for _ in range(3):
            yield b"x"
            site.clock.advance(2)

    Server(site, app).drain()
    assert site.named("connection.end")[0].attributes["connection.duration_ms"] == 6000


def test_an_exception_in_the_body_passes_and_the_stream_still_ends(site: Site) -> None:
    error = RuntimeError("app")
    body = Body([b"a"], error)

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PAGE)
        return body

    with pytest.raises(RuntimeError) as caught:
        Server(site, app).drain()
    assert caught.value is error
    assert len(body.closed) == 1


class Closing(Body):
    """A body whose `close()` fails."""

    failure: Exception = RuntimeError("close")

    def close(self) -> None:
        raise self.failure


@pytest.mark.parametrize("pieces", [[b"a", b"b"], [b"a"], []], ids=["a stream", "one piece", "empty"])
def test_an_exception_in_close_is_recorded_and_passes(site: Site, pieces: list[bytes]) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PAGE)
        return Closing(pieces)

    with pytest.raises(RuntimeError) as caught:
        Server(site, app).drain()
    assert caught.value is Closing.failure
    (event,) = site.named("exception")
    assert event.attributes["exception.message"] == "close"
    assert event.attributes["exception.escaped"] is True
    assert [event.session_id] == site.sessions


def test_an_exception_of_the_body_that_close_raises_again_is_recorded_once(site: Site) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PAGE)
        return Closing([b"a"], Closing.failure)

    with pytest.raises(RuntimeError):
        Server(site, app).drain()
    assert len(site.named("exception")) == 1


@pytest.mark.parametrize("is_generator", [True, False])
def test_an_exception_before_any_response_passes_and_the_activity_counts(site: Site, *, is_generator: bool) -> None:
    browser = Browser(site)
    browser.navigate()
    site.clock.advance(1000)
    error = RuntimeError("app")

    def generator(environ: Any, start_response: Any) -> Iterator[bytes]:
        raise error
        yield b""

    def function(environ: Any, start_response: Any) -> Any:
        raise error

    cookie = f"sojourn={browser.cookies['sojourn']}"
    with pytest.raises(RuntimeError) as caught:
        Server(site, generator if is_generator else function, HTTP_COOKIE=cookie).drain()
    assert caught.value is error
    assert current_session() is None
    site.clock.advance(1700)
    browser.navigate()
    assert len(site.sessions) == 1


def test_an_app_that_never_starts_a_response_starts_no_session(site: Site) -> None:
    Server(site, lambda environ, start_response: iter(())).drain()
    assert site.events == []


def test_each_piece_may_be_made_in_another_thread(site: Site) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", PAGE)
        for number in range(3):
            track(f"piece {number}")
            yield b"x"

    body = iter(Server(site, app).body)
    for _ in range(4):
        thread = threading.Thread(target=next, args=(body, None))
        thread.start()
        thread.join()
    assert len([name for name in site.names() if name.startswith("piece")]) == 3


def test_paths_and_cookies_are_bytes_in_disguise(site: Site) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PAGE)
        return [b""]

    Server(site, app, PATH_INFO="/caf\xc3\xa9/\xff", HTTP_COOKIE="\xff\xfe; sojourn=\xc3", SCRIPT_NAME="/app")
    assert site.named("session.start")[0].attributes["url.path"] == "/app/café/\ufffd"


def test_a_second_door_passes_through(site: Site) -> None:
    other = Engine(Settings(secret_key=KEY, store="memory:"), clock=ManualClock())

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PAGE)
        return [b""]

    server = Server(site, SojournMiddleware(app, engine=other))
    assert len(site.sessions) == 1
    assert server.starts[0][1]["cache-control"] == "private"
    assert other.guard.counters() == {}
    other.close()


@pytest.mark.parametrize("arguments", [({},), ({"type": "http", "asgi": {}}, None, None), (object(), object())])
def test_a_door_called_as_asgi_says_so_at_once(site: Site, arguments: Any) -> None:
    wrong: Any = SojournMiddleware(lambda *_: [], engine=site.engine)
    with pytest.raises(TypeError, match=r"sojourn\.asgi import SojournMiddleware"):
        wrong(*arguments)


def test_a_start_response_of_an_odd_status_passes(site: Site) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("", [])
        return [b""]

    assert Server(site, app).starts[0][0] == ""


def test_the_standard_validator_is_content_with_a_stream(site: Site) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PAGE)
        return Body([b"a", b"b"])

    door = validator(SojournMiddleware(validator(app), engine=site.engine))
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    environ["wsgi.input"] = io.BytesIO()
    body = door(environ, lambda status, headers, exc_info=None: lambda data: None)
    assert list(body) == [b"a", b"b"]
    body.close()  # type: ignore[attr-defined]
