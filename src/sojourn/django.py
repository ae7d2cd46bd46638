"""Sojourn for Django: a middleware that lets the door see a user that Django has loaded, and never loads one itself.

The session and cookie work is the WSGI or ASGI door's, around `get_wsgi_application()` or `get_asgi_application()`.
Add `"sojourn.django.PrincipalMiddleware"` to `MIDDLEWARE`, anywhere.
"""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any

from .principal import DJANGO_KEY

try:
    from django.utils.decorators import sync_and_async_middleware  # type: ignore[import-untyped]
except ImportError as missing:  # pragma: no cover - the message is tested in a bare environment
    from .errors import MissingExtraError

    raise MissingExtraError("sojourn.django needs Django: pip install sojourn[django]") from missing

GetResponse = Callable[[Any], Any]


@sync_and_async_middleware  # type: ignore[untyped-decorator]
def PrincipalMiddleware(get_response: GetResponse) -> GetResponse:  # noqa: N802 - Django's setting names a class or this
    """Leave a weak reference to the request where the door finds it."""
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
    place[DJANGO_KEY] = weakref.ref(request)
