"""Shuts a connection down at its deadline, with one sleeping thread instead of one per call.

Starting a thread costs as much as a call. This one sleeps until the last deadline it was given, even if that call has ended
meanwhile; then it takes up a newer deadline, or ends.
"""

from __future__ import annotations

import _socket
import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from socket import SHUT_RDWR
from typing import Any, Final

from sojourn.core.threads import Lock, Worker

_END_S: Final = 5.0
"""How long `stop` waits for the thread, which has nothing left to do."""


class Watch:
    """Watches one connection of one process; a forked process makes its own. Called by one thread at a time.

    Its thread is a real one, also under gevent: a greenlet would wait in the hub of the thread that started it, and never
    wake when that has ended.
    """

    def __init__(self) -> None:
        self._stream: Any = None
        self._lock = Lock()
        self._bell = Lock()  # released to wake the thread
        self._bell.acquire()
        self._worker: Worker | None = None
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
            with self._lock:
                self._due = None

    def stop(self) -> None:
        """Forget the connection and end the thread."""
        self._stream = None
        with self._lock:
            self._due = None
            self._wakes_at = 0.0
            worker = self._worker
        self._ring()
        if worker is not None:
            worker.join(_END_S)

    def _arm(self, due: float) -> None:
        with self._lock:
            self._due = due
            is_earlier = due < self._wakes_at
            if self._worker is None:
                self._wakes_at = due
                self._worker = Worker(self._watch, name="sojourn-deadline")
                try:
                    self._worker.start()
                except RuntimeError:  # the interpreter is at its end (atexit), and the last calls end with the process
                    self._worker = None
        if is_earlier:
            self._ring()

    def _ring(self) -> None:
        with contextlib.suppress(RuntimeError):  # it rings already
            self._bell.release()

    def _watch(self) -> None:
        while True:
            with self._lock:
                left = self._left()
                if left <= 0:
                    self._worker = None
                    return
            self._bell.acquire(timeout=left)

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
            # By another descriptor: the method of a TLS socket would drop the TLS session while another thread reads, and
            # that of gevent's belongs to the thread that opened it.
            with (
                contextlib.suppress(OSError),
                contextlib.closing(_socket.socket(fileno=os.dup(connection.fileno()))) as line,
            ):
                line.shutdown(SHUT_RDWR)
