"""The site that the visitors of a fault see, behind both doors, run by real servers. Its settings are in the environment.

It does what the query of a request asks for, and responds with the session it saw and how long the request was here,
measured outside of the middleware: so what Sojourn costs a request is in it, and what the network does is not.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from sojourn import Settings, current_session, end_session, identify, set_session_property, track
from sojourn.asgi import SojournMiddleware as AsgiDoor
from sojourn.engine import Engine
from sojourn.wsgi import SojournMiddleware as WsgiDoor

from . import orders
from .clocks import clock_of_host

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
StartResponse = Callable[..., Any]


_LINGERS_S = 0.02
_ORDERS = os.environ.get("ORDERS")
"""The database in which each request writes an order with its event; without it, events go to the journal."""


def _act(path: str, query: str) -> str:
    asked = parse_qs(query)
    if "user" in asked:
        identify(asked["user"][0])
    if "cart" in asked:
        set_session_property("cart", int(asked["cart"][0]))
    serial = int(path.rpartition("/")[2])
    if _ORDERS:
        orders.place(_ORDERS, serial)
    else:
        track("step", {"serial": serial})
    session = current_session()
    if "end" in asked:
        end_session()
    return "" if session is None else session.id


def _plain_wsgi(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    query = environ.get("QUERY_STRING", "")
    seen = _act(environ["PATH_INFO"], query)
    if is_slow := "slow" in query:
        time.sleep(_LINGERS_S)
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", "9"), ("X-Session", seen)])
    return _slowly() if is_slow else [b"<p>ok</p>"]


def _slowly() -> Iterator[bytes]:
    """A page in two pieces: a process that dies in between has recorded it, and sent only half of it."""
    yield b"<p>ok"
    time.sleep(_LINGERS_S)
    yield b"</p>"


async def _plain_asgi(scope: MutableMapping[str, Any], receive: Callable[[], Awaitable[Message]], send: Send) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    query = scope["query_string"].decode()
    seen = _act(scope["path"], query)
    pieces = [b"<p>ok", b"</p>"] if "slow" in query else [b"<p>ok</p>"]
    if len(pieces) > 1:
        await asyncio.sleep(_LINGERS_S)
    headers = [(b"content-type", b"text/html"), (b"content-length", b"9"), (b"x-session", seen.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for number, piece in enumerate(pieces, 1):
        await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})
        if number < len(pieces):
            await asyncio.sleep(_LINGERS_S)


engine = Engine(Settings.from_env(), clock=clock_of_host())
_wsgi_door = WsgiDoor(_plain_wsgi, engine=engine)
_asgi_door = AsgiDoor(_plain_asgi, engine=engine)


def wsgi(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    if not environ["PATH_INFO"].startswith("/page/"):
        start_response("404 Not Found", [("Content-Length", "0")])
        return []
    began = time.perf_counter()

    def timed(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        return start_response(status, [*headers, ("X-Took-Ms", _since(began))], *rest)

    return _wsgi_door(environ, timed)


async def asgi(scope: MutableMapping[str, Any], receive: Callable[[], Awaitable[Message]], send: Send) -> None:
    began = time.perf_counter()

    async def timed(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"x-took-ms", _since(began).encode())]}
        await send(message)

    if scope["type"] == "http" and not scope["path"].startswith("/page/"):
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    await _asgi_door(scope, receive, timed)


def _since(began: float) -> str:
    return f"{(time.perf_counter() - began) * 1000:.3f}"
