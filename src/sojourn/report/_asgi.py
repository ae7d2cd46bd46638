"""The report as an ASGI app. Thin: reads the scope, handles the request in a thread, sends the response."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request as FrameworkRequest
from starlette.responses import Response as Sender
from starlette.responses import StreamingResponse

from sojourn.asgi import AsgiFacts, Message, Receive, Scope, Send, read_body
from sojourn.tracking.forwarded import Proxies
from sojourn.tracking.visit import VISIT_KEY

from ._access import is_async, verdict_of
from ._app import Report, path_below
from ._exclusion import exclude
from ._web import MAX_BODY, Request, Response, base_of


class AsgiReport:
    """The app that `report()` returns."""

    def __init__(self, core: Report, proxies: Proxies) -> None:
        self.core = core
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":  # the report opens none
                await send({"type": "websocket.close", "code": 1000})
                return
            msg = f"the report serves http, not {scope['type']!r}: mount it in an app that handles lifespan"
            raise TypeError(msg)
        exclude(scope.get(VISIT_KEY))
        mounted = scope.get("root_path", "")
        path = path_below(scope.get("path", "/"), mounted)
        body = await read_body(receive, MAX_BODY) if scope["method"] == "POST" else b""
        request = Request(
            facts=AsgiFacts(scope, self._proxies),
            base=base_of(mounted),
            path=path,
            is_allowed=await self._verdict(scope, body) if self.core.needs_verdict(path) else None,
            body=body,
        )
        response = await run_in_threadpool(self.core.handle, request)
        await _sender(response)(scope, receive, send)

    async def _verdict(self, scope: Scope, body: bytes) -> bool:
        """Call the app's `allow` as Starlette calls an endpoint: a sync function in a thread."""

        async def receive_body() -> Message:  # allow may read the form as well
            return {"type": "http.request", "body": body, "more_body": False}

        allow, request = self.core.access.allow, FrameworkRequest(scope, receive_body)
        if allow is None:
            return False
        if is_async(allow):
            return verdict_of(await allow(request))
        result = await run_in_threadpool(allow, request)
        return verdict_of(await result if inspect.isawaitable(result) else result)


def _sender(response: Response) -> Sender:
    body = response.body
    sender = (
        Sender(body, response.status) if isinstance(body, bytes) else StreamingResponse(_pieces(body), response.status)
    )
    sender.raw_headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.header_list()
    ]
    return sender


async def _pieces(body: Iterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in iterate_in_threadpool(body):
        yield piece
