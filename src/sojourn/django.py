"""Sojourn for Django: a middleware that reports the user that Django has loaded, and never loads one itself.

Sessions and the cookie are up to the WSGI or ASGI middleware, around `get_wsgi_application()` or `get_asgi_application()`.
Add `"sojourn.django.PrincipalMiddleware"` to `MIDDLEWARE`, anywhere. Unhandled errors become events there too.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any
from uuid import UUID

from .tracking.frameworks import unhandled
from .tracking.principal import DJANGO_KEY, UNKNOWN, Principal, User

try:
    from django.core.signals import got_request_exception  # type: ignore[import-untyped]
    from django.utils.decorators import sync_and_async_middleware  # type: ignore[import-untyped]
    from django.utils.functional import LazyObject, empty  # type: ignore[import-untyped]
except ImportError as missing:  # pragma: no cover - the message is tested in a bare environment
    from .errors import MissingExtraError

    raise MissingExtraError("sojourn.django needs Django: pip install sojourn[django]") from missing

GetResponse = Callable[[Any], Any]


@sync_and_async_middleware  # type: ignore[untyped-decorator]
def PrincipalMiddleware(get_response: GetResponse) -> GetResponse:  # noqa: N802 - Django's setting names a class or this
    """Report the user that Django has loaded by the time the response starts."""
    got_request_exception.connect(_raised, dispatch_uid="sojourn")
    if iscoroutinefunction(get_response):

        async def remember_async(request: Any) -> Any:
            _remember(request)
            response: Awaitable[Any] = get_response(request)
            return await response

        return remember_async

    def remember(request: Any) -> Any:
        _remember(request)
        return get_response(request)

    return remember


def _remember(request: Any) -> None:
    place = getattr(request, "scope", None)
    if place is None:
        place = getattr(request, "environ", {})
    place[DJANGO_KEY] = _Loaded(request)


class _Loaded:
    """Returns the user that Django has loaded. Reading `request.user` would query, and set `Vary: Cookie`."""

    __slots__ = ("_request",)

    def __init__(self, request: Any) -> None:
        self._request = weakref.ref(request)

    def __call__(self) -> Principal:
        request = self._request()
        attributes = {} if request is None else vars(request)
        user = attributes.get("user")
        if user is None or issubclass(
            type(user), LazyObject
        ):  # by its real type: a lazy object claims the class of the user
            loaded = empty if user is None else vars(user).get("_wrapped", empty)
            user = loaded if loaded is not empty else attributes.get("_cached_user", attributes.get("_acached_user"))
        if user is None:
            return UNKNOWN
        if not getattr(user, "is_authenticated", False):
            return None
        key = getattr(user, "pk", None)
        if key is None:
            return UNKNOWN
        get_username = getattr(user, "get_username", None)
        return User(
            key if isinstance(key, str | int | UUID) else str(key),
            str(get_username()) if callable(get_username) else None,
        )


def _raised(**_signal: object) -> None:
    unhandled(sys.exc_info()[1])
