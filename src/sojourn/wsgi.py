"""The WSGI middleware (PEP 3333). Bodies, files and `close()` pass unchanged.

See P1 and P3 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .beacon import LONGEST_BODY, NO_CONTENT, Endpoint
from .settings import Settings
from .tracking.caching import with_private
from .tracking.doors import Wrapper
from .tracking.exceptions import capture
from .tracking.forwarded import Proxies
from .tracking.frameworks import Framework, Guarded
from .tracking.principal import ROUTE_KEY, UNKNOWN, Principal, of_environ
from .tracking.visit import VISIT_KEY, Visit, active_visit
from .tracking.wrong_doors import check_wsgi

if TYPE_CHECKING:
    from .engine import Engine

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
StartResponse = Callable[..., Callable[[bytes], object]]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]


class SojournMiddleware(Wrapper):
    """Sojourn in front of any WSGI app. Attributes that it lacks are the app's.

    `settings=None` reads `SOJOURN_*` from the environment; `engine=` shares the engine of another middleware. `framework`
    adds what the environ does not hold; without it `principal` and `consent` get the environ.
    """

    app: WSGIApp

    def __init__(
        self,
        app: WSGIApp,
        settings: Settings | None = None,
        *,
        engine: Engine | None = None,
        framework: Framework | None = None,
    ) -> None:
        check_wsgi(app)
        self.app = app
        if engine is None:
            from .engine import Engine  # loads stores and pipeline: when an app is made, not at an import

            engine = Engine(Settings.from_env() if settings is None else settings)
        self.engine = engine
        self._guard = self.engine.guard
        self._framework = None if framework is None else Guarded(framework, self._guard)
        self._proxies = Proxies(self.engine.settings.trusted_proxies)
        self._adds_private = self.engine.settings.cache_private
        self._beacon = self.engine.beacon

    def __call__(self, environ: Environ, start_response: StartResponse | None = None, *more: Any) -> Iterable[bytes]:
        if start_response is None or more or not isinstance(environ, dict) or "asgi" in environ:
            msg = "this is Sojourn's WSGI door, called as an ASGI app: use `from sojourn.asgi import SojournMiddleware`"
            raise TypeError(msg)
        if VISIT_KEY in environ:  # installed twice: this one steps aside
            return self.app(environ, start_response)
        if self._beacon is not None and (
            own := self._beacon.at(environ.get("PATH_INFO", ""), environ.get("SCRIPT_NAME", ""))
        ):
            return self._own(own, environ, start_response)
        tracker, guard = self.engine.tracker, self._guard
        try:
            visit = tracker.begin(WsgiFacts(environ, self._proxies, self._framework))
        except Exception as error:  # noqa: BLE001 - as `guarded`, without its call
            visit = tracker.failed(error, "begin")
        environ[VISIT_KEY] = visit

        start = Start(self, visit, start_response)
        token = active_visit.set(visit)
        try:
            body = self.app(environ, start)
            is_whole = (start.is_called and hasattr(body, "__len__")) or _is_file(body, environ)
            if is_whole or _reads_start_at_return(environ):
                start.release()  # it leaves our hands: nothing of the app's can replace the start any more
        except BaseException as error:
            guard.guarded(None, capture, visit, error, is_handled=False)
            guard.guarded(None, tracker.abandon, visit)
            raise
        finally:
            active_visit.reset(token)
            # The visit knows the environ: a circle here would wait for the garbage collector, at every request.
            environ[VISIT_KEY] = visit.captured = None
        return body if is_whole else TrackedBody(body, start)

    def _own(self, endpoint: Endpoint, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Respond to a request for an endpoint of ours."""
        guarded = self._guard.guarded
        reply = NO_CONTENT
        facts = guarded(None, WsgiFacts, environ, self._proxies, self._framework)
        if facts is not None:
            body = guarded(b"", _small_body, environ) if guarded(False, endpoint.reads, facts) else None
            reply = guarded(NO_CONTENT, endpoint.respond, facts, body)
        start_response(f"{reply.status} {HTTPStatus(reply.status).phrase}", [*reply.headers])
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [reply.body]

    def responded(self, visit: Visit, status: str, headers: Headers) -> Headers:
        """Settle the visit, and return the headers with ours."""
        response = WsgiResponse(status, headers)
        line = self.engine.tracker.finish(visit, response)
        if line is None:
            return headers
        added = [*headers, *(("Set-Cookie", text) for text in (line, *visit.more_cookie_lines))]
        if self._adds_private and (private := with_private(response)) is not None:
            added = [pair for pair in added if pair[0].lower() != "cache-control"]
            added.append(("Cache-Control", private))
        return added


