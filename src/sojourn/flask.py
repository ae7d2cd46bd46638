"""Sojourn for Flask: the WSGI door around `app.wsgi_app`, configured by `app.config["SOJOURN_*"]`."""

from __future__ import annotations

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

    Without `settings` it reads `app.config["SOJOURN_*"]`, falls back to `SECRET_KEY` (and `SECRET_KEY_FALLBACKS`), and puts
    files in `app.instance_path`. The engine is `.engine`, and at `app.extensions["sojourn"].engine`.
    """

    def __init__(
        self, app: flask.Flask | None = None, settings: Settings | None = None, *, engine: Engine | None = None
    ) -> None:
        self._settings = settings
        self._engine = engine
        if app is not None:
            self.init_app(app)

    @property
    def engine(self) -> Engine:
        """The engine behind the door. `RuntimeError` before `init_app()`."""
        if self._engine is None:
            msg = "this Sojourn has no app yet: call init_app(app) first"
            raise RuntimeError(msg)
        return self._engine

    def init_app(self, app: flask.Flask) -> None:
        """Read the app's settings and put the door in front of it."""
        if self._engine is None:
            settings = self._settings or Settings.from_mapping(
                app.config, base_dir=app.instance_path, lenient_secret=app.debug or app.testing
            )
            self._engine = Engine(settings)
        app.extensions["sojourn"] = self
        app.wsgi_app = SojournMiddleware(  # type: ignore[method-assign]
            app.wsgi_app, engine=self._engine, request=_request, route=_route
        )


def _request(environ: Environ) -> Any:
    return flask.request if flask.has_request_context() else environ


def _route(_environ: Environ) -> str | None:
    rule = flask.request.url_rule if flask.has_request_context() else None
    return None if rule is None else rule.rule
