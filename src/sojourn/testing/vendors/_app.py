"""A fake vendor as a Starlette app, for any method and path."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .model import Received

if TYPE_CHECKING:
    from .fake import FakeVendor

_METHODS: Final = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def app_of(fake: FakeVendor) -> Starlette:
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
