"""Calls an ASGI app by hand: no server, no event loop."""

from __future__ import annotations

from typing import Any

from sojourn.asgi import Message, Scope, SojournMiddleware
from tests.doors.browser import Site, run


def door(site: Site, app: Any) -> SojournMiddleware:
    return SojournMiddleware(app, engine=site.engine)


def scope(**parts: Any) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": "/", "headers": [], "client": ("192.0.2.1", 1), **parts}


def call(app: Any, asked: dict[str, Any], received: list[Message] | None = None) -> list[Message]:
    sent: list[Message] = []
    waiting = list(received or [])

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    run(app(asked, receive, send))
    return sent


async def page(scope: Scope, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": b"hello"})
