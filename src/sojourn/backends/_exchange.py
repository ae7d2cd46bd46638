"""One HTTP exchange within a deadline on the wall, answer included. Knows httpx; knows no event and no verdict.

An HTTP client's timeouts bound each wait for a byte, so a server that sends one now and then holds the caller for
as long as it likes. Here the clock is checked at every chunk of the body, and a timer shuts the socket down at the
deadline for what happens between chunks (a drip of headers, a receiver that reads slowly).
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import httpx

from .verdicts import Answer

CONNECT_TIMEOUT_S: Final = 4.0  # per address of the host, and it may have several
BODY_LIMIT: Final = 64 * 1024


class OutOfTimeError(Exception):
    """The deadline passed before the answer was complete."""


class _QuietURL(httpx.URL):
    """A URL whose text is its origin: httpx logs the URL of every call, and keys live in paths and queries."""

    def __str__(self) -> str:
        return origin(self)


class Exchange:
    """Owns the client: opened at the first call, of one process only, with one connection."""

    def __init__(self, transport: httpx.BaseTransport | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._transport = transport
        self._clock = clock
        self._client: httpx.Client | None = None
        self._pid = 0
        self._inherited: list[httpx.Client] = []
        self._cutter = _Cutter()

    def run(self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, deadline: float) -> Answer:
        """Return the answer; raise `OutOfTimeError` or an `httpx.TransportError`."""
        left = deadline - self._clock()
        if left <= 0:
            raise OutOfTimeError
        client = self._opened()
        request = client.build_request(
            method,
            url,
            headers={"user-agent": user_agent(), **headers},
            content=body,
            timeout=httpx.Timeout(left, connect=min(CONNECT_TIMEOUT_S, left)),
            extensions={"trace": self._cutter.trace},
        )
        request.url = _QuietURL(request.url)
        # A transport that was passed has no socket to cut, and its time is the test's.
        guard = self._cutter.within(left) if self._transport is None else contextlib.nullcontext()
        try:
            with guard:
                response = client.send(request, stream=True)
                try:
                    return self._read(response, deadline)
                finally:
                    response.close()
        except httpx.TransportError as error:
            if self._clock() >= deadline:
                raise OutOfTimeError from error
            raise

    def close(self) -> None:
        client, self._client = self._client, None
        self._cutter.forget()
        if client is not None and self._pid == os.getpid():
            client.close()

    def _read(self, response: httpx.Response, deadline: float) -> Answer:
        body = bytearray()
        # Raw: a compressed answer could be a thousand times larger than what came over the wire.
        # (A transport that was passed may hand over a body that is already whole.)
        for chunk in (response.content,) if response.is_stream_consumed else response.iter_raw():
            body += chunk
            if self._clock() >= deadline:
                raise OutOfTimeError
            if len(body) >= BODY_LIMIT:
                break
        if self._clock() >= deadline:
            raise OutOfTimeError
        return Answer(status=response.status_code, headers=dict(response.headers), body=bytes(body[:BODY_LIMIT]))

    def _opened(self) -> httpx.Client:
        if self._client is not None and self._pid != os.getpid():
            # Its connection is the parent's: closing it here would say goodbye in the parent's name.
            self._inherited.append(self._client)
            self._client = None
            self._cutter = _Cutter()
        if self._client is None:
            self._client = httpx.Client(
                transport=self._transport,
                follow_redirects=False,
                headers={"accept-encoding": "identity"},
                limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=30.0),
            )
            self._pid = os.getpid()
        return self._client


class _Cutter:
    """Shuts the one connection down when its time is over."""

    def __init__(self) -> None:
        self._stream: Any = None

    def trace(self, name: str, info: Mapping[str, Any]) -> None:
        """Remember the connection that httpx made: https://www.python-httpx.org/advanced/extensions/#trace."""
        stream = info.get("return_value")
        if hasattr(stream, "get_extra_info"):
            self._stream = stream

    def forget(self) -> None:
        self._stream = None

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        timer = threading.Timer(seconds, self._cut)
        timer.name = "sojourn-deadline"
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def _cut(self) -> None:
        connection = None if self._stream is None else self._stream.get_extra_info("socket")
        if connection is not None:
            with contextlib.suppress(OSError):
                # The plain socket's method: the one of TLS sockets takes the session away from under the reader.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


def origin(url: httpx.URL | str) -> str:
    """Return scheme, host and port: what may be said of a URL in logs and errors."""
    parsed = httpx.URL(url)
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"


def user_agent() -> str:
    try:
        return f"sojourn/{version('sojourn')}"
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "sojourn"
