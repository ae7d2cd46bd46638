"""Sojourn for Quart: the ASGI door around `app.asgi_app`, configured by `app.config["SOJOURN_*"]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

try:
    import quart
    from quart.signals import got_request_exception, request_finished
except ImportError as missing:  # pragma: no cover - the message is tested in a bare environment
    from .errors import MissingExtraError

    raise MissingExtraError("sojourn.quart needs Quart: pip install sojourn[quart]") from missing

from .extension import AsgiExtension, ConfiguredExtension
from .tracking.frameworks import ROUTE_KEY, USER_KEY, guarded, unhandled
from .tracking.principal import Principal, User, of_session
from .tracking.wrong_doors import check_is

if TYPE_CHECKING:
    from .asgi import ASGIApp

__all__ = ["Sojourn"]


class Sojourn(ConfiguredExtension[quart.Quart]):
    """Put Sojourn in front of a Quart app: `Sojourn(app)`, or `Sojourn()` and `init_app(app)` later.

    Without `settings` it reads `app.config["SOJOURN_*"]`, then the environment, falls back to `SECRET_KEY` (and
    `SECRET_KEY_FALLBACKS`), and puts files in `app.instance_path`. What `init_app()` returns is also at
    `app.extensions["sojourn"]`.
    """

    def init_app(self, app: quart.Quart) -> Installed:
        """Read the app's settings and put the middleware in front of it."""
        check_is(app, quart.Quart, __name__)
        installed = Installed(cast("ASGIApp", app.asgi_app), self._engine_for(app))
        app.extensions["sojourn"] = installed
        self._app = app
        app.asgi_app = cast("Any", installed.door)  # type: ignore[method-assign]
        got_request_exception.connect(_raised, app)
        request_finished.connect(_finished, app)
        return installed


class Installed(AsgiExtension):
    """What `app.extensions["sojourn"]` holds."""


async def _raised(_app: quart.Quart, exception: BaseException, **_more: object) -> None:
    unhandled(exception)


async def _finished(_app: quart.Quart, **_more: object) -> None:
    """Leave the facts in the scope: Quart starts the response when its context is gone."""
    guarded(_leave_facts)


def _leave_facts() -> None:
    if not quart.has_request_context():
        return
    scope: Any = quart.request.scope
    rule = quart.request.url_rule
    scope[ROUTE_KEY] = None if rule is None else rule.rule
    scope[USER_KEY] = _principal()


def _principal() -> Principal:
    """Quart-Auth's user, if it is loaded; else a `user_id` in a session that the app itself has opened."""
    for manager in quart.current_app.extensions.get("QUART_AUTH", ()):
        user = quart.g.get(manager.attribute_name)
        if user is not None:
            return None if user.auth_id is None else User(str(user.auth_id))
    return of_session(quart.session)
