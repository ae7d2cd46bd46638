"""What every `Sojourn(app)` has: its engine, the door around the app, and the report in front of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import asgi, wsgi
from .settings import Settings
from .tracking.frameworks import Framework

if TYPE_CHECKING:
    from .engine import Engine

App = TypeVar("App")


def engine_of(settings: Settings | None, engine: Engine | None) -> Engine:
    """The engine that an integration was handed, or one for these settings; without them, those of the environment."""
    if engine is not None:
        return engine
    from .engine import Engine  # loads stores and pipeline: when an app is made, not at an import

    return Engine(Settings.from_env() if settings is None else settings)


class AsgiExtension:
    """A base of integrations that put an ASGI door around what they call `app`."""

    framework: type[Framework] = Framework

    def __init__(self, app: asgi.ASGIApp, engine: Engine) -> None:
        self.engine = engine
        self.door = asgi.SojournMiddleware(app, engine=engine, framework=self.framework())

    def mount_report(
        self,
        path: str = "/_sojourn",
        *,
        password: str | None = None,
        token: str | None = None,
        allow: Callable[[Any], Any] | None = None,
    ) -> None:
        """Serve the report at `path`, before the app's own routes. Pass one of `password`, `token` and `allow`.

        `allow`, sync or async, gets a Starlette `Request` and returns whether its user may see the report. Raises
        `SettingsError` without any of the three.
        """
        from .report import report  # loads templates: only where the report is used

        page = report(self.engine, password=password, token=token, allow=allow)
        self.door.app = _asgi_mounted(self.door.app, path.rstrip("/"), page)


class WsgiExtension:
    """A base of integrations that put a WSGI door around what they call `app`."""

    framework: type[Framework] = Framework

    def __init__(self, app: wsgi.WSGIApp, engine: Engine) -> None:
        self.engine = engine
        self.door = wsgi.SojournMiddleware(app, engine=engine, framework=self.framework())

    def mount_report(
        self,
        path: str = "/_sojourn",
        *,
        password: str | None = None,
        token: str | None = None,
        allow: Callable[[Any], Any] | None = None,
    ) -> None:
        """Serve the report at `path`, before the app's own routes. Pass one of `password`, `token` and `allow`.

        `allow` gets the framework's request and returns whether its user may see the report. Raises `SettingsError` without
        any of the three.
        """
        page = self._report_page(password, token, allow)
        self.door.app = wsgi_mounted(self.door.app, path.rstrip("/"), page)

    def _report_page(self, password: str | None, token: str | None, allow: Callable[[Any], Any] | None) -> wsgi.WSGIApp:
        from .report import report_wsgi  # loads templates: only where the report is used

        return report_wsgi(self.engine, password=password, token=token, allow=allow, framework=self.framework())


class ConfiguredExtension(Generic[App]):
    """A base of integrations whose framework has `app.config`, `app.extensions` and `init_app()`."""

    def __init__(
        self, app: App | None = None, settings: Settings | None = None, *, engine: Engine | None = None
    ) -> None:
        self._settings = settings
        self._shared_engine = engine
        self._app: Any = None
        if app is not None:
            self.init_app(app)

    def init_app(self, app: App) -> Any:
        """Put Sojourn in front of the app, and into `app.extensions["sojourn"]`."""
        raise NotImplementedError

    def _engine_for(self, app: Any) -> Engine:
        settings = self._settings
        if settings is None and self._shared_engine is None:
            settings = Settings.from_mapping(
                app.config,
                base_dir=app.instance_path,
                lenient_secret=app.debug or app.testing,
                environ=os.environ,
            )
        return engine_of(settings, self._shared_engine)

    def mount_report(
        self,
        path: str = "/_sojourn",
        *,
        app: App | None = None,
        password: str | None = None,
        token: str | None = None,
        allow: Callable[[Any], Any] | None = None,
    ) -> None:
        """Serve the report at `path`, after `init_app()`; `app` is the last one if you leave it out.

        Pass one of `password`, `token` and `allow`, which gets the framework's request (in Quart a Starlette `Request`) and
        returns whether its user may see the report. In Flask it runs in the request's context, so `flask.session` and
        Flask-Login's `current_user` work; the app's own hooks do not run for the report. Raises `SettingsError` without any.
        """
        holder: Any = self._app if app is None else app
        installed = None if holder is None else holder.extensions.get("sojourn")
        if not isinstance(installed, AsgiExtension | WsgiExtension):
            msg = "this app has no Sojourn yet: call init_app(app) first"
            raise RuntimeError(msg)
        installed.mount_report(path, password=password, token=token, allow=allow)


def in_front(app: Any, door: Any, *, is_asgi: bool) -> None:
    """Let calls of `app` go through `door`, for frameworks whose app is the callable itself, and has no seam.

    `app` gets a subclass of its own class, so that it stays what it is to its own command line, test client and `isinstance`.
    """
    kind = type(app)

    async def asgi_call(
        self: Any, scope: Any, receive: Any, send: Any
    ) -> None:  # servers look for a coroutine function
        await door(scope, receive, send)

    def wsgi_call(self: Any, environ: Any, start_response: Any) -> Any:
        return door(environ, start_response)

    call = asgi_call if is_asgi else wsgi_call
    app.__class__ = type(
        kind.__name__, (kind,), {"__slots__": (), "__call__": call, "__module__": kind.__module__, "sojourn": door}
    )


def _asgi_mounted(app: asgi.ASGIApp, mount: str, page: asgi.ASGIApp) -> asgi.ASGIApp:
    async def mounted(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        if scope["type"] == "http":
            root = scope.get("root_path", "")
            path = scope["path"]
            below = path.removeprefix(root) if root and path.startswith(f"{root}/") else path
            if below == mount or below.startswith(f"{mount}/"):
                await page({**scope, "root_path": root + mount}, receive, send)
                return
        await app(scope, receive, send)

    return mounted


def wsgi_mounted(app: wsgi.WSGIApp, mount: str, page: wsgi.WSGIApp) -> wsgi.WSGIApp:
    """A WSGI app with another one mounted at a path."""

    def mounted(environ: wsgi.Environ, start_response: wsgi.StartResponse) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        if path != mount and not path.startswith(f"{mount}/"):
            return app(environ, start_response)
        below = {"SCRIPT_NAME": environ.get("SCRIPT_NAME", "") + mount, "PATH_INFO": path[len(mount) :]}
        return page({**environ, **below}, start_response)

    return mounted