class Start:
    """The `start_response` of an app. It reaches the server with the first byte: until then an error may replace it."""

    __slots__ = ("_door", "_start_response", "_write", "engine", "held", "is_called", "visit")

    def __init__(self, door: SojournMiddleware, visit: Visit, start_response: StartResponse) -> None:
        self._door = door
        self.engine = door.engine
        self._start_response = start_response
        self.held: tuple[str, Headers, ExcInfo | None] | None = None
        """What the app has started and the server has not seen."""
        self._write: Callable[[bytes], object] | None = None
        self.visit = visit
        self.is_called = False

    def __call__(self, status: str, headers: Headers, exc_info: ExcInfo | None = None) -> Callable[[bytes], object]:
        if self.is_called and exc_info is None:
            self.release()  # an error of the app, which the server reports
        is_out = self.is_called and self.held is None
        self.is_called = True
        self.held = (status, headers, exc_info)
        if exc_info is not None and exc_info[1] is not None:  # the app made a response of it (PEP 3333)
            self.engine.guard.guarded(None, capture, self.visit, exc_info[1], is_handled=False, has_response=True)
        if is_out:
            self.release()
            return self.write
        tracker = self.engine.tracker
        try:
            if isinstance(facts := self.visit.facts, WsgiFacts):
                facts.read_ahead()
            tracker.read_ahead(self.visit)
        except Exception as error:  # noqa: BLE001 - as `guarded`, without its call
            tracker.failed(error, "read_ahead")
        return self.write

    def write(self, data: bytes) -> object:
        """Write a piece of the body at once, as PEP 3333 lets old apps do."""
        self.release()
        return None if self._write is None else self._write(data)

    def release(self) -> None:
        """Settle the visit and start the response, if the app has and it is still held."""
        if self.held is None:
            return
        (status, headers, exc_info), self.held = self.held, None
        try:
            headers = self._door.responded(self.visit, status, headers)
        except Exception as error:  # noqa: BLE001 - as `guarded`, without its call
            self.engine.tracker.failed(error, "finish")
        if exc_info is None:
            self._write = self._start_response(status, headers)
        else:
            self._write = self._start_response(status, headers, exc_info)


class TrackedBody:
    """A body that is produced while it is sent. The Visit is active in each step, in whichever thread it runs."""

    __slots__ = ("_body", "_pieces", "_start")

    def __init__(self, body: Iterable[bytes], start: Start) -> None:
        self._body = body
        self._start = start
        self._pieces = _tracked(body, start)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        """Close the app's body, then record how long it took."""
        start = self._start
        visit, tracker, guard = start.visit, start.engine.tracker, start.engine.guard
        token = active_visit.set(visit)
        try:
            if not visit.responded:
                start.release()  # closed unread
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            guard.guarded(None, capture, visit, error, is_handled=False)
            raise
        finally:
            active_visit.reset(token)
            visit.captured = None
            if not visit.responded:
                guard.guarded(None, tracker.abandon, visit)
            elif visit.chunks and not tracker.connections.is_whole_page(visit):
                guard.guarded(None, tracker.connections.close_stream, visit)


def _tracked(body: Iterable[bytes], start: Start) -> Iterator[bytes]:
    """The pieces of a body. A generator of its own, not a method: it must not know the object that holds it."""
    visit, engine = start.visit, start.engine
    pieces: Iterator[bytes] | None = None
    while True:
        token = active_visit.set(visit)
        try:
            if pieces is None:
                pieces = iter(body)
            piece = next(pieces)
            if start.held is not None:
                start.release()
        except StopIteration:
            start.release()
            return
        except BaseException as error:
            engine.guard.guarded(None, capture, visit, error, is_handled=False)
            engine.guard.guarded(None, engine.tracker.abandon, visit)
            raise
        finally:
            active_visit.reset(token)
        visit.chunks += 1
        if visit.chunks == 2:  # more than one: a stream
            engine.tracker.connections.opened(visit)
        yield piece


