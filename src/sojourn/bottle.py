"""Sojourn for Bottle: the WSGI door around `app.wsgi`. Bottle keeps its route, and a user that the app sets, in the environ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    import bottle  # type: ignore[import-untyped]
except ImportError as missing:  # pragma: no cover - the message is tested in a bare environment
    from .errors import MissingExtraError

    raise MissingExtraError("sojourn.bottle needs Bottle: pip install sojourn[bottle]") from missing

from .extension import WsgiExtension, engine_of
from .settings import Settings
from .tracking.frameworks import Framework
from .tracking.principal import UNKNOWN, Principal, of_object
from .tracking.wrong_doors import check_is

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["Sojourn"]

_USER = "bottle.request.ext.user"
"""What `bottle.request.user = ...` sets."""


class _Bottle(Framework):
    def request(self, environ: Any) -> Any:
        return bottle.BaseRequest({**environ})  # a copy: it puts itself into the environ

    def route(self, environ: Any) -> str | None:
        route = environ.get("bottle.route")
        return None if route is None else str(route.rule)

    def principal(self, environ: Any) -> Principal:
        return of_object(environ[_USER]) if _USER in environ else UNKNOWN


class Sojourn(WsgiExtension):
    """Put Sojourn in front of a Bottle app (`bottle.default_app()` without `app`); go on serving it.

    `settings=None` reads `SOJOURN_*` from the environment. The engine is at `.engine`. An exception is recorded where
    Bottle catches it, and where `catchall=False` lets it pass.
    """

    framework = _Bottle

    def __init__(self, app: Any = None, settings: Settings | None = None, *, engine: Engine | None = None) -> None:
        app = bottle.default_app() if app is None else app
        check_is(app, bottle.Bottle, __name__)
        super().__init__(app.wsgi, engine_of(settings, engine))
        app.wsgi = self.door
