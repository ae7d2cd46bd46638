"""Sojourn for Flask: the WSGI door around `app.wsgi_app`, configured by `app.config["SOJOURN_*"]`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

try:
    import flask
    from flask.globals import request_ctx
except ImportError as missing:  # pragma: no cover - the message is tested in a bare environment
    from .errors import MissingExtraError

    raise MissingExtraError("sojourn.flask needs Flask: pip install sojourn[flask]") from missing

from .errors import SettingsError
from .extension import wsgi_mounted
from .settings import Settings
from .tracking.frameworks import Framework, Place, unhandled
from .tracking.principal import UNKNOWN, Principal, User
from .tracking.wrong_doors import check_is
from .wsgi import Environ, SojournMiddleware

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["Sojourn", "SojournMiddleware"]


class Sojourn:
    """Put Sojourn in front of a Flask app: `Sojourn(app)`, or `Sojourn()` and `init_app(app)` later.

    Without `settings` it reads `app.config["SOJOURN_*"]`, then the environment, falls back to `SECRET_KEY` (and
    `SECRET_KEY_FALLBACKS`), and puts files in `app.instance_path`. The engine is `.engine`, and at
    `app.extensions["sojourn"].engine`. Each app has its own engine, unless you pass one.
    """

    def __init__(
        self, app: flask.Flask | None = None, settings: Settings | None = None, *, engine: Engine | None = None
    ) -> None:
        self._settings = settings
        self._shared_engine = engine
        self._engine = engine
        self._app: flask.Flask | None = None
        if app is not None:
            self.init_app(app)

    @property
    def engine(self) -> Engine:
        """The engine of the current app, else of the last one. Raises `RuntimeError` before `init_app()`."""
        installed = flask.current_app.extensions.get("sojourn") if flask.has_app_context() else None
        engine = installed.engine if isinstance(installed, Installed) else self._engine
        if engine is None:
            msg = "this Sojourn has no app yet: call init_app(app) first"
            raise RuntimeError(msg)
        return engine

    def init_app(self, app: flask.Flask) -> None:
        """Read the app's settings and put the middleware in front of it."""
        check_is(app, flask.Flask, __name__)
        engine = self._shared_engine
        if engine is None:
            settings = self._settings or Settings.from_mapping(
                app.config,
                base_dir=app.instance_path,
                lenient_secret=app.debug or app.testing,
                environ=os.environ,
            )
            from .engine import Engine  # see `sojourn.wsgi`

            engine = Engine(settings)
        self._engine, self._app = engine, app
        door = SojournMiddleware(app.wsgi_app, engine=engine, framework=_Flask())
        app.extensions["sojourn"] = Installed(engine, door)
        app.wsgi_app = door  # type: ignore[method-assign]
        flask.got_request_exception.connect(_raised, app)

    def mount_report(
        self,
        path: str = "/_sojourn",
        *,
        app: flask.Flask | None = None,
        password: str | None = None,
        token: str | None = None,
        allow: Callable[[Any], Any] | None = None,
    ) -> None:
        """Serve the report at `path`, after `init_app()`. Pass one of `password`, `token` and `allow` to say who may see it.

        `app` is the one of the last `init_app()` if you leave it out.

        `allow` gets Flask's request, in its context (so `flask.session` and Flask-Login's `current_user` work), and returns
        True or False. The app's own hooks do not run for the report. Raises `SettingsError` without any of the three.
        """
        from .report import report_wsgi  # loads templates: only where the report is used

        app = self._app if app is None else app
        installed = None if app is None else app.extensions.get("sojourn")
        if app is None or not isinstance(installed, Installed):
            msg = "this app has no Sojourn yet: call init_app(app) first"
            raise RuntimeError(msg)
        check = None if allow is None else _in_context(app, allow)
        page = report_wsgi(installed.engine, password=password, token=token, allow=check)
        installed.door.app = wsgi_mounted(installed.door.app, path.rstrip("/"), page)


@dataclass(frozen=True, slots=True)
class Installed:
    """What `app.extensions["sojourn"]` holds."""

    engine: Engine
    door: SojournMiddleware


def _in_context(app: flask.Flask, allow: Callable[[Any], Any]) -> Callable[[Environ], Any]:
    """Run the app's own check as in a view."""
    if inspect.iscoroutinefunction(allow) or inspect.iscoroutinefunction(type(allow).__call__):
        raise SettingsError("allow: Flask cannot await it; give a sync function")

    def check(environ: Environ) -> Any:
        with app.request_context(environ):
            return allow(flask.request)

    return check


class _Flask(Framework):
    def request(self, environ: Any) -> Any:
        return flask.request if flask.has_request_context() else flask.Request(environ)

    def route(self, _environ: Any) -> str | None:
        rule = flask.request.url_rule if flask.has_request_context() else None
        return None if rule is None else rule.rule

    def principal(self, environ: Any) -> Principal:
        """Flask-Login's user id, or a `user_id` in a session that the app itself has opened."""
        if not flask.has_request_context():
            return UNKNOWN
        context = vars(request_ctx._get_current_object())  # type: ignore[attr-defined]  # not `.session`, which would mark it as opened by the app
        session = context.get("_session", context.get("session"))
        if not isinstance(session, dict):
            return UNKNOWN
        manager = getattr(flask.current_app, "login_manager", None)
        if manager is not None:
            return _logged_in(manager, session, environ)
        if not getattr(session, "accessed", False):
            return UNKNOWN
        user_id = dict.get(session, "user_id")
        if user_id is None or user_id == "":
            return None
        return User(user_id) if isinstance(user_id, str | int) and not isinstance(user_id, bool) else UNKNOWN


def _logged_in(manager: Any, session: dict[str, Any], environ: Place) -> Principal:
    """The user that Flask-Login has stored, or has loaded for this request. Loads nothing itself."""
    user_id = dict.get(session, "_user_id")
    if user_id is not None and user_id != "":
        return User(str(user_id))
    loaded = flask.g.get("_login_user")
    if loaded is None:  # not loaded yet, and the user may come from a cookie or a request loader
        remember_cookie = flask.current_app.config.get("REMEMBER_COOKIE_NAME", "remember_token")
        has_request_loader = getattr(manager, "_request_callback", None) is not None
        return UNKNOWN if has_request_loader or f"{remember_cookie}=" in environ.get("HTTP_COOKIE", "") else None
    if not getattr(loaded, "is_authenticated", False):
        return None
    return User(str(loaded.get_id()))  # by a token, for this request only


def _raised(_app: flask.Flask, exception: BaseException, **_more: object) -> None:
    unhandled(exception)
