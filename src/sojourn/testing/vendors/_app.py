"""A fake vendor as a Starlette app, for any method and path."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .model import Received, Reply

_METHODS: Final = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Handler(Protocol):
    """What the app needs of a fake."""

    @property
    def delay_s(self) -> float: ...

    def handle(self, request: Received) -> Reply: ...


def app_of(fake: Handler) -> Starlette:
    """Return an app that hands every call to the fake."""

    async def handle(request: Request) -> Response:
        body = await request.body()
        if fake.delay_s:
            await asyncio.sleep(fake.delay_s)
        reply = fake.handle(
            Received(
                method=request.method,
                path=request.url.path,
                query=request.url.query,
                headers=dict(request.headers),
                body=body,
            )
        )
        return Response(reply.body, status_code=reply.status, headers=dict(reply.headers))

    return Starlette(routes=[Route("/{path:path}", handle, methods=_METHODS)])
