"""Serve an ASGI app on a loopback port with uvicorn, in another thread or in this one."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sojourn.errors import MissingExtraError, SojournError

if TYPE_CHECKING:
    import uvicorn

_STARTING_S: Final = 10.0


@contextmanager
def served(app: Any, port: int = 0) -> Iterator[str]:
    """Serve during the block; yield `http://127.0.0.1:<port>`."""
    with _listening(port) as (listener, address):
        server = _server(app)
        thread = threading.Thread(target=server.run, args=([listener],), name="sojourn-fake", daemon=True)
        thread.start()
        try:
            deadline = time.monotonic() + _STARTING_S
            while not server.started:
                if not thread.is_alive() or time.monotonic() > deadline:
                    raise SojournError(f"the fake could not be started at {address}; choose another port")
                time.sleep(0.005)
            yield address
        finally:
            server.should_exit = True
            thread.join(_STARTING_S)


def serve_here(app: Any, port: int, *, ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM. `ready` is called with the address as soon as calls are accepted."""
    with _listening(port) as (listener, address):
        server = _server(app)
        ready(address)  # the socket listens already, so a call that arrives now waits
        server.run([listener])


@contextmanager
def _listening(port: int) -> Iterator[tuple[socket.socket, str]]:
    # With the protocol named, asyncio disables Nagle's algorithm; otherwise each response would wait 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise SojournError(f"port {port} cannot be used ({error}); choose another, or 0 for a free one") from None
        listener.listen(128)
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def _server(app: Any) -> uvicorn.Server:
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtraError("serving a fake needs uvicorn: pip install sojourn[demo]") from error
    config = uvicorn.Config(
        app, http="h11", ws="none", lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=2
    )
    return uvicorn.Server(config)
