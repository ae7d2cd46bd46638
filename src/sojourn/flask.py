"""Sojourn for Flask: the WSGI door around `app.wsgi_app`, configured by `app.config["SOJOURN_*"]`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

try:
    import flask
    from flask.globals import request_ctx
except ImportError as missing:  # pragma: no cover - the message is tested in a bare environment
    from .errors import MissingExtraError

    raise MissingExtraError("sojourn.flask needs Flask: pip install sojourn[flask]") from missing

from .errors import SettingsError
from .extension import ConfiguredExtension, WsgiExtension
from .tracking.frameworks import Framework, Place, unhandled
from .tracking.principal import UNKNOWN, Principal, User, of_session
from .tracking.wrong_doors import check_is
from .wsgi import Environ, SojournMiddleware, WSGIApp

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["Sojourn", "SojournMiddleware"]


class Sojourn(ConfiguredExtension[flask.Flask]):
    """Put Sojourn in front of a Flask app: `Sojourn(app)`, or `Sojourn()` and `init_app(app)` later.

    Without `settings` it reads `app.config["SOJOURN_*"]`, then the environment, falls back to `SECRET_KEY` (and
    `SECRET_KEY_FALLBACKS`), and puts files in `app.instance_path`. The engine is `.engine`, and at
    `app.extensions["sojourn"].engine`. Each app has its own engine, unless you pass one.
    """

    @property
    def engine(self) -> Engine:
        """The engine of the current app, else of the last one. Raises `RuntimeError` before `init_app()`."""
        app = flask.current_app if flask.has_app_context() else None
        for each in (app, self._app):
            installed = None if each is None else each.extensions.get("sojourn")
            if isinstance(installed, Installed):
                return installed.engine
        if self._shared_engine is not None:
            return self._shared_engine
        msg = "this Sojourn has no app yet: call init_app(app) first"
        raise RuntimeError(msg)

    def init_app(self, app: flask.Flask) -> None:
        """Read the app's settings and put the middleware in front of it."""
        check_is(app, flask.Flask, __name__)
        installed = app.extensions["sojourn"] = Installed(app, self._engine_for(app))
        self._app = app
        app.wsgi_app = installed.door  # type: ignore[method-assign]
        flask.got_request_exception.connect(_raised, app)


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
        return of_session(session)


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


class Installed(WsgiExtension):
    """What `app.extensions["sojourn"]` holds."""

    framework = _Flask

    def __init__(self, app: flask.Flask, engine: Engine) -> None:
        super().__init__(app.wsgi_app, engine)
        self._app = app

    def _report_page(self, password: str | None, token: str | None, allow: Callable[[Any], Any] | None) -> WSGIApp:
        from .report import report_wsgi  # loads templates: only where the report is used

        check = None if allow is None else _in_context(self._app, allow)
        return report_wsgi(self.engine, password=password, token=token, allow=check)


def _raised(_app: flask.Flask, exception: BaseException, **_more: object) -> None:
    unhandled(exception)
