"""A site behind either door, and a browser that keeps its cookies: one behaviour table runs through both.

No server, no thread, no event loop: a request is a call, so a test may hold one open by making others inside its view.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, ClassVar, Literal
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from sojourn import Event, Settings
from sojourn.asgi import Message, Scope
from sojourn.asgi import SojournMiddleware as AsgiDoor
from sojourn.engine import Engine
from sojourn.testing import ManualClock, MemoryBackend
from sojourn.wsgi import SojournMiddleware as WsgiDoor

Protocol = Literal["asgi", "wsgi", "django", "django-async"]
"""`django`: Django's middleware, with the requests of WSGI; `django-async`: with those of ASGI."""
KEY = "a key that only these tests use"
NAVIGATE = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-site": "same-origin"}
FETCH = {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty", "sec-fetch-site": "same-origin"}
IMAGE = {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image", "sec-fetch-site": "same-origin"}
HTML = ("content-type", "text/html; charset=utf-8")
JSON = ("content-type", "application/json")


@dataclass(frozen=True)
class Response:
    """What a view returns. More than one piece is a stream, with `between` before each but the first.

    `late` runs once the response has started.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = (HTML,)
    pieces: tuple[bytes, ...] = (b"<p>hello</p>",)
    late: Callable[[], object] | None = None
    between: Callable[[], object] | None = None


@dataclass(frozen=True)
class Reply:
    """What reached the browser."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    @property
    def cookies(self) -> list[str]:
        return self.header("set-cookie")


View = Callable[[], Response | None]


@dataclass(frozen=True)
class Call:
    """One request as a view or a principal sees it."""

    method: str
    path: str
    headers: Mapping[str, str]


class Site:
    """An app with a view for each path, behind one of the doors."""

    more: ClassVar[Mapping[str, Any]] = {}
    """Settings of every site, where a table runs once more with others."""

    def __init__(self, protocol: Protocol, *, clock: ManualClock | None = None, **settings: Any) -> None:
        self.protocol = protocol
        self.clock = clock or ManualClock()
        self.backend = MemoryBackend()
        given: dict[str, Any] = {"secret_key": KEY, "store": "memory:", "backends": [self.backend]}
        self.settings = Settings(**{**given, **self.more, **settings})
        self.engine = Engine(self.settings, clock=self.clock)
        self.views: dict[str, View] = {}
        self.mount = ""
        """Where the app is mounted: `root_path`, or `SCRIPT_NAME`. Paths that are asked for lie below it."""
        self.user: str | None = None
        """The principal: `REMOTE_USER`, or the scope's user. `None`: the framework does not say; `""`: anonymous."""
        self.door: Any = self._make_door()

    def request(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str]] = (),
        *,
        scheme: str = "http",
        client: str | None = "192.0.2.7",
        body: bytes = b"",
    ) -> Reply:
        call = self._call_asgi if self.protocol in {"asgi", "django-async"} else self._call_wsgi
        return call(method, path, list(headers), scheme, client, body=body)

    @property
    def events(self) -> list[Event]:
        self.engine.flush()
        return self.backend.events

    def names(self) -> list[str]:
        return [event.name for event in self.events]

    def named(self, name: str) -> list[Event]:
        return [event for event in self.events if event.name == name]

    @property
    def sessions(self) -> list[str]:
        """The ids of the sessions that started, in order."""
        return [event.session_id for event in self.named("session.start")]

    def ends(self) -> list[tuple[str, float]]:
        """(reason, duration in seconds) of each end, in order."""
        return [
            (str(event.attributes["session.end_reason"]), float(event.attributes["session.duration_ms"]) / 1000)
            for event in self.named("session.end")
        ]

    @property
    def ignored(self) -> dict[str, int]:
        return self.engine.guard.counters()

    def close(self) -> None:
        self.engine.close()

    # --- the app ---------------------------------------------------------------------------------------------------

    def _make_door(self) -> Any:
        if self.protocol == "asgi":
            return AsgiDoor(self._asgi, engine=self.engine)
        if self.protocol == "wsgi":
            return WsgiDoor(validator(self._wsgi), engine=self.engine)
        from tests.doors.django_door import DjangoDoor  # configures Django

        return DjangoDoor(self._django, engine=self.engine)

    def _django(self, path: str) -> tuple[int, Iterable[tuple[str, str]], Any]:
        response = self._respond(path)
        is_whole = len(response.pieces) == 1 and response.late is None
        return response.status, response.headers, list(response.pieces) if is_whole else self._pieces(response)

    def _respond(self, path: str) -> Response:
        view = self.views.get(path)
        return (view() if view is not None else None) or Response()

    async def _asgi(self, scope: Scope, receive: Any, send: Any) -> None:
        response = self._respond(scope["path"])
        headers = [(name.encode(), value.encode()) for name, value in response.headers]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        for number, piece in enumerate(response.pieces, 1):
            if number > 1 and response.between is not None:
                response.between()
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(response.pieces)})
        if response.late is not None:
            response.late()

    def _wsgi(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        response = self._respond(environ["PATH_INFO"])
        start_response(f"{response.status} Said", [*response.headers])
        if response.late is None and response.between is None:
            return list(response.pieces)
        return self._pieces(response)

    @staticmethod
    def _pieces(response: Response) -> Iterable[bytes]:
        for number, piece in enumerate(response.pieces):
            if number and response.between is not None:
                response.between()
            yield piece
        if response.late is not None:
            response.late()

    # --- the servers -----------------------------------------------------------------------------------------------

    def _call_asgi(
        self, method: str, path: str, headers: list[tuple[str, str]], scheme: str, client: str | None, *, body: bytes
    ) -> Reply:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        path, _, query = path.partition("?")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "method": method,
            "path": self.mount + path,
            "root_path": self.mount,
            "query_string": query.encode(),
            "scheme": scheme,
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
            "client": (client, 4711) if client else None,
        }
        if self.user is not None:
            scope["user"] = AuthenticatedUser(self.user)
        if self.protocol == "django-async":
            status, response_headers, content = run(self.door.call_async(scope, body))
            return Reply(status, tuple(response_headers), content)
        run(self.door(scope, receive, send))
        start = sent[0]
        assert start["type"] == "http.response.start"
        return Reply(
            start["status"],
            tuple((name.decode().lower(), value.decode("latin-1")) for name, value in start["headers"]),
            b"".join(message.get("body", b"") for message in sent[1:]),
        )

    def _call_wsgi(
        self, method: str, path: str, headers: list[tuple[str, str]], scheme: str, client: str | None, *, body: bytes
    ) -> Reply:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            started.append((status, headers))
            return lambda data: None

        path, _, query = path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "SCRIPT_NAME": self.mount,
            "QUERY_STRING": query,
            "wsgi.url_scheme": scheme,
            "REMOTE_ADDR": client or "",
        }
        if body:
            environ.update({"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))})
        setup_testing_defaults(environ)
        for name, value in headers:
            key = "HTTP_" + name.upper().replace("-", "_")
            joint = "; " if name == "cookie" else ", "
            environ[key] = f"{environ[key]}{joint}{value}" if key in environ and name != "host" else value
        if self.user is not None:
            environ["REMOTE_USER"] = self.user
        if self.protocol == "django":
            environ.setdefault("wsgi.input", BytesIO())
            code, named, content = self.door.call_sync(environ)
            return Reply(code, tuple(named), content)
        response = validator(self.door)(environ, start_response)
        pieces: list[bytes] = []
        try:
            pieces.extend(response)
        finally:
            response.close()  # type: ignore[attr-defined]  # what the validator gives has one
        status, response_headers = started[-1]
        return Reply(
            int(status[:3]), tuple((name.lower(), value) for name, value in response_headers), b"".join(pieces)
        )


class AuthenticatedUser:
    """As Starlette's `AuthenticationMiddleware` leaves one in the scope."""

    def __init__(self, name: str) -> None:
        self.is_authenticated = bool(name)
        self.identity = name
        self.display_name = name


@dataclass
class Browser:
    """A visitor: keeps cookies as a browser does, and asks as one."""

    site: Site
    scheme: str = "http"
    cookies: dict[str, str] = field(default_factory=dict)
    client: str | None = "192.0.2.7"

    def navigate(self, path: str = "/", *, method: str = "GET", **headers: str) -> Reply:
        """Open a page."""
        return self.ask(method, path, {**NAVIGATE, **_named(headers)})

    def fetch(self, path: str = "/api", *, method: str = "GET", **headers: str) -> Reply:
        """What a script on the page does."""
        return self.ask(method, path, {**FETCH, **_named(headers)})

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        sent = list(headers.items())
        if self.cookies:
            sent.append(("cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items())))
        reply = self.site.request(method, path, sent, scheme=self.scheme, client=self.client, body=body)
        for line in reply.cookies:
            pair, *attributes = line.split("; ")
            name, _, value = pair.partition("=")
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            elif self.scheme == "https" or "Secure" not in attributes:
                self.cookies[name] = value
        return reply

    def twin(self) -> Browser:
        """The same browser, with the cookies it has now: a parallel request."""
        return Browser(self.site, self.scheme, dict(self.cookies), self.client)


def during(browser: Browser, path: str, meanwhile: Callable[[], object], response: Response | None = None) -> Reply:
    """Open a page, with something else going on while its view runs."""

    def view() -> Response | None:
        browser.site.views.pop(path)
        meanwhile()
        return response

    browser.site.views[path] = view
    return browser.navigate(path)


def view_of(*calls: Callable[[], object], response: Response | None = None) -> View:
    """A view that makes these calls."""

    def view() -> Response | None:
        for call in calls:
            call()
        return response

    return view


def run(work: Awaitable[Any] | Coroutine[Any, Any, Any]) -> Any:
    """Run what never waits for anything outside itself, and return its result."""
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as end:
        return end.value
    msg = "it waits for something that never happens"
    raise AssertionError(msg)


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
