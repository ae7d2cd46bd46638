"""Sojourn for Flask: the WSGI door around `app.wsgi_app`, configured by `app.config["SOJOURN_*"]`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

try:
    import flask
    from flask.globals import request_ctx
except ImportError as missing:  # pragma: no cover - the message is tested in a bare environment
    from .errors import MissingExtraError

    raise MissingExtraError("sojourn.flask needs Flask: pip install sojourn[flask]") from missing

from .engine import Engine
from .errors import SettingsError
from .settings import Settings
from .tracking.exceptions import capture
from .tracking.principal import UNKNOWN, Principal, User
from .tracking.visit import active_visit
from .wsgi import Environ, SojournMiddleware, StartResponse, WSGIApp

__all__ = ["Sojourn", "SojournMiddleware"]


class Sojourn:
    """Put Sojourn in front of a Flask app: `Sojourn(app)`, or `Sojourn()` and `init_app(app)` later.

    Without `settings` it reads `app.config["SOJOURN_*"]`, falls back to `SECRET_KEY` (and `SECRET_KEY_FALLBACKS`), and
    puts files in `app.instance_path`. The engine is `.engine`, and at `app.extensions["sojourn"].engine`. Each app has an
    engine of its own, unless one is given.
    """

    def __init__(
        self, app: flask.Flask | None = None, settings: Settings | None = None, *, engine: Engine | None = None
    ) -> None:
        self._settings = settings
        self._given = engine
        self._engine = engine
        if app is not None:
            self.init_app(app)

    @property
    def engine(self) -> Engine:
        """The engine of the current app, else of the last one. `RuntimeError` before `init_app()`."""
        installed = flask.current_app.extensions.get("sojourn") if flask.has_app_context() else None
        engine = installed.engine if isinstance(installed, Installed) else self._engine
        if engine is None:
            msg = "this Sojourn has no app yet: call init_app(app) first"
            raise RuntimeError(msg)
        return engine

    def init_app(self, app: flask.Flask) -> None:
        """Read the app's settings and put the door in front of it."""
        engine = self._given
        if engine is None:
            settings = self._settings or Settings.from_mapping(
                app.config, base_dir=app.instance_path, lenient_secret=app.debug or app.testing
            )
            engine = Engine(settings)
        self._engine = engine
        door = SojournMiddleware(app.wsgi_app, engine=engine, framework=_Flask())
        app.extensions["sojourn"] = Installed(engine, door)
        app.wsgi_app = door  # type: ignore[method-assign]
        flask.got_request_exception.connect(_raised, app)

    def mount_report(
        self,
        app: flask.Flask,
        path: str = "/_sojourn",
        *,
        password: str | None = None,
        token: str | None = None,
        allow: Callable[[Any], Any] | None = None,
    ) -> None:
        """Put the Sessions report at `path`, after `init_app()`; who may look, one of the three says.

        `allow` gets Flask's request, in a context of it (so `flask.session` and Flask-Login's `current_user` work), and
        answers True or False. The app's own hooks do not run for the report. `SettingsError` without any of the three.
        """
        from .report import report_wsgi  # templates and all: only for who wants it

        installed = app.extensions.get("sojourn")
        if not isinstance(installed, Installed):
            msg = "this app has no Sojourn in front of it yet: call init_app(app) first"
            raise RuntimeError(msg)
        asked = None if allow is None else _in_context(app, allow)
        page = report_wsgi(installed.engine, password=password, token=token, allow=asked)
        installed.door.app = _Mounted(installed.door.app, path.rstrip("/"), page)


@dataclass(frozen=True, slots=True)
class Installed:
    """What `app.extensions["sojourn"]` holds."""

    engine: Engine
    door: SojournMiddleware


@dataclass(frozen=True, slots=True)
class _Mounted:
    """A WSGI app, and another one below a path of it."""

    app: WSGIApp
    path: str
    mounted: WSGIApp

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        asked: str = environ.get("PATH_INFO", "")
        if asked != self.path and not asked.startswith(f"{self.path}/"):
            return self.app(environ, start_response)
        below = {"SCRIPT_NAME": environ.get("SCRIPT_NAME", "") + self.path, "PATH_INFO": asked[len(self.path) :]}
        return self.mounted({**environ, **below}, start_response)


def _in_context(app: flask.Flask, allow: Callable[[Any], Any]) -> Callable[[Environ], Any]:
    """The app's own check, as if in a view of it."""
    if inspect.iscoroutinefunction(allow) or inspect.iscoroutinefunction(type(allow).__call__):
        raise SettingsError("allow: Flask calls it without awaiting; give a plain function, not an async one")

    def asked(environ: Environ) -> Any:
        with app.request_context(environ):
            return allow(flask.request)

    return asked


class _Flask:
    """What only Flask knows of a request (see `wsgi.Framework`)."""

    def request(self, environ: Environ) -> Any:
        return flask.request if flask.has_request_context() else flask.Request(environ)

    def route(self, _environ: Environ) -> str | None:
        rule = flask.request.url_rule if flask.has_request_context() else None
        return None if rule is None else rule.rule

    def principal(self, environ: Environ) -> Principal:
        """Flask-Login's raw id, or a `user_id` in a session that the app itself has opened."""
        if not flask.has_request_context():
            return UNKNOWN
        held = vars(request_ctx._get_current_object())  # type: ignore[attr-defined]  # not `.session`: that would say the app had opened it
        session = held.get("_session", held.get("session"))
        if not isinstance(session, dict):
            return UNKNOWN
        manager = getattr(flask.current_app, "login_manager", None)
        if manager is not None:
            return _logged_in(manager, session, environ)
        if not getattr(session, "accessed", False):
            return UNKNOWN
        known = dict.get(session, "user_id")
        if known is None or known == "":
            return None
        return User(known) if isinstance(known, str | int) and not isinstance(known, bool) else UNKNOWN


def _logged_in(manager: Any, session: dict[str, Any], environ: Environ) -> Principal:
    """What Flask-Login has stored, or has found out for this request; nothing is loaded for our sake."""
    known = dict.get(session, "_user_id")
    if known is not None and known != "":
        return User(str(known))
    loaded = flask.g.get("_login_user")
    if loaded is None:  # nobody has asked yet, and something else than the session may know
        remembers = flask.current_app.config.get("REMEMBER_COOKIE_NAME", "remember_token")
        may_be_told = getattr(manager, "_request_callback", None) is not None
        return UNKNOWN if may_be_told or f"{remembers}=" in environ.get("HTTP_COOKIE", "") else None
    if not getattr(loaded, "is_authenticated", False):
        return None
    return User(str(loaded.get_id()))  # by a token, in this request alone


def _raised(_app: flask.Flask, exception: BaseException, **_more: object) -> None:
    """Flask turns errors into answers before they reach the door; it says so first."""
    visit = active_visit.get()
    if visit is not None:
        visit.guard.guarded(None, capture, visit, exception, is_handled=False, has_response=True)
