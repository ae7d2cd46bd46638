"""The base class of fake vendors: it takes calls, gives the vendor's responses, keeps the events, and fails on demand.

A fake is synchronous and has no clock of its own. Tests call it through `transport()`, without a socket; `serve()` serves it on
a loopback port, and so does `sojourn fake <vendor>`.
"""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from .model import Received, Reply, VendorEvent, VendorSession
from .trouble import Failure, Trouble

if TYPE_CHECKING:
    import httpx

_BODY_LIMIT = 64 * 1024 * 1024


class FakeVendor:
    """The base class of fakes. `respond()` checks a call and takes its events; `sessions()` returns what it would show."""

    vendor: ClassVar[str]
    """The name in `sojourn fake <vendor>`, and the scheme of its backend's URL."""
    transient: ClassVar[tuple[int, ...]] = (429, 500, 503)
    """The statuses of this vendor that ask for a later retry."""
    url_options: str = ""
    """A query that its backend's URL needs for the fake."""

    keeps_repeats: ClassVar[bool] = False
    """Whether what arrives again counts twice, because the vendor has nothing to recognise it by."""

    def __init__(self, *credentials: str) -> None:
        self.credentials = credentials
        """The keys before the host in its backend's URL."""
        self.is_strict = False
        """Whether to refuse also what the vendor accepts but would misread or keep no use of: for the tests of an encoder."""
        self._lock = threading.RLock()
        self._trouble = Trouble()
        self._taken: dict[str, VendorEvent] = {}
        self.requests: list[Received] = []
        """Every call that arrived, failed ones included."""
        self.duplicates = 0
        """How many events arrived again under a known id."""
        self.on_event: Callable[[VendorEvent], None] | None = None
        """Called with each event when it first arrives."""
        self.address: str | None = None
        """`http://127.0.0.1:<port>` while it is served."""

    # --- for a vendor to write ---------------------------------------------------------------------------------------

    def respond(self, request: Received) -> Reply:
        """Check a call, whose body is decompressed already; `take()` its events, and return the response."""
        raise NotImplementedError

    def sessions(self) -> list[VendorSession]:
        """Return the sessions that this vendor would show, oldest first."""
        raise NotImplementedError

    def failure(self, status: int) -> Reply:
        """Return this vendor's response with an error status."""
        return Reply(status=status)

    def bad_encoding(self) -> Reply:
        """Return the response to a body that cannot be decompressed."""
        return self.failure(400)

    def take(self, event: VendorEvent) -> bool:
        """Keep an event; return false if its id is known already."""
        if event.id in self._taken:
            self.duplicates += 1
            return False
        self._taken[event.id] = event
        if self.on_event is not None:
            self.on_event(event)
        return True

    # --- for a test ----------------------------------------------------------------------------------------------

    def events(self) -> list[VendorEvent]:
        """Return the events, each once, in order of arrival."""
        with self._lock:
            return list(self._taken.values())

    def event_ids(self) -> list[str] | None:
        """Return Sojourn's ids of the events, in order of arrival, or `None` if the vendor does not keep them."""
        return [event.id for event in self.events()]

    def fail(
        self, rate: float, statuses: Sequence[int] | None = None, *, seed: int = 0, after_taking: bool = False
    ) -> None:
        """Fail this fraction of calls, at random, from now on. `after_taking`: keep the events, and lose only the response."""
        with self._lock:
            self._trouble.at_random(
                rate, self.transient if statuses is None else statuses, seed, has_taken=after_taking
            )

    def fail_next(
        self, status: int, times: int = 1, headers: Mapping[str, str] | None = None, *, after_taking: bool = False
    ) -> None:
        """Fail the next `times` calls with this status."""
        with self._lock:
            self._trouble.next_times(Failure(status=status, headers=headers or {}, has_taken=after_taking), times)

    def delay(self, seconds: float) -> None:
        """Delay each response by this many seconds while the fake is served."""
        self._trouble.seconds = seconds

    def heal(self) -> None:
        """Stop failing and delaying."""
        with self._lock:
            self._trouble.heal()

    def clear(self) -> None:
        """Forget all calls and events."""
        with self._lock:
            self._taken.clear()
            self.requests.clear()
            self.duplicates = 0

    def url(self, address: str) -> str:
        """Return the URL for `SOJOURN_BACKENDS` of this fake at `http://host:port`."""
        scheme, _, host = address.partition("://")
        keys = ":".join(quote(key, safe="") for key in self.credentials)
        return f"{self.vendor}+{scheme}://{keys}{'@' if keys else ''}{host}{self.url_options}"

    def transport(self) -> httpx.MockTransport:
        """Return an HTTP transport for a backend (`transport=`) that reaches this fake without a socket."""
        import httpx

        def handle(request: httpx.Request) -> httpx.Response:
            reply = self.handle(
                Received(
                    method=request.method,
                    path=request.url.path,
                    query=request.url.query.decode("ascii"),
                    headers=dict(request.headers),
                    body=request.content,
                )
            )
            return httpx.Response(reply.status, headers=dict(reply.headers), content=reply.body)

        return httpx.MockTransport(handle)

    @contextmanager
    def serve(self, port: int = 0) -> Iterator[str]:
        """Serve on a loopback port (0: any free one) in a thread during the block; yield the backend's URL."""
        from .serving import served

        with served(self.app, port) as address:
            self.address = address
            try:
                yield self.url(address)
            finally:
                self.address = None

    @property
    def app(self) -> Any:
        """This fake as a Starlette app."""
        from ._app import app_of

        return app_of(self)

    # --- one call ------------------------------------------------------------------------------------------------

    @property
    def delay_s(self) -> float:
        return self._trouble.seconds

    def handle(self, request: Received) -> Reply:
        """Respond to one call, with a failure if one is due."""
        with self._lock:
            failure = self._trouble.pick()
            if failure is not None and not failure.has_taken:
                reply = self._failing(failure)
            else:
                reply = self._respond(request)
                if failure is not None:
                    reply = self._failing(failure)
            self.requests.append(replace(request, status=reply.status))
            return reply

    def _failing(self, failure: Failure) -> Reply:
        reply = self.failure(failure.status)
        return replace(reply, headers={**reply.headers, **failure.headers})

    def _respond(self, request: Received) -> Reply:
        packing = request.headers.get("content-encoding", "").lower()
        if packing in ("", "identity"):
            return self.respond(request)
        if packing != "gzip":
            return self.bad_encoding()
        try:
            body = decompressed(request.body)
        except (OSError, EOFError, ValueError, zlib.error):
            return self.bad_encoding()
        return self.respond(replace(request, body=body))


def decompressed(body: bytes, limit: int = _BODY_LIMIT) -> bytes:
    """Return the decompressed body; raise `ValueError` beyond the limit."""
    reader = zlib.decompressobj(wbits=31)
    plain = reader.decompress(body, limit)
    if reader.unconsumed_tail:
        msg = "the decompressed body is larger than the limit of the fake"
        raise ValueError(msg)
    if not reader.eof:
        raise gzip.BadGzipFile("the body ends too early")
    return plain
