"""The ASGI middleware: pure ASGI, for http, websocket and lifespan scopes; others pass untouched.

All it adds to a response is one `Set-Cookie`, and `private` in `Cache-Control` beside it.

See P1 and P3 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from .beacon import LONGEST_BODY, NO_CONTENT, Endpoint, Reply
from .core.events import Scalar
from .settings import Settings
from .tracking.caching import with_private
from .tracking.doors import Wrapper, leave_visit
from .tracking.exceptions import capture
from .tracking.forwarded import Proxies
from .tracking.frameworks import Framework, Guarded
from .tracking.principal import ROUTE_KEY, UNKNOWN, Principal, of_scope
from .tracking.visit import VISIT_KEY, Visit, active_visit
from .tracking.wrong_doors import check_asgi

if TYPE_CHECKING:
    from .engine import Engine

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_SEQUENCES = (list, tuple)  # made once: `list | tuple` is a new object at every request


class SojournMiddleware(Wrapper):
    """Sojourn in front of any ASGI app. Attributes that it lacks are the app's.

    `settings=None` reads `SOJOURN_*` from the environment; `engine=` shares the engine of another middleware. `framework`
    adds what the scope does not hold; without it `principal` and `consent` get the scope.
    """

    app: ASGIApp

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings | None = None,
        *,
        engine: Engine | None = None,
        framework: Framework | None = None,
    ) -> None:
        check_asgi(app)
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
        self._announce()

    def __call__(self, scope: Scope, receive: Receive, send: Send | None = None, *more: Any) -> Awaitable[None]:
        if send is None or more:
            msg = "this is Sojourn's ASGI door, called as a WSGI app: use `from sojourn.wsgi import SojournMiddleware`"
            raise TypeError(msg)
        return self._handler(scope)(scope, receive, send)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "__call__"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._announce()

    def _announce(self) -> None:
        # Servers take an app for ASGI 3 if `app.__call__` is a coroutine function. Ours is not: it must refuse a WSGI server
        # at once, not when something is awaited. Calls go through the class; only an inspection sees this attribute.
        self.__dict__["__call__"] = self._asgi

    async def _asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._handler(scope)(scope, receive, send)

    def _handler(self, scope: Scope) -> ASGIApp:
        """Who takes this scope. A second Sojourn further in steps aside."""
        kind = scope.get("type")
        if VISIT_KEY in scope:
            return self.app
        if kind == "http":
            if self._beacon is not None and (own := self._beacon.at(scope.get("path", ""), scope.get("root_path", ""))):
                return partial(self._own, own)
            return self._http
        if kind == "websocket":
            return self._websocket
        return self._lifespan if kind == "lifespan" else self.app

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        tracker, guard = self.engine.tracker, self._guard
        try:
            visit = tracker.begin(AsgiFacts(scope, self._proxies, self._framework))
        except Exception as error:  # noqa: BLE001 - as `guarded`, without its call
            visit = tracker.failed(error, "begin")
        scope[VISIT_KEY] = visit
        token = active_visit.set(visit)

        def tracked_send(message: Message) -> Awaitable[None]:  # no coroutine of its own: one less to run per message
            kind = message["type"]
            if kind == "http.response.start":
                try:
                    message = self._responded(visit, message)
                except Exception as error:  # noqa: BLE001 - as `guarded`, without its call
                    tracker.failed(error, "finish")
            elif kind == "http.response.body" and (visit.chunks or message.get("more_body")):
                return self._send_piece(visit, message, send)
            return send(message)

        try:
            await self.app(scope, receive, tracked_send)
        except BaseException as error:
            guard.guarded(None, capture, visit, error, is_handled=False)
            raise
        finally:
            leave_visit(token)
            # The visit knows the scope: a circle here would wait for the garbage collector, at every request.
            scope[VISIT_KEY] = visit.captured = None
            if not visit.responded:
                guard.guarded(None, tracker.abandon, visit)
            elif visit.chunks:
                guard.guarded(None, tracker.connections.close_stream, visit)

    async def _own(self, endpoint: Endpoint, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request for an endpoint of ours."""
        guarded = self._guard.guarded
        reply: Reply = NO_CONTENT
        facts = guarded(None, AsgiFacts, scope, self._proxies, self._framework)
        if facts is not None:
            body = await _small_body(facts, receive) if guarded(False, endpoint.reads, facts) else None
            reply = guarded(NO_CONTENT, endpoint.respond, facts, body)
        headers = [(name.encode(), value.encode("latin-1")) for name, value in reply.headers]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope.get("method") == "HEAD" else reply.body})

    async def _send_piece(self, visit: Visit, message: Message, send: Send) -> None:
        """Send a piece of a body. After the last one the stream is over, even if a background task still runs."""
        tracker = self.engine.tracker
        if visit.chunks == 0:
            tracker.connections.opened(visit)
        visit.chunks += 1 if message.get("body") else 0
        await send(message)
        if not message.get("more_body"):
            self._guard.guarded(None, tracker.connections.close_stream, visit)
            visit.chunks = 0

    def _begin(self, scope: Scope) -> Visit:
        return self.engine.tracker.begin(AsgiFacts(scope, self._proxies, self._framework))

    def _responded(self, visit: Visit, message: Message) -> Message:
        status = message.get("status", 0)
        if status < 200:  # an early hint: the response is yet to come
            return message
        headers = message.get("headers") or ()
        if not isinstance(headers, _SEQUENCES):
            headers = list(headers)
            message = {**message, "headers": headers}
        response = AsgiResponse(status, headers)
        line = self.engine.tracker.finish(visit, response)
        if line is None:
            return message
        lines = (line, *visit.more_cookie_lines)
        added = [*headers, *((b"set-cookie", text.encode("latin-1")) for text in lines)]
        if self._adds_private and (private := with_private(response)) is not None:
            added = [pair for pair in added if pair[0].lower() != b"cache-control"]
            added.append((b"cache-control", private.encode("latin-1")))
        return {**message, "headers": added}

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a socket. It begins no session: not every server sends a cookie with the handshake. Messages are activity."""
        tracker, guarded = self.engine.tracker, self._guard.guarded
        visit = guarded(None, self._begin, scope) or tracker.nothing()
        visit.responded = True
        scope[VISIT_KEY] = visit
        token = active_visit.set(visit)
        attributes: dict[str, Scalar] = {"network.protocol.name": "websocket"}

        async def tracked_receive() -> Message:
            message = await receive()
            kind = message.get("type")
            if kind == "websocket.receive":
                content = message.get("text")
                guarded(None, tracker.connections.message, visit, message.get("bytes") if content is None else content)
            elif kind == "websocket.connect" and not visit.is_passive:
                guarded(None, tracker.connections.message, visit)
            elif kind == "websocket.disconnect":
                attributes["websocket.close_code"] = message.get("code") or 1005
            return message

        async def tracked_send(message: Message) -> None:
            if message.get("type") == "websocket.close":
                attributes.setdefault("websocket.close_code", message.get("code") or 1000)
            await send(message)

        tracker.connections.opened(visit)
        try:
            await self.app(scope, tracked_receive, tracked_send)
        except BaseException as error:
            guarded(None, capture, visit, error, is_handled=False)
            raise
        finally:
            leave_visit(token)
            visit.captured = None
            guarded(None, tracker.connections.close, visit, attributes)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start the engine when the app has started, and close it when the app has shut down."""
        engine = self.engine

        async def tracked_send(message: Message) -> None:
            kind = message.get("type")
            if kind == "lifespan.startup.complete":
                engine.start()
            elif kind in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
                engine.guard.guarded(None, engine.close)
            await send(message)

        scope[VISIT_KEY] = None  # a second Sojourn further in steps aside here as well
        await self.app(scope, receive, tracked_send)


