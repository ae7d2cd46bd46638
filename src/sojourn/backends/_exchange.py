"""One HTTP exchange within a wall-clock deadline, response body included.

An HTTP client's timeouts bound each wait for a byte, so a server that sends one byte now and then can hold the caller for
as long as it likes. Here the clock is checked at every chunk of the body, and a timer shuts the socket down at the deadline
for everything between chunks: slow headers, a receiver that reads slowly.

See P22 in docs/internals.md.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import httpx

from ._watch import Watch
from .outcomes import Response

CONNECT_TIMEOUT_S: Final = 4.0  # per address of the host, and it may have several
BODY_LIMIT: Final = 64 * 1024


_MAX_CAUSES: Final = 8
_EXPLANATIONS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (socket.gaierror, "its host name cannot be resolved; check the URL, and the DNS of this machine"),
    (ssl.SSLError, "TLS failed; check that the server speaks https, and that this machine trusts its certificate"),
    (ConnectionRefusedError, "nothing listens there; check host and port, and that it is up"),
    (httpx.ProxyError, "the proxy refused the connection; check HTTP_PROXY and HTTPS_PROXY"),
    (httpx.ConnectTimeout, "it cannot be reached; check the address, and any firewall in between"),
    (httpx.ConnectError, "it cannot be reached; check the address, and any firewall in between"),
    (httpx.TimeoutException, "it does not respond in time"),
    (httpx.NetworkError, "it closed the connection; check that an HTTP server listens there"),
    (httpx.RemoteProtocolError, "it closed the connection or does not speak HTTP; check scheme and port of the URL"),
)


class OutOfTimeError(Exception):
    """The deadline passed before the response was complete."""


class _QuietURL(httpx.URL):
    """A URL whose text is its origin only, because httpx logs the URL of every call, and paths and queries hold keys."""

    def __str__(self) -> str:
        return _origin(self)


class Exchange:
    """Owns the HTTP client: one connection, opened at the first call, and reopened in a forked process."""

    def __init__(self, transport: httpx.BaseTransport | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._transport = transport
        self._clock = clock
        self._client: httpx.Client | None = None
        self._pid = 0
        self._inherited: list[httpx.Client] = []
        self._watch = Watch()

    def run(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        deadline: float,
        limit: int = BODY_LIMIT,
    ) -> Response:
        """Return the response; raise `OutOfTimeError` or an `httpx.TransportError`."""
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
            extensions={"trace": self._watch.trace},
        )
        request.url = _QuietURL(request.url)
        # A transport from a test has no socket to shut down, and its clock is the test's.
        guard = self._watch.within(left) if self._transport is None else contextlib.nullcontext()
        try:
            with guard:
                response = client.send(request, stream=True)
                try:
                    return self._read(response, deadline, limit)
                finally:
                    response.close()
        except httpx.TransportError as error:
            if self._clock() >= deadline:
                raise OutOfTimeError from error
            raise

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None and self._pid == os.getpid():
            self._watch.stop()
            client.close()

    def _read(self, response: httpx.Response, deadline: float, limit: int) -> Response:
        body = bytearray()
        # Raw, because a compressed response can be a thousand times larger than what came over the wire.
        # (A transport from a test may pass a body that is complete already.)
        for chunk in (response.content,) if response.is_stream_consumed else response.iter_raw():
            body += chunk
            if self._clock() >= deadline:
                raise OutOfTimeError
            if len(body) >= limit:
                break
        if self._clock() >= deadline:
            raise OutOfTimeError
        return Response(status=response.status_code, headers=dict(response.headers), body=bytes(body[:limit]))

    def _opened(self) -> httpx.Client:
        if self._client is not None and self._pid != os.getpid():
            # The connection belongs to the parent process: closing it here would end the parent's TLS session.
            self._inherited.append(self._client)
            self._client = None
            self._watch = Watch()
        if self._client is None:
            self._client = httpx.Client(
                transport=self._transport,
                follow_redirects=False,
                headers={"accept-encoding": "identity"},
                limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=30.0),
            )
            self._pid = os.getpid()
        return self._client


@lru_cache(maxsize=64)
def origin(url: str) -> str:
    """Return scheme, host and port: the part of a URL that may appear in logs and errors."""
    return _origin(httpx.URL(url))


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def in_words(error: BaseException) -> str:
    """Return why there was no response, without quoting any part of the call."""
    causes: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and len(causes) < _MAX_CAUSES:
        causes.append(current)
        current = current.__cause__ or current.__context__
    for kind, words in _EXPLANATIONS:
        if any(isinstance(cause, kind) for cause in causes):
            return words
    return type(error).__name__


@cache  # reading the metadata takes longer than a call
def user_agent() -> str:
    """Return `sojourn/<version>`."""
    try:
        return f"sojourn/{version('sojourn')}"
    except PackageNotFoundError:  # a source tree that is not installed
        return "sojourn"
