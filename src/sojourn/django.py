"""Sojourn for Django: a middleware that lets the door see a user that Django has loaded, and never loads one itself.

The session and cookie work is the WSGI or ASGI door's, around `get_wsgi_application()` or `get_asgi_application()`.
Add `"sojourn.django.PrincipalMiddleware"` to `MIDDLEWARE`, anywhere. Unhandled errors become events there too.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any
from uuid import UUID

from .tracking.exceptions import capture
from .tracking.principal import DJANGO_KEY, UNKNOWN, Principal, User
from .tracking.visit import active_visit

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
    """Let the door see the user that Django has loaded by the time the response starts."""
    got_request_exception.connect(_raised, dispatch_uid="sojourn")
    if iscoroutinefunction(get_response):

        async def remember_async(request: Any) -> Any:
            _remember(request)
            answer: Awaitable[Any] = get_response(request)
            return await answer

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
    """Tells whom Django has loaded for a request. Asking `request.user` would query, and set `Vary: Cookie`."""

    __slots__ = ("_request",)

    def __init__(self, request: Any) -> None:
        self._request = weakref.ref(request)

    def __call__(self) -> Principal:
        request = self._request()
        held = {} if request is None else vars(request)
        user = held.get("user")
        if user is None or issubclass(type(user), LazyObject):  # its own class: it pretends to be the user's
            loaded = empty if user is None else vars(user).get("_wrapped", empty)
            user = loaded if loaded is not empty else held.get("_cached_user", held.get("_acached_user"))
        if user is None:
            return UNKNOWN
        if not getattr(user, "is_authenticated", False):
            return None
        key = getattr(user, "pk", None)
        if key is None:
            return UNKNOWN
        named = getattr(user, "get_username", None)
        return User(key if isinstance(key, str | int | UUID) else str(key), str(named()) if callable(named) else None)


def _raised(**_signal: object) -> None:
    """Django turns errors into answers before they reach the door; it says so first."""
    visit, error = active_visit.get(), sys.exc_info()[1]
    if visit is not None and error is not None:
        visit.guard.guarded(None, capture, visit, error, is_handled=False, has_response=True)
