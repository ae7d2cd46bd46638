"""Sojourn for Flask: the WSGI door around `app.wsgi_app`, configured by `app.config["SOJOURN_*"]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

try:
    import flask
except ImportError as missing:  # pragma: no cover - the message is tested in a bare environment
    from .errors import MissingExtraError

    raise MissingExtraError("sojourn.flask needs Flask: pip install sojourn[flask]") from missing

from .engine import Engine
from .settings import Settings
from .wsgi import Environ, SojournMiddleware

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
        app.extensions["sojourn"] = Installed(engine)
        app.wsgi_app = SojournMiddleware(  # type: ignore[method-assign]
            app.wsgi_app, engine=engine, request=_request, route=_route
        )


@dataclass(frozen=True, slots=True)
class Installed:
    """What `app.extensions["sojourn"]` holds."""

    engine: Engine


def _request(environ: Environ) -> Any:
    return flask.request if flask.has_request_context() else environ


def _route(_environ: Environ) -> str | None:
    rule = flask.request.url_rule if flask.has_request_context() else None
    return None if rule is None else rule.rule
