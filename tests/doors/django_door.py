"""Django's middleware as a door of `browser.Site`: real requests and responses of Django, without its handlers.

Its handlers would need an event loop, and make a response of every exception; the table of the doors has neither.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from io import BytesIO
from typing import Any

from django.conf import settings  # type: ignore[import-untyped]
from django.core.handlers.asgi import ASGIRequest  # type: ignore[import-untyped]
from django.core.handlers.wsgi import WSGIRequest  # type: ignore[import-untyped]
from django.http import HttpResponse, StreamingHttpResponse  # type: ignore[import-untyped]

if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="a key that only these tests use", LOGGING_CONFIG=None)

from sojourn.django import SojournMiddleware
from sojourn.django._cookies import add_lines
from sojourn.engine import Engine

Sent = tuple[int, list[tuple[str, str]], bytes]


class DjangoDoor:
    """`respond(path)` returns `(status, headers, pieces)`; more than one piece, or an iterator, is streamed."""

    def __init__(self, respond: Callable[[str], tuple[int, Iterable[tuple[str, str]], Any]], engine: Engine) -> None:
        def view(request: Any) -> Any:
            return made(*respond(request.path_info))

        async def view_async(request: Any) -> Any:
            return made(*respond(request.path_info), is_async=True)

        self.engine = engine
        self._sync = SojournMiddleware(view, engine=engine)
        self._async = SojournMiddleware(view_async, engine=engine)

    def call_sync(self, environ: dict[str, Any]) -> Sent:
        response = self._sync(WSGIRequest(environ))
        try:
            body = b"".join(response)
        finally:
            response.close()
        return response.status_code, sent_headers(response), body

    async def call_async(self, scope: dict[str, Any], body: bytes) -> Sent:
        response = await self._async(ASGIRequest(scope, BytesIO(body)))
        try:
            pieces = [piece async for piece in response] if response.streaming else list(response)
        finally:
            response.close()
        return response.status_code, sent_headers(response), b"".join(pieces)


def made(status: int, headers: Iterable[tuple[str, str]], pieces: Any, *, is_async: bool = False) -> Any:
    """The response of a view."""
    if isinstance(pieces, list):
        response = HttpResponse(b"".join(pieces), status=status)
    else:
        response = StreamingHttpResponse(later(pieces) if is_async else pieces, status=status)
    del response.headers["Content-Type"]
    for name, value in headers:
        if name == "set-cookie":
            add_lines(response, [value])
        else:
            before = response.headers.get(name)
            response.headers[name] = value if before is None else f"{before}, {value}"
    return response


async def later(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def sent_headers(response: Any) -> list[tuple[str, str]]:
    """As Django's handlers send them."""
    cookies = [("set-cookie", cookie.output(header="").lstrip()) for cookie in response.cookies.values()]
    return [*((name.lower(), value) for name, value in response.items()), *cookies]
