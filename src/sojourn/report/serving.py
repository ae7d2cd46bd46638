"""A report on its own socket, on the loopback by default, opened with one-time links printed in a terminal.

For `sojourn report` and `sojourn demo`, which have a few readers at most, so the standard library's server is enough.
It serves only host names that another site's DNS cannot point here.
"""

from __future__ import annotations

import ipaddress
import os
import socket
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
from ._revocations import MemoryRevocations
from ._tickets import Tickets
from ._view import Source
from ._wsgi import WsgiReport

__all__ = ["LOOPBACK", "ReportServer", "Source", "names_of"]

LOOPBACK: Final = "127.0.0.1"
_POLL_S: Final = 0.05
"""How often the server checks whether to stop."""
_IDLE_S: Final = 60
"""An idle connection is closed after this."""


class ReportServer:
    """Serves the report while its block runs. Raises `SojournError` if the port is taken.

    `on_link` is called with a one-time link at the start, and with a new one whenever one has been used; `landing` is
    the page that links open.
    """

    def __init__(
        self,
        source: Source,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        landing: str = "/",
        on_link: Callable[[str], None] | None = None,
    ) -> None:
        self._key = OneTimeKey()
        self._on_link = on_link
        try:
            self._server = _Server(host, port)
        except OSError as error:
            msg = f"the report cannot listen on {host}:{port} ({error.strerror or error}); choose another --port or --host"
            raise SojournError(msg) from error
        self.port: int = self._server.server_address[1]
        self._host = host
        access = Access(
            # All ports of a host share their cookies: two reports must not log each other out.
            tickets=Tickets(os.urandom(32), MemoryRevocations(), name=f"sojourn_report_{self.port}"),
            one_time=self._key,
            on_key_used=self._print_link,
            landing=landing,
            hosts=names_of(host),
        )
        self._server.set_app(WsgiReport(Report(source, access), Proxies(())))
        self._thread = Thread(target=self._server.serve_forever, args=(_POLL_S,), name="sojourn-report", daemon=True)

    @property
    def link(self) -> str:
        """A link that opens the report once."""
        shown = LOOPBACK if self._host in {"", "0.0.0.0", "::"} else self._host  # noqa: S104 - compared, not bound
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{self.port}/?key={self._key.current}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._print_link()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def set_on_link(self, on_link: Callable[[str], None]) -> None:
        """Call this with the next links."""
        self._on_link = on_link

    def wait(self) -> None:
        """Block until Ctrl-C."""
        while self._thread.is_alive():
            self._thread.join(1)

    def _print_link(self) -> None:
        if self._on_link is not None:
            self._on_link(self.link)


def names_of(host: str) -> Callable[[str], bool]:
    """Make the check of a `Host` header, whatever port a tunnel put into it.

    The owner of another name can point it here (DNS rebinding). That is impossible for an IP address, for `localhost` and
    for the host that the server was started with.
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
        # A server on the loopback is reached by a loopback address; any other may be reached by several.
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
    timeout = _IDLE_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the parent
        """Log nothing: the terminal is for links, and a request line may contain a key."""

    def address_string(self) -> str:
        return str(self.client_address[0])


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # elsewhere it would let another process take the port over

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        # Not the parent's: it looks up our own name in DNS, which can take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore it: a browser closed its connection."""