class WsgiFacts:
    """The facts of a request, from its environ (see `facts.RequestFacts`)."""

    __slots__ = ("_environ", "_framework", "_proxies", "_route", "cookie", "is_https", "method", "mount", "path")

    def __init__(self, environ: Environ, proxies: Proxies, framework: Guarded | None = None) -> None:
        self._environ = environ
        self._proxies = proxies
        self._framework = framework
        self._route: str | None = None
        self.method: str = environ.get("REQUEST_METHOD", "GET")
        mount = environ.get("SCRIPT_NAME", "")
        path = mount + environ.get("PATH_INFO", "") or "/"
        self.path = path if path.isascii() else decoded(path)
        self.mount: str = mount if mount.isascii() else decoded(mount)
        self.cookie = environ.get("HTTP_COOKIE", "").encode("latin-1", "replace")
        scheme = environ.get("wsgi.url_scheme", "http")
        if proxies.are_any:
            scheme = proxies.scheme(
                environ.get("REMOTE_ADDR"),
                scheme,
                forwarded=self.header("forwarded"),
                forwarded_for=self.header("x-forwarded-for"),
                forwarded_proto=self.header("x-forwarded-proto"),
            )
        self.is_https = scheme == "https"

    @property
    def query(self) -> str:
        raw: str = self._environ.get("QUERY_STRING", "")
        return raw

    def header(self, name: str) -> str:
        value: str = self._environ.get(_key(name), "")
        return value

    def has_any(self, names: tuple[str, ...]) -> bool:
        return not self._environ.keys().isdisjoint(_keys(names))

    def client_address(self) -> str | None:
        return self._proxies.client(
            self._environ.get("REMOTE_ADDR") or None, self.header("forwarded"), self.header("x-forwarded-for")
        )

    def proven_address(self) -> str | None:
        return self._proxies.proven_client(self._environ.get("REMOTE_ADDR") or None, self)

    def is_from_proxy(self) -> bool:
        return self._proxies.trusts(self._environ.get("REMOTE_ADDR") or None)

    def read_ahead(self) -> None:
        """Read the route while the framework's context is there."""
        self._route = self._read_route()

    def route(self) -> str | None:
        return self._read_route() if self._route is None else self._route

    def _read_route(self) -> str | None:
        route = None if self._framework is None else self._framework.route(self._environ)
        return self._environ.get(ROUTE_KEY) if route is None else route

    def framework_request(self) -> Any:
        return self._environ if self._framework is None else self._framework.request(self._environ)

    def principal(self) -> Principal:
        principal = UNKNOWN if self._framework is None else self._framework.principal(self._environ)
        return of_environ(self._environ) if principal is UNKNOWN else principal


class WsgiResponse:
    """The facts of a response start (see `facts.ResponseFacts`)."""

    __slots__ = ("_headers", "status")

    def __init__(self, status: str, headers: Headers) -> None:
        code = status[:3]
        self.status = int(code) if code.isdecimal() else 0
        self._headers = headers

    def header(self, name: str) -> str:
        joined: str | None = None
        for key, value in self._headers:
            if key.lower() == name:
                joined = value if joined is None else f"{joined}, {value}"
        return joined or ""

    def names(self) -> Iterable[str]:
        return [key.lower() for key, _ in self._headers]


@cache
def _keys(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(_key, names))


@cache
def _key(name: str) -> str:
    """The environ's key of a header (cached for ever: only our own code names them, a handful)."""
    return "HTTP_" + name.upper().replace("-", "_")


def declared_length(environ: Environ) -> int | None:
    """The length of the body, as far as it is declared; 0 for one that is no number."""
    declared = environ.get("CONTENT_LENGTH") or ""
    if not declared:
        return None
    return int(declared) if declared.isdecimal() and declared.isascii() and len(declared) < 19 else 0


def read_body(environ: Environ, size: int) -> bytes:
    """Read the body, at most `size` bytes of it.

    Nothing without a declared length: reading on would wait for ever, except on servers that end a chunked body
    themselves, and say so (PEP 3333 leaves it open).
    """
    length = declared_length(environ)
    if length is None:
        length = size if environ.get("wsgi.input_terminated") else 0
    left, body = min(length, size), b""
    with suppress(OSError):  # the client went away in the middle of it
        while left and (piece := environ["wsgi.input"].read(left)):
            body += piece
            left -= len(piece)
    return body


def _small_body(environ: Environ) -> bytes:
    """The body for an endpoint of ours; empty if it is too long."""
    length = declared_length(environ)
    if length is not None and length > LONGEST_BODY:
        return b""
    body = read_body(environ, LONGEST_BODY)
    return body if length is not None or len(body) < LONGEST_BODY else b""


def decoded(latin: str) -> str:
    """Decode a WSGI string, which holds bytes as latin-1 (PEP 3333)."""
    return latin.encode("latin-1", "replace").decode("utf-8", "replace")


def _reads_start_at_return(environ: Environ) -> bool:
    """Whether the server takes status and headers when the app returns, not with the first byte as PEP 3333 allows."""
    software: str = environ.get("SERVER_SOFTWARE", "")
    return software.startswith("Granian")


def _is_file(body: object, environ: Environ) -> bool:
    """Whether the server sends it as a file; it recognises one by its type, or by its descriptor."""
    wrapper = environ.get("wsgi.file_wrapper")
    return (isinstance(wrapper, type) and isinstance(body, wrapper)) or hasattr(body, "fileno")
