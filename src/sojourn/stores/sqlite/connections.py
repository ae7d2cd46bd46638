"""One connection per thread and process to a SQLite file, or one for all threads to a database in memory.

A process may fork at any moment, and SQLite is not made for it: a child that inherits an open connection inherits SQLite's
own notes of which locks the process holds on the file. They are then wrong for every connection that the child opens
(https://www.sqlite.org/howtocorrupt.html, 2.6). So all connections are closed before a fork, and open again at their next use.
Some servers fork without notifying Python. Then the child closes what it inherits or, if that was in use, never opens the
file.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeAlias

from sojourn.core.threads import AnyLock, AnyRLock, Lock, RLock
from sojourn.errors import StoreError

from .waiting import begin

Held: TypeAlias = "AnyLock | AnyRLock"

_FORK_WAITS_S: Final = 0.5
"""How long a fork waits for our threads. A database that other processes have locked must not delay it further."""
_CLOSE_WAITS_S: Final = 0.25
"""How long `close()` waits for running transactions. A process that is stopping must not wait for a locked database."""


class _Guarded:
    """A connection, and the lock that keeps `close()` and other threads out while it is used."""

    __slots__ = ("connection", "is_left", "lock")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.lock = RLock()
        self.is_left = False
        """Closed for new use. A thread that is using it closes it when done."""


class _OfProcess:
    """The connections of one process by thread, and the lock over them."""

    __slots__ = ("is_cut_off", "lock", "opened")

    def __init__(self) -> None:
        self.lock = Lock()
        self.opened: dict[int, _Guarded] = {}
        self.is_cut_off = False
        """SQLite's notes on this file belong to the parent and cannot be corrected, so the file must not be opened here."""


