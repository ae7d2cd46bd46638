"""A port for a server that has to be told one."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Return a port of the loopback that is free now: start the server at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
