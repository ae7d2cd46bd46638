"""Shuts a connection down at its deadline, with one sleeping thread instead of one per call.

Starting a thread costs as much as a call. This one sleeps until the last deadline it was given, even if that call has ended
meanwhile; then it takes up a newer deadline, or ends.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any


class Watch:
    """Watches one connection of one process; a forked process makes its own. Called by one thread at a time."""

    def __init__(self) -> None:
        self._stream: Any = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._due: float | None = None
        self._wakes_at = 0.0

    def trace(self, name: str, info: Mapping[str, Any]) -> None:
        """Remember the connection that httpx opened: https://www.python-httpx.org/advanced/extensions/#trace."""
        stream = info.get("return_value")
        if hasattr(stream, "get_extra_info"):
            self._stream = stream

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Shut the connection down if the block does not end in time; never after the block."""
        self._arm(time.monotonic() + seconds)
        try:
            yield
        finally:
            with self._changed:
                self._due = None

    def stop(self) -> None:
        """Forget the connection and end the thread."""
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
                try:
                    self._thread.start()
                except RuntimeError:  # the interpreter is at its end (atexit), and the last calls end with the process
                    self._thread = None
            elif due < self._wakes_at:
                self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while (left := self._left()) > 0:
                self._changed.wait(left)
            self._thread = None

    def _left(self) -> float:
        """Shut the connection down if its deadline has passed, then return how long to sleep, in seconds."""
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
                # The plain socket's method: that of TLS sockets would drop the TLS session while another thread reads.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
