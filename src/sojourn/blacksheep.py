"""Sojourn for BlackSheep: an ASGI door around the app, and a middleware that leaves the user in the scope."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

try:
    from blacksheep import Application, Request, Response
    from blacksheep.exceptions import HTTPException
except ImportError as missing:  # pragma: no cover - the message is tested in a bare environment
    from .errors import MissingExtraError

    raise MissingExtraError("sojourn.blacksheep needs BlackSheep: pip install sojourn[blacksheep]") from missing

from .core.failures import SERVER_ERROR
from .extension import AsgiExtension, engine_of, in_front
from .integration import Embedded, Exchange
from .settings import Settings
from .tracking.frameworks import ROUTE_KEY, USER_KEY, guarded, unhandled
from .tracking.principal import UNKNOWN, of_object
from .tracking.wrong_doors import check_is

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["Sojourn"]


class Sojourn(AsgiExtension):
    """Put Sojourn in front of a BlackSheep app; go on serving it.

    `settings=None` reads `SOJOURN_*` from the environment. The engine is at `.engine`.
    """

    def __init__(self, app: Application, settings: Settings | None = None, *, engine: Engine | None = None) -> None:
        check_is(app, Application, __name__)
        super().__init__(partial(type(app).__call__, app), engine_of(settings, engine))
        self._embedded = Embedded(self.engine)
        self._router = app.router
        self._app_handle = app.handle
        app.handle = self._handle  # type: ignore[method-assign]
        app.middlewares.insert(0, self._watch)
        in_front(app, self.door, is_asgi=True)

    async def _handle(self, request: Request) -> Response:
        """Handle a request of BlackSheep's test client, which passes the door by; others are tracked there."""
        scope: Any = request.scope
        exchange = None if scope is None else self._embedded.begin(scope)
        if exchange is None:
            return await self._app_handle(request)
        try:
            response = await self._app_handle(request)
            guarded(_settle, exchange, response)
            return response
        finally:
            exchange.close()

    async def _watch(self, request: Request, handler: Any) -> Response:
        try:
            response: Response = await handler(request)
            return response
        except Exception as error:
            if not isinstance(error, HTTPException) or error.status >= SERVER_ERROR:
                unhandled(error)
            raise
        finally:
            guarded(self._leave_facts, request)

    def _leave_facts(self, request: Request) -> None:
        scope: Any = request.scope
        match = self._router.get_match(request)
        scope[ROUTE_KEY] = None if match is None else match.pattern.decode()
        user = vars(request).get("_user")  # not `request.user`, which would make one
        if user is None:
            scope[USER_KEY] = UNKNOWN
        else:
            held = vars(user)
            scope[USER_KEY] = of_object(held.get("claims")) if held.get("authentication_mode") else None


def _settle(exchange: Exchange, response: Response) -> None:
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.values or ()]
    if (content_type := response.content_type()) is not None:
        headers.append(("content-type", content_type.decode("latin-1")))
    added = exchange.respond(response.status, headers)
    for line in added.cookies:
        response.add_header(b"Set-Cookie", line.encode("latin-1"))
    if added.cache_control is not None:
        response.headers.set(b"Cache-Control", added.cache_control.encode("latin-1"))
