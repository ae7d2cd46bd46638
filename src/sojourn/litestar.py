"""Sojourn for Litestar: a plugin. The ASGI door stands around its handler, outside of routing, CORS and authentication."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

try:
    from litestar import Litestar, Request, WebSocket
    from litestar.exceptions import HTTPException
    from litestar.plugins import InitPluginProtocol
except ImportError as missing:  # pragma: no cover - the message is tested in a bare environment
    from .errors import MissingExtraError

    raise MissingExtraError("sojourn.litestar needs Litestar: pip install sojourn[litestar]") from missing

from .asgi import SojournMiddleware
from .core.failures import SERVER_ERROR
from .extension import AsgiExtension, engine_of
from .settings import Settings
from .tracking.frameworks import Framework, unhandled
from .tracking.wrong_doors import guessed

if TYPE_CHECKING:
    from litestar.config.app import AppConfig

    from .engine import Engine

__all__ = ["SojournPlugin"]
if not TYPE_CHECKING:
    __getattr__ = guessed(__name__, "use `from sojourn.litestar import SojournPlugin`")


class _Litestar(Framework):
    """Its scope holds the route and the user; see `AsgiFacts`."""

    def request(self, scope: Any) -> Any:
        return Request(scope) if scope["type"] == "http" else WebSocket(scope)


class SojournPlugin(AsgiExtension, InitPluginProtocol):
    """Sojourn in front of a Litestar app: `Litestar(..., plugins=[SojournPlugin(settings)])`.

    `settings=None` reads `SOJOURN_*` from the environment. The engine is at `.engine`.
    """

    framework = _Litestar

    def __init__(self, settings: Settings | None = None, *, engine: Engine | None = None) -> None:
        super().__init__(self._handle, engine_of(settings, engine))
        self._handler: Any = None

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Hook into the app."""
        app_config.on_startup.insert(0, self._start)
        app_config.on_shutdown.append(self.engine.close)
        app_config.after_exception.append(_raised)
        app_config.middleware.insert(0, self._inside)
        return app_config

    async def _handle(self, scope: Any, receive: Any, send: Any) -> None:
        await self._handler(scope, receive, send)

    def _start(self, app: Litestar) -> None:
        self._install(app)
        self.engine.start()

    def _install(self, app: Litestar) -> None:
        """Put the door around the handler, which Litestar makes after its plugins have run."""
        if self._handler is None:
            self._handler, app.asgi_handler = app.asgi_handler, cast("Any", self.door)

    def _inside(self, app: Any) -> Any:
        """A door for the first request of an app that was not started, as by a test client outside of `with`."""
        door = SojournMiddleware(app, engine=self.engine, framework=self.framework())

        async def call(scope: Any, receive: Any, send: Any) -> None:
            self._install(scope["litestar_app"])
            await door(scope, receive, send)  # steps aside where the outer one is there

        return call


async def _raised(error: Exception, _scope: Any) -> None:
    if not isinstance(error, HTTPException) or error.status_code >= SERVER_ERROR:
        unhandled(error)