class AsgiFacts:
    """The facts of a request, from its scope (see `facts.RequestFacts`)."""

    __slots__ = ("_framework", "_headers", "_proxies", "_scope", "cookie", "is_https", "method", "mount", "path")

    def __init__(self, scope: Scope, proxies: Proxies, framework: Guarded | None = None) -> None:
        self._scope = scope
        self._proxies = proxies
        self._framework = framework
        self.method: str = scope.get("method", "GET")
        self.path: str = scope.get("path", "/")
        self.mount: str = scope.get(
            "root_path", ""
        )  # as it is now: routers in the app write theirs into the same scope
        headers = scope.get("headers") or ()
        if not isinstance(headers, _SEQUENCES):  # ASGI allows any iterable, even one that can be read only once
            scope["headers"] = headers = list(headers)
        if headers and not isinstance(headers[0], _SEQUENCES):  # and each pair, too
            scope["headers"] = headers = [tuple(pair) for pair in headers]
        self._headers = by_name = dict(headers)
        # ASGI demands names in lower case; a server that sends `host` so obeys. Others, and repeated headers, are slower.
        if len(by_name) != len(headers) or b"host" not in by_name:
            self._headers = by_name = _joined(headers)
        self.cookie: bytes = by_name.get(b"cookie", b"")
        scheme = scope.get("scheme", "http")
        if proxies.are_any:
            scheme = proxies.scheme(
                self._peer(),
                scheme,
                forwarded=self.header("forwarded"),
                forwarded_for=self.header("x-forwarded-for"),
                forwarded_proto=self.header("x-forwarded-proto"),
            )
        self.is_https = scheme in {"https", "wss"}

    @property
    def query(self) -> str:
        raw: bytes = self._scope.get("query_string") or b""
        return raw.decode("latin-1")

    def header(self, name: str) -> str:
        value = self._headers.get(name.encode())
        return "" if value is None else value.decode("latin-1")

    def has_any(self, names: tuple[str, ...]) -> bool:
        return not self._headers.keys().isdisjoint(_encoded(names))

    def client_address(self) -> str | None:
        return self._proxies.client(self._peer(), self.header("forwarded"), self.header("x-forwarded-for"))

    def proven_address(self) -> str | None:
        return self._proxies.proven_client(self._peer(), self)

    def is_from_proxy(self) -> bool:
        return self._proxies.trusts(self._peer())

    def route(self) -> str | None:
        scope, framework = self._scope, self._framework
        if framework is not None and (route := framework.route(scope)) is not None:
            return route
        template = getattr(scope.get("route"), "path", None) or scope.get("path_template") or scope.get(ROUTE_KEY)
        if not isinstance(template, str):
            return None
        mounted = scope.get("root_path", "").removeprefix(scope.get("app_root_path", ""))
        return template if template.startswith(mounted) else f"{mounted}{template}"

    def framework_request(self) -> Any:
        return self._scope if self._framework is None else self._framework.request(self._scope)

    def principal(self) -> Principal:
        principal = UNKNOWN if self._framework is None else self._framework.principal(self._scope)
        return of_scope(self._scope) if principal is UNKNOWN else principal

    def _peer(self) -> str | None:
        client = self._scope.get("client")
        if client is not None and not isinstance(client, _SEQUENCES):
            self._scope["client"] = client = tuple(client)
        return client[0] if client else None


