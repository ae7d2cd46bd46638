"""A report that owns its socket: on the loopback unless told otherwise, opened by an address that a terminal shows.

For `sojourn report` and `sojourn demo`, with nothing else installed: a few readers at most, so the standard library's
server does. It answers only to names that cannot be made to point here by somebody else's DNS.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import time
from collections.abc import Callable
from socketserver import TCPServer, ThreadingMixIn
from threading import Thread
from types import TracebackType
from typing import Any, Final, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from sojourn.errors import SojournError
from sojourn.tracking.forwarded import Proxies

from ._access import Access
from ._app import Report
from ._credentials import OneTimeKey
from ._tickets import Tickets
from ._view import Source
from ._wsgi import WsgiReport

__all__ = ["LOOPBACK", "ReportServer", "Source", "names_of"]

LOOPBACK: Final = "127.0.0.1"
_LOOK_S: Final = 0.05
"""How often it is seen whether it is to stop."""
_SILENT_S: Final = 60
"""A connection that says nothing is closed after this."""


class ReportServer:
    """Open while its block runs. `tell` gets an address to open: one at first, and a new one whenever one was used.

    `landing`: the page that it opens on.
    """

    def __init__(
        self,
        source: Source,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        landing: str = "/",
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._key = OneTimeKey()
        self._tell = tell
        try:
            self._server = _Server(host, port)
        except OSError as error:
            msg = f"the report cannot listen on {host}:{port} ({error.strerror or error}); choose another --port or --host"
            raise SojournError(msg) from error
        self.port: int = self._server.server_address[1]
        self._host = host
        access = Access(
            # Cookies are shared by all ports of a host: two reports must not log each other out.
            tickets=Tickets(os.urandom(32), name=f"sojourn_report_{self.port}"),
            one_time=self._key,
            used=self._used,
            landing=landing,
            hosts=names_of(host),
            monotonic=time.monotonic,
        )
        self._server.set_app(WsgiReport(Report(source, access), Proxies(())))
        self._thread = Thread(target=self._server.serve_forever, args=(_LOOK_S,), name="sojourn-report", daemon=True)

    @property
    def address(self) -> str:
        """Opens the report, once."""
        shown = LOOPBACK if self._host in {"", "0.0.0.0", "::"} else self._host  # noqa: S104 - compared, not bound
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{self.port}/?key={self._key.current}"

    def __enter__(self) -> Self:
        self._thread.start()
        if self._tell is not None:
            self._tell(self.address)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def tell(self, tell: Callable[[str], None]) -> None:
        """Tell the next addresses so."""
        self._tell = tell

    def wait(self) -> None:
        """Until Ctrl-C."""
        while self._thread.is_alive():
            self._thread.join(1)

    def _used(self) -> None:
        if self._tell is not None:
            self._tell(self.address)


def names_of(host: str) -> Callable[[str], bool]:
    """Whether a `Host` header names this server, whatever the port a tunnel gave it.

    A name of another site can be pointed here by its owner (DNS rebinding); an address, `localhost` and the name we were
    started with cannot.
    """
    own = host.lower()

    def is_ours(header: str) -> bool:
        name = _name_of(header.lower())
        if name in {own, "localhost"}:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        # On the loopback nobody comes by another address; elsewhere the machine may have several.
        return address.is_loopback or not _is_loopback(own)

    return is_ours


def _name_of(header: str) -> str:
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.rpartition(":")[0] if header.count(":") == 1 else header


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Handler(WSGIRequestHandler):
    timeout = _SILENT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the parent
        """Nothing: the terminal is for the address, and a request's line may carry its key."""

    def address_string(self) -> str:
        return str(self.client_address[0])


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # elsewhere it would let another process take the port over

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        # Not the parent's: it asks DNS for our own name, which can take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no news."""
