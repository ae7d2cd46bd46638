"""The backend of a fault: takes what a webhook sends, keeps it all, and misbehaves on request.

It has kept what it acknowledged with success, and may have responded with anything to what it kept: as real receivers do.
It runs in threads of the suite, outside of every process that a fault kills.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event as Signal
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Final, Self

import msgspec

_RESET: Final = struct.pack("ii", 1, 0)


class CloudEvent(msgspec.Struct, frozen=True, gc=False):
    """A CloudEvent, as far as the suite looks at it."""

    id: str
    type: str
    time: str
    subject: str = ""
    data: Mapping[str, str | int | float | bool] = {}


_DECODER: Final = msgspec.json.Decoder(list[CloudEvent])


class Call:
    """One POST on its way: its events, and what may be done with it."""

    def __init__(self, receiver: Receiver, handler: BaseHTTPRequestHandler, events: list[CloudEvent]) -> None:
        self.receiver = receiver
        self.events = events
        self._handler = handler

    def keep(self) -> None:
        self.receiver.keep(self.events)

    def respond(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        self._handler.send_response(status)
        for name, value in (headers or {}).items():
            self._handler.send_header(name, value)
        self._handler.send_header("Content-Length", "0")
        self._handler.end_headers()

    def write(self, data: bytes) -> None:
        self._handler.wfile.write(data)
        self._handler.wfile.flush()

    def hang_up(self) -> None:
        self._handler.close_connection = True

    def reset(self) -> None:
        """Close so that the sender gets a reset."""
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.hang_up()
        self._handler.connection.close()


Behaviour = Callable[[Call], None]


def well(call: Call) -> None:
    """Keep the events and say so."""
    call.keep()
    call.respond(204)


@dataclass
class Receiver:
    """An HTTP server on a free loopback port; the port is its own also while it is down."""

    behaviour: Behaviour = well
    keeps: Callable[[list[CloudEvent]], None] | None = None
    """Does the keeping instead, for more events than are to be held here."""
    taken: dict[str, CloudEvent] = field(default_factory=dict)
    """Every event that it kept, by id: what a receiver is left with that de-duplicates."""
    refused: dict[str, CloudEvent] = field(default_factory=dict)
    """Events that it will never take, and said so with nothing else beside them."""
    arrived: int = 0
    """How many it kept, the repeated ones each time."""
    calls: int = 0
    contradicted: list[str] = field(default_factory=list)
    """Ids that came with two different contents."""
    is_over: Signal = field(default_factory=Signal)
    _lock: Lock = field(default_factory=Lock)
    _connections: set[socket.socket] = field(default_factory=set)
    _server: ThreadingHTTPServer | None = None
    _port: int = 0

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_over.set()
        self.down()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/in"

    def up(self) -> None:
        """Listen, on the same port as before."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                receiver._connections.add(self.connection)

            def finish(self) -> None:
                receiver._connections.discard(self.connection)
                with contextlib.suppress(OSError):
                    super().finish()

            def do_POST(self) -> None:
                receiver._receive(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a sender that was killed, or one that was hung up on

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def down(self) -> None:
        """Stop listening and drop all connections: from now on they are refused."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def behave(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour

    def keep(self, events: list[CloudEvent]) -> None:
        with self._lock:
            self.arrived += len(events)
            if self.keeps is not None:
                self.keeps(events)
                return
            for event in events:
                known = self.taken.setdefault(event.id, event)
                if known is not event and known != event:
                    self.contradicted.append(event.id)

    def refuse(self, event: CloudEvent) -> None:
        with self._lock:
            self.refused[event.id] = event

    def pause(self, seconds: float) -> None:
        """Keep a sender waiting, but not the end of the suite."""
        self.is_over.wait(seconds)

    def _receive(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        if handler.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.calls += 1
        with contextlib.suppress(OSError):
            self.behaviour(Call(self, handler, _DECODER.decode(body)))


def failing(status: int, headers: Mapping[str, str] | None = None) -> Behaviour:
    """Keep nothing and respond with this."""
    return lambda call: call.respond(status, headers)


def too_large(most: int) -> Behaviour:
    """Refuse calls of more than this many events (413)."""
    return lambda call: call.respond(413) if len(call.events) > most else well(call)


def choosy(is_bad: Callable[[CloudEvent], bool]) -> Behaviour:
    """Refuse calls that contain an invalid event (400)."""

    def behave(call: Call) -> None:
        if not any(map(is_bad, call.events)):
            well(call)
            return
        if len(call.events) == 1:
            call.receiver.refuse(call.events[0])
        call.respond(400)

    return behave


def silent(call: Call) -> None:
    """Never respond."""
    call.receiver.pause(60)


def garbled(call: Call) -> None:
    """Keep the events, and respond with something other than HTTP."""
    call.keep()
    call.write(b"\x00\xff\xfe 200 perhaps\r\n\r\n")
    call.hang_up()


def dripping(call: Call) -> None:
    """Keep the events, and send the response's head so slowly that it never ends."""
    call.keep()
    call.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not call.receiver.is_over.wait(0.2):
        call.write(b".")


def resetting(call: Call) -> None:
    """Reset the connection; every second time after the events were kept."""
    if call.receiver.calls % 2:
        call.keep()
    call.reset()


def slow(seconds: float) -> Behaviour:
    """Accept everything, after a while."""

    def behave(call: Call) -> None:
        call.receiver.pause(seconds)
        well(call)

    return behave


def forgetful(every: int) -> Behaviour:
    """Lose each nth event but confirm it: a fault of the receiver that the suite must detect."""
    seen = [0]

    def behave(call: Call) -> None:
        kept = []
        for event in call.events:
            seen[0] += 1
            if seen[0] % every:
                kept.append(event)
        call.receiver.keep(kept)
        call.respond(204)

    return behave


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until it holds; raises `TimeoutError` with these words."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s in vain until {what}")
        time.sleep(0.05)
