"""Sojourn for Pyramid: `config.include("sojourn.pyramid")`, a tween around the exception views that holds the WSGI door."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

try:
    from pyramid.interfaces import ISecurityPolicy  # type: ignore[import-untyped]
    from pyramid.request import Request  # type: ignore[import-untyped]
    from pyramid.tweens import EXCVIEW  # type: ignore[import-untyped]
except ImportError as missing:  # pragma: no cover - the message is tested in a bare environment
    from .errors import MissingExtraError

    raise MissingExtraError("sojourn.pyramid needs Pyramid: pip install sojourn[pyramid]") from missing

from .core.failures import SERVER_ERROR
from .extension import WsgiExtension, engine_of
from .settings import Settings
from .tracking.frameworks import ROUTE_KEY, USER_KEY, Framework, guarded, unhandled
from .tracking.principal import UNKNOWN, of_object

__all__ = ["Sojourn", "includeme"]

_CALL = "sojourn.pyramid"
_PREFIX = "sojourn."


class _Pyramid(Framework):
    def request(self, environ: Any) -> Any:
        return Request(environ)


class Sojourn(WsgiExtension):
    """What `config.registry["sojourn"]` holds: the engine, and `mount_report()`."""

    framework = _Pyramid


def includeme(config: Any) -> None:
    """Put Sojourn in front of the app, with the settings `sojourn.*`, then those of the environment.

    `sojourn.engine` may hold an `Engine`.
    """
    own = {name.removeprefix(_PREFIX): value for name, value in config.registry.settings.items() if _is_own(name)}
    engine = own.pop("engine", None)
    settings = None
    if engine is None:
        mapping = {f"SOJOURN_{name.upper()}": value for name, value in own.items()}
        settings = Settings.from_mapping(mapping, environ=os.environ)
    config.registry["sojourn"] = Sojourn(_respond, engine_of(settings, engine))
    config.add_tween("sojourn.pyramid.tween_factory", over=EXCVIEW)


def _is_own(name: str) -> bool:
    return name.startswith(_PREFIX)


def tween_factory(handler: Callable[[Any], Any], registry: Any) -> Callable[[Any], Any]:
    """The tween. Made when the app is, so the security policy is set."""
    sojourn: Sojourn = registry["sojourn"]
    policy = registry.queryUtility(ISecurityPolicy)
    if policy is not None:
        sojourn.engine.guard.guarded(None, _watch, policy)

    def tween(request: Any) -> Any:
        request.environ[_CALL] = (handler, request)
        return request.get_response(sojourn.door)

    return tween


def _respond(environ: Any, start_response: Any) -> Any:
    """The app inside the door: the tweens further in, and the response that they return."""
    handler, request = environ.pop(_CALL)
    response = handler(request)
    guarded(_leave_facts, request, response)
    return response(environ, start_response)


def _leave_facts(request: Any, response: Any) -> None:
    route = getattr(request, "matched_route", None)
    request.environ[ROUTE_KEY] = None if route is None else route.pattern
    if response.status_code >= SERVER_ERROR:
        unhandled(getattr(request, "exception", None))  # an exception view made the response


def _watch(policy: Any) -> None:
    """Note whom the policy names when the app asks it. We never ask: it may query."""

    def noting(method: Callable[..., Any], *, user_of: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def noted(request: Any, *args: Any, **kwargs: Any) -> Any:
            result = method(request, *args, **kwargs)
            guarded(_note, request, user_of(result, *args))
            return result

        return noted

    policy.authenticated_userid = noting(policy.authenticated_userid, user_of=lambda result: result)
    policy.identity = noting(policy.identity, user_of=lambda result: result)
    policy.remember = noting(policy.remember, user_of=lambda _headers, userid, *_more: userid)
    policy.forget = noting(policy.forget, user_of=lambda *_more: None)


def _note(request: Any, user: object) -> None:
    principal = of_object(user) if user is not None else None
    if principal is not UNKNOWN:
        request.environ[USER_KEY] = principal
