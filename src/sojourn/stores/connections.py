"""One connection per thread and process to a SQLite file, or one for all to a database in memory. Knows no table."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sojourn.errors import StoreError

from .opening import begin

# Connections that a child found after a fork. They are their parent's: never used, and never closed either, because
# closing would act on files and memory that the parent still uses. So they are kept for as long as the child lives.
_inherited: Final[list[object]] = []


class _Guarded:
    """A connection, and the lock that keeps `close()` and other threads out while it is used."""

    __slots__ = ("connection", "lock")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.lock = threading.RLock()


class _OfProcess:
    """What belongs to one process: its connections by thread, and the lock over them."""

    __slots__ = ("lock", "opened")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.opened: dict[int, _Guarded] = {}


class Connections:
    """Opened by who needs one, closed all together from any thread; a use after that opens again.

    Shared means one connection for all threads, taken in turns: a database in memory is its connection.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], *, name: str, is_shared: bool) -> None:
        self._connect = connect
        self._name = name
        self._is_shared = is_shared
        self._by_pid: dict[int, _OfProcess] = {}

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """For single statements: each of them sees one moment. Raises `StoreError` where SQLite fails."""
        guarded = self._mine()
        with guarded.lock:
            try:
                yield guarded.connection
            except sqlite3.Error as error:
                raise self._failed(error) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One writing transaction: committed when the block ends well, else rolled back."""
        guarded = self._mine()
        with guarded.lock:
            connection = guarded.connection
            try:
                begin(connection)
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    # Some errors (a full disk, say) have rolled back already.
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise self._failed(error) from error

    def close(self) -> None:
        """Close all; waits for a transaction that runs."""
        process = self._of_process()
        with process.lock:
            opened, process.opened = process.opened, {}
        for guarded in opened.values():
            with guarded.lock:
                guarded.connection.close()

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
        pid = os.getpid()
        process = self._by_pid.get(pid)
        if process is None:
            process = self._by_pid.setdefault(pid, _OfProcess())
            for other in self._by_pid.keys() - {pid}:  # pids repeat: a parent's must not be taken for ours later
                _inherited.append(self._by_pid.pop(other, None))
        return process

    def _failed(self, error: sqlite3.Error) -> StoreError:
        if (getattr(error, "sqlite_errorcode", 0) & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreError(f"the store {self._name} is locked by another process; it is tried again")
        return StoreError(f"the store {self._name} failed: {error}")
