"""Sojourn for Sanic: its signals track each request, under Sanic's own server and under an ASGI server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

try:
    from sanic import HTTPResponse, Request, Sanic
except ImportError as missing:  # pragma: no cover - the message is tested in a bare environment
    from .errors import MissingExtraError

    raise MissingExtraError("sojourn.sanic needs Sanic: pip install sojourn[sanic]") from missing

from .beacon import LONGEST_BODY
from .core.failures import SERVER_ERROR
from .extension import engine_of
from .integration import Embedded, Exchange
from .settings import Settings
from .tracking.frameworks import ROUTE_KEY, USER_KEY, guarded
from .tracking.principal import UNKNOWN, of_object
from .tracking.wrong_doors import check_is

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["Sojourn"]

_LAST = -1_000_000
"""The priority of response middleware that sees what all others made of the response."""


class Sojourn:
    """Sojourn in a Sanic app: `Sojourn(app)`. `settings=None` reads `SOJOURN_*` from the environment."""

    def __init__(self, app: Any, settings: Settings | None = None, *, engine: Engine | None = None) -> None:
        check_is(app, Sanic, __name__)
        self.engine = engine_of(settings, engine)
        self._embedded = Embedded(self.engine)
        self._app: Sanic[Any, Any] = app
        app.ctx.sojourn = self
        app.after_server_start(self._start)
        app.before_server_stop(self._stop)
        app.add_signal(self._begin, "http.lifecycle.request")
        app.add_signal(self._routed, "http.routing.after")
        app.add_signal(self._raised, "http.lifecycle.exception")
        app.add_signal(self._sent, "http.lifecycle.response")
        app.add_signal(self._upgraded, "websocket.handler.before")
        app.register_middleware(self._own, "request", priority=-_LAST)
        app.register_middleware(self._respond, "response", priority=_LAST)

    def _start(self, *_app: Any) -> None:
        self.engine.start()

    def _stop(self, *_app: Any) -> None:
        self.engine.close()

    # --- signals, in their order; a fault in one never reaches the app -------------------------------------------------

    def _begin(self, request: Request, **_more: Any) -> None:
        self.engine.guard.guarded(None, self._track, request)

    def _track(self, request: Request) -> None:
        scope = request.ctx.sojourn_scope = _scope_of(request)
        if self._embedded.endpoint(scope) is None:
            request.ctx.sojourn = self._embedded.begin(scope)

    def _routed(self, request: Request, route: Any, **_more: Any) -> None:
        exchange = _exchange_of(request)
        if exchange is not None:
            exchange.place[ROUTE_KEY] = f"/{route.path}"

    def _raised(self, request: Request | None, exception: BaseException, **_more: Any) -> None:
        exchange = None if request is None else _exchange_of(request)
        if exchange is not None and getattr(exception, "status_code", SERVER_ERROR) >= SERVER_ERROR:
            exchange.failed(exception)

    def _respond(self, request: Request, response: Any) -> None:
        exchange = _exchange_of(request)
        if exchange is not None and not exchange.visit.responded:
            guarded(_settle, exchange, request, response)

    def _sent(self, request: Request, response: Any, **_more: Any) -> None:
        """The response is complete, or about to be sent; a middleware may have replaced the one that has our cookie."""
        exchange = _exchange_of(request)
        if exchange is not None:
            self._respond(request, response)
            exchange.close()
            request.ctx.sojourn = None

    def _upgraded(self, request: Request, **_more: Any) -> None:
        exchange = _exchange_of(request)
        if exchange is not None:
            exchange.visit.responded = True  # a socket starts no session

    # --- requests for us -----------------------------------------------------------------------------------------------

    async def _own(self, request: Request) -> HTTPResponse | None:
        """Respond to a request for an endpoint of ours."""
        scope = getattr(request.ctx, "sojourn_scope", None)
        endpoint = None if scope is None else self._embedded.endpoint(scope)
        if scope is None or endpoint is None:
            return None
        body = None
        if self._embedded.reads(endpoint, scope):
            await request.receive_body()  # type: ignore[no-untyped-call]
            body = request.body if len(request.body) <= LONGEST_BODY else b""
        reply = self._embedded.reply(endpoint, scope, body)
        response = HTTPResponse(reply.body, reply.status, content_type=None)
        for name, value in reply.headers:
            response.headers.add(name, value)
        return response

    def mount_report(
        self,
        path: str = "/_sojourn",
        *,
        password: str | None = None,
        token: str | None = None,
        allow: Callable[[Any], Any] | None = None,
    ) -> None:
        """Serve the report at `path`. Pass one of `password`, `token` and `allow`, which gets a Starlette `Request`.

        It is a route of the app, so the app's middleware runs for it. Raises `SettingsError` without any of the three.
        """
        from .report import report  # loads templates: only where the report is used

        page, mount = report(self.engine, password=password, token=token, allow=allow), path.rstrip("/")

        async def show(request: Request, **_more: Any) -> None:
            await request.receive_body()  # type: ignore[no-untyped-call]
            scope = {**(getattr(request.ctx, "sojourn_scope", None) or _scope_of(request)), "root_path": mount}
            response: Any = None

            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": request.body}

            async def send(message: Any) -> None:
                nonlocal response
                if message["type"] == "http.response.start":
                    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
                    made = HTTPResponse(b"", message["status"], content_type=dict(headers).get("content-type"))
                    for name, value in headers:
                        if name not in {"content-type", "content-length"}:
                            made.headers.add(name, value)
                    response = await request.respond(made)
                elif message.get("body"):
                    await response.send(message["body"])

            await page(scope, receive, send)
            await response.eof()

        for number, uri in enumerate((mount, f"{mount}/<rest:path>")):
            self._app.add_route(show, uri, methods=["GET", "HEAD", "POST"], name=f"sojourn_report_{number}")


def _settle(exchange: Exchange, request: Request, response: Any) -> None:
    user = getattr(request.ctx, "user", UNKNOWN)
    exchange.place[USER_KEY] = UNKNOWN if user is UNKNOWN else of_object(user)
    headers = [*response.headers.items()]
    if response.content_type and "content-type" not in response.headers:
        headers.append(("content-type", response.content_type))
    added = exchange.respond(response.status, headers)
    for line in added.cookies:
        response.headers.add("Set-Cookie", line)
    if added.cache_control is not None:
        response.headers["Cache-Control"] = added.cache_control


def _exchange_of(request: Request) -> Exchange | None:
    exchange: Exchange | None = getattr(request.ctx, "sojourn", None)
    return exchange


def _scope_of(request: Request) -> dict[str, Any]:
    """The ASGI scope of a request; under Sanic's own server, one of the same shape."""
    transport: Any = request.transport
    scope: dict[str, Any] | None = getattr(transport, "scope", None)
    if scope is not None:
        return scope
    peer = transport.get_extra_info("peername")
    return {
        "type": "http",
        "method": request.method,
        "path": unquote(request.path),
        "query_string": request.query_string.encode("latin-1", "replace"),
        "scheme": "http" if transport.get_extra_info("sslcontext") is None else "https",
        "headers": [
            (name.lower().encode(), value.encode("latin-1", "replace")) for name, value in request.headers.items()
        ],
        "client": peer if isinstance(peer, tuple) else None,
    }
