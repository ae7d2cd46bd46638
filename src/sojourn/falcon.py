"""Sojourn for Falcon, WSGI and ASGI: a door around the app, a middleware component, and an error reporter."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

try:
    import falcon
    import falcon.asgi
except ImportError as missing:  # pragma: no cover - the message is tested in a bare environment
    from .errors import MissingExtraError

    raise MissingExtraError("sojourn.falcon needs Falcon: pip install sojourn[falcon]") from missing

from .core.failures import SERVER_ERROR
from .extension import AsgiExtension, WsgiExtension, engine_of, in_front
from .settings import Settings
from .tracking.frameworks import ROUTE_KEY, USER_KEY, guarded, unhandled
from .tracking.principal import UNKNOWN, of_object
from .tracking.wrong_doors import check_is

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["Sojourn"]


class Component:
    """Leaves the facts of a request in its environ or scope, when its responder has run."""

    def process_response(self, request: Any, _response: Any, _resource: Any, _succeeded: Any) -> None:
        guarded(_leave_facts, request.env, request)

    async def process_response_async(self, request: Any, _response: Any, _resource: Any, _succeeded: Any) -> None:
        guarded(_leave_facts, request.scope, request)


def _leave_facts(place: Any, request: Any) -> None:
    place[ROUTE_KEY] = request.uri_template
    user = getattr(request.context, "user", UNKNOWN)
    place[USER_KEY] = UNKNOWN if user is UNKNOWN else of_object(user)


def _report(earlier: Any, request: Any, error: Exception, params: Any, is_handled: Any) -> None:
    if not isinstance(error, falcon.HTTPStatus) and getattr(error, "status_code", SERVER_ERROR) >= SERVER_ERROR:
        unhandled(error)
    if earlier is not None:
        earlier(request, error, params, is_handled)


def Sojourn(  # noqa: N802 - as in the other frameworks
    app: Any, settings: Settings | None = None, *, engine: Engine | None = None
) -> AsgiExtension | WsgiExtension:
    """Put Sojourn in front of a `falcon.App` or `falcon.asgi.App`; go on serving it.

    `settings=None` reads `SOJOURN_*` from the environment. Returns an object with `.engine` and `mount_report()`. Set an error
    reporter of your own before this, since Falcon keeps one only.
    """
    check_is(app, (falcon.App, falcon.asgi.App), __name__)
    is_asgi = isinstance(app, falcon.asgi.App)
    kind: type[AsgiExtension | WsgiExtension] = AsgiExtension if is_asgi else WsgiExtension
    installed = kind(partial(type(app).__call__, app), engine_of(settings, engine))
    app.add_middleware(Component())
    app.set_error_reporter(partial(_report, app._report_error))
    in_front(app, installed.door, is_asgi=is_asgi)
    return installed