class Connections:
    """Connections that open at first use and close all together, from any thread. Using one after that opens it again.

    Shared means one connection for all threads, taken in turns: a database in memory is its connection.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], *, name: str, is_shared: bool) -> None:
        self._connect = connect
        self._name = name
        self._is_shared = is_shared
        self._by_pid: dict[int, _OfProcess] = {}
        _all.add(self)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Use a connection for single statements, each of which sees one moment. Raises `StoreError` if SQLite fails."""
        with self._used() as connection:
            try:
                yield connection
            except sqlite3.Error as error:
                raise self._failed(error) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open a writing transaction: committed at the end of the block, rolled back if it raises."""
        with self._used() as connection:
            try:
                begin(connection)
                try:
                    yield connection
                    if connection.in_transaction:  # a batch commits itself
                        connection.execute("COMMIT")
                except BaseException:
                    # Some errors, such as a full disk, have rolled back already.
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise self._failed(error) from error

    def close(self) -> None:
        """Close all connections. Waits briefly for running transactions; a thread that is still busy closes its own."""
        process = self._by_pid.get(os.getpid())
        deadline = time.monotonic() + _CLOSE_WAITS_S
        if process is None or not process.lock.acquire(timeout=_CLOSE_WAITS_S):
            return  # no connection here, or a thread has been opening one for a while: there is little to close
        opened, process.opened = process.opened, {}
        process.lock.release()
        for guarded in opened.values():
            guarded.is_left = True
            if guarded.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                try:
                    guarded.connection.close()
                finally:
                    guarded.lock.release()

    @contextmanager
    def _used(self) -> Iterator[sqlite3.Connection]:
        while True:
            guarded = self._mine()
            with guarded.lock:
                if guarded.is_left:  # closed between these two lines
                    continue
                try:
                    yield guarded.connection
                finally:
                    if guarded.is_left:
                        guarded.connection.close()
                return

    def _mine(self) -> _Guarded:
        process = self._of_process()
        key = 0 if self._is_shared else threading.get_ident()
        guarded = process.opened.get(key)
        if guarded is not None:
            return guarded
        with process.lock:
            guarded = process.opened.get(key)
            if guarded is None:
                guarded = process.opened[key] = _Guarded(self._connect())
            return guarded

    def _of_process(self) -> _OfProcess:
        process = self._by_pid.get(os.getpid())
        if process is None:
            self.disown()
            process = self._by_pid.setdefault(os.getpid(), _OfProcess())
        if process.is_cut_off:
            msg = (
                f"the store {self._name} was in use when this process was forked, by a server that does not tell Python "
                "of it, so this process only keeps its journal, for another one to record; let the server load the app in "
                "each worker (uWSGI: --lazy-apps) or call Python's hooks (uWSGI: --py-call-uwsgi-fork-hooks)"
            )
            raise StoreError(msg)
        return process

    # --- forks -------------------------------------------------------------------------------------------------------

    def hold(self, deadline: float) -> list[Held]:
        """Before a fork, wait until no thread is inside SQLite, and close what the child would inherit."""
        process = self._by_pid.get(os.getpid())
        if process is None:
            return []
        held: list[Held] = [process.lock] if _taken(process.lock, deadline) else []
        for key, guarded in list(process.opened.items()):
            if not _taken(guarded.lock, deadline):
                continue
            held.append(guarded.lock)
            # In a transaction: this thread will continue it. In memory: closing would delete the database.
            if not self._is_shared and not guarded.connection.in_transaction:
                guarded.is_left = True
                del process.opened[key]
                guarded.connection.close()
        return held

    def disown(self) -> None:
        """In a child, close what it inherited or put it out of reach. Pids repeat, so it must not look like ours later."""
        for pid in self._by_pid.keys() - {os.getpid()}:
            inherited = self._by_pid.pop(pid, None)
            if inherited is None:
                continue
            guards = list(inherited.opened.values())
            # A lock that is held here stays held: its owner is a thread of the parent that was inside SQLite.
            is_idle = _all_taken([inherited.lock, *(guarded.lock for guarded in guards)])
            if is_idle and not any(guarded.connection.in_transaction for guarded in guards):
                for guarded in guards:
                    guarded.connection.close()
            else:
                _keep_for_good([guarded.connection for guarded in guards])
                inherited.is_cut_off = not self._is_shared
            self._by_pid.setdefault(os.getpid(), _OfProcess()).is_cut_off |= inherited.is_cut_off

    def _failed(self, error: sqlite3.Error) -> StoreError:
        if (getattr(error, "sqlite_errorcode", 0) & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreError(f"the store {self._name} is locked by another process; it is tried again")
        return StoreError(f"the store {self._name} failed: {error}")


# --- of all -----------------------------------------------------------------------------------------------------------

_all: Final[weakref.WeakSet[Connections]] = weakref.WeakSet()
_forking: Final = threading.local()


def _taken(lock: Held, deadline: float = 0.0) -> bool:
    left = deadline - time.monotonic()
    return lock.acquire(timeout=left) if left > 0 else lock.acquire(blocking=False)


def _all_taken(locks: list[Held]) -> bool:
    return all(_taken(lock) for lock in locks)


def _keep_for_good(connections: list[sqlite3.Connection]) -> None:
    """Never close these, not even when the interpreter ends.

    Their parent may be in the middle of a transaction with them: closing would roll that back in memory that both
    processes share. A list would hold them only until the interpreter takes its modules apart.
    """
    with suppress(ImportError, AttributeError):  # AttributeError: not CPython
        from ctypes import py_object, pythonapi  # only in a child that inherited a connection in use

        for connection in connections:
            pythonapi.Py_IncRef(py_object(connection))


def _before_fork() -> None:
    deadline = time.monotonic() + _FORK_WAITS_S
    _forking.held = held = []
    for connections in list(_all):
        held += connections.hold(deadline)


def _after_fork() -> None:
    held, _forking.held = getattr(_forking, "held", []), []
    for lock in held:
        lock.release()


def _after_fork_in_child() -> None:
    _after_fork()  # this thread holds them, in the parent and in the child
    _disown_all()


def _disown_all() -> None:
    for connections in list(_all):
        connections.disown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
atexit.register(_disown_all)  # for a child whose server forked without notifying Python
