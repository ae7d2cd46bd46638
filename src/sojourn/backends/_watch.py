"""Shuts a connection down when its time is over: one thread that sleeps, not one a call. Knows sockets; no HTTP client.

A thread for each call costs as much as the call. This one sleeps until the deadline that it last knew of, whatever
became of that call; it then looks for a newer one, and ends if there is none.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any


class Watch:
    """Of one connection, and of one process: a fork makes its own. Called by one thread at a time."""

    def __init__(self) -> None:
        self._stream: Any = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._due: float | None = None
        self._wakes_at = 0.0

    def trace(self, name: str, info: Mapping[str, Any]) -> None:
        """Remember the connection that httpx made: https://www.python-httpx.org/advanced/extensions/#trace."""
        stream = info.get("return_value")
        if hasattr(stream, "get_extra_info"):
            self._stream = stream

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cut the connection unless the block ends in time; never afterwards."""
        self._arm(time.monotonic() + seconds)
        try:
            yield
        finally:
            with self._changed:
                self._due = None

    def stop(self) -> None:
        """Forget the connection, and end the thread."""
        self._stream = None
        with self._changed:
            self._due = None
            self._wakes_at = 0.0
            thread = self._thread
            self._changed.notify()
        if thread is not None:
            thread.join()

    def _arm(self, due: float) -> None:
        with self._changed:
            self._due = due
            if self._thread is None:
                self._wakes_at = due
                self._thread = threading.Thread(target=self._watch, name="sojourn-deadline", daemon=True)
                self._thread.start()
            elif due < self._wakes_at:
                self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while (left := self._left()) > 0:
                self._changed.wait(left)
            self._thread = None

    def _left(self) -> float:
        """Return for how long to sleep, once what is due is done."""
        now = time.monotonic()
        if self._due is not None and self._due <= now:
            self._due = None
            self._cut()
        if self._due is not None:
            self._wakes_at = self._due
        return self._wakes_at - now

    def _cut(self) -> None:
        connection = None if self._stream is None else self._stream.get_extra_info("socket")
        if connection is not None:
            with contextlib.suppress(OSError):
                # The plain socket's method: the one of TLS sockets takes the session away from under the reader.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