@cache
def _encoded(names: tuple[str, ...]) -> frozenset[bytes]:
    """Header names as a scope has them (only our own code names them: a handful)."""
    return frozenset(name.encode() for name in names)


class AsgiResponse:
    """The facts of a response start (see `facts.ResponseFacts`)."""

    __slots__ = ("_headers", "status")

    def __init__(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.status = status
        self._headers = headers

    def header(self, name: str) -> str:
        encoded = name.encode()
        joined: bytes | None = None
        for key, value in self._headers:
            if key == encoded or key.lower() == encoded:
                joined = value if joined is None else joined + b", " + value
        return "" if joined is None else joined.decode("latin-1")

    def names(self) -> Iterable[str]:
        return [key.lower().decode("latin-1") for key, _ in self._headers]


async def read_body(receive: Receive, limit: int) -> bytes:
    """Read a body of at most `limit` bytes; of a longer one, just enough to notice it."""
    body, has_more = b"", True
    while has_more and len(body) <= limit:
        message = await receive()
        body += message.get("body") or b""
        has_more = message.get("more_body", False)
    return body


async def _small_body(facts: AsgiFacts, receive: Receive) -> bytes:
    """The body for an endpoint of ours; empty if it is, or is declared to be, too long."""
    declared = facts.header("content-length")
    if declared and not (declared.isdecimal() and len(declared) < 9 and int(declared) <= LONGEST_BODY):
        return b""
    body = await read_body(receive, LONGEST_BODY)
    return body if len(body) <= LONGEST_BODY else b""


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by lower-case name. HTTP/2 may split the `Cookie` header: its parts are joined with `; `."""
    by_name: dict[bytes, bytes] = {}
    for key, value in headers:
        name = key.lower()
        if name not in by_name:
            by_name[name] = value
        else:
            by_name[name] += (b"; " if name == b"cookie" else b", ") + value
    return by_name
