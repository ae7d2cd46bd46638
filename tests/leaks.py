"""What a test leaves open: SQLite connections, engines, threads, files or sockets of this process, and handlers of signals.

What the garbage collector closes later counts too: it may do so in the middle of another test.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_DESCRIPTORS: Final = Path("/proc/self/fd")
_NOT_OURS: Final = ("/dev/", "/proc/", "pipe:", "anon_inode:", "/memfd:")
"""What Python's own machinery keeps open: multiprocessing, event loops, random numbers."""
_ENDING_S: Final = 2.0
"""For how long a thread that has done its work, or a server that a browser still talks to, may take to end."""

_connections: Final[list[tuple[object, sqlite3.Connection]]] = []
"""The SQLite connections of this test and their databases. Held here, or the collector would hide the leak."""
_connecting: Final = threading.local()


def _note_connection(event: str, arguments: tuple[object, ...]) -> None:
    if event == "sqlite3.connect":
        _connecting.database = arguments[0]
    elif event == "sqlite3.connect/handle" and isinstance(arguments[0], sqlite3.Connection):
        _connections.append((_connecting.database, arguments[0]))


sys.addaudithook(_note_connection)


def _threads() -> frozenset[threading.Thread]:
    return frozenset(threading.enumerate())


def _engines() -> frozenset[object]:
    module = sys.modules.get("sojourn.engine")
    return frozenset() if module is None else frozenset(module._open_engines)


def _descriptors() -> frozenset[tuple[str, str]]:
    """Return the open files and sockets as (target, number); none where the system does not list them."""
    if not _DESCRIPTORS.exists():
        return frozenset()
    descriptors = set()
    for number in os.listdir(_DESCRIPTORS):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:  # the descriptor of the listing itself
            continue
        if not target.startswith(_NOT_OURS):
            descriptors.add((target, number))
    return frozenset(descriptors)


def _handlers() -> dict[str, object]:
    """Return what the signals that end a process do. A worker's own handlers would outlive it and hold up the next end."""
    return {number.name: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}


@dataclass(frozen=True, slots=True)
class OpenResources:
    """What is open at the moment this is made."""

    connections: int = field(default_factory=lambda: len(_connections))
    descriptors: frozenset[tuple[str, str]] = field(default_factory=_descriptors)
    engines: frozenset[object] = field(default_factory=_engines)
    threads: frozenset[threading.Thread] = field(default_factory=_threads)
    handlers: dict[str, object] = field(default_factory=_handlers)

    def leaks(self) -> list[str]:
        """Describe what was opened since and is still open."""
        started = _threads() - self.threads
        for thread in started:
            thread.join(_ENDING_S)
        made = _connections[self.connections :]
        del _connections[self.connections :]
        return [
            *(f"SQLite connection to {database}" for database, connection in made if is_open(connection)),
            *("engine" for _ in _engines() - self.engines),
            *(f"thread {thread.name}" for thread in started if thread.is_alive()),
            *(f"file {target}" for target, _ in sorted(self._opened_descriptors())),
            *(f"handler of {name}" for name, handler in _handlers().items() if handler != self.handlers[name]),
        ]

    def _opened_descriptors(self) -> frozenset[tuple[str, str]]:
        """Return what is still open. A server that outlives the test may take a moment to drop a browser's socket."""
        deadline = time.monotonic() + _ENDING_S
        while opened := _descriptors() - self.descriptors:
            if time.monotonic() > deadline or not all(target.startswith("socket:") for target, _ in opened):
                return opened
            time.sleep(0.02)
        return opened


def is_open(connection: sqlite3.Connection) -> bool:
    """Say whether the connection was not closed; from any thread."""
    try:
        return connection.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False
