"""Threads and locks of the operating system, even where gevent has put its own in their place.

Under `gevent.monkey.patch_all()` a thread is a greenlet, and whatever blocks without gevent's knowledge (SQLite, which may
wait for another process for seconds) stops every request of the worker. So our background runs on real threads there,
too, and what it shares with requests is guarded by real locks: each is held for microseconds, and never over a switch.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar

Result = TypeVar("Result")
AnyLock: TypeAlias = threading.Lock
AnyRLock: TypeAlias = threading.RLock


def Lock() -> AnyLock:  # noqa: N802 - read as the class that it stands for
    """A lock between real threads."""
    lock: AnyLock = _original("_thread", "allocate_lock", threading.Lock)()
    return lock


def RLock() -> AnyRLock:  # noqa: N802
    """The same, for a thread that may hold it already."""
    lock: AnyRLock = _original("_thread", "RLock", threading.RLock)()
    return lock


def sleep(seconds: float) -> None:
    """Let other threads run; this one really waits."""
    _original("time", "sleep", time.sleep)(seconds)


class StopFlag:
    """Set once, for good; any thread may wait for it (`threading.Event` is made of locks that gevent replaces)."""

    __slots__ = ("_closed", "_is_set", "_setting")

    def __init__(self) -> None:
        self._closed = Lock()
        self._closed.acquire()
        self._setting = Lock()
        self._is_set = False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        with self._setting:
            if not self._is_set:
                self._is_set = True
                self._closed.release()

    def wait(self, seconds: float) -> bool:
        """Wait until it is set, at most so many seconds; whether it is set."""
        if not self._is_set and self._closed.acquire(timeout=max(0.0, seconds)):
            self._closed.release()  # lets the next waiter pass
        return self._is_set


class Worker:
    """A daemon thread that does one thing. It ends with its work, or with the process."""

    def __init__(self, work: Callable[[], None], *, name: str) -> None:
        self._work = work
        self._name = name
        self._done = StopFlag()

    def start(self) -> None:
        """Start it. Raises `RuntimeError` if no thread can be started."""
        if _monkey() is None:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        else:
            _original("_thread", "start_new_thread", None)(self._run, ())

    def join(self, seconds: float) -> bool:
        """Wait for its end, at most so many seconds; whether it has ended."""
        return self._done.wait(seconds)

    def _run(self) -> None:
        ident = threading.get_ident()
        _ours.add(ident)
        try:
            self._work()
        finally:
            _ours.discard(ident)
            self._done.set()


_ours: Final[set[int]] = set()


def living() -> set[int | None]:
    """The idents of all threads that run, those among them that `threading` does not know."""
    return {thread.ident for thread in threading.enumerate()} | _ours


def within(seconds: float, work: Callable[[], Result]) -> Result | None:
    """Return or raise what the work does; `None` if it takes longer than that. It then goes on in its thread."""
    ends: list[tuple[Result | None, Exception | None]] = []

    def run() -> None:
        try:
            ends.append((work(), None))
        except Exception as error:  # noqa: BLE001 - raised below, in the waiting thread
            ends.append((None, error))

    worker = Worker(run, name="sojourn-within")
    worker.start()
    if not worker.join(seconds):
        return None
    result, error = ends[0]
    if error is not None:
        raise error
    return result


def _monkey() -> Any:
    """The module of gevent that patches, if it has replaced threads."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey if monkey is not None and monkey.is_module_patched("threading") else None


def _original(module: str, name: str, otherwise: Any) -> Any:
    monkey = _monkey()
    return otherwise if monkey is None else monkey.get_original(module, name)
