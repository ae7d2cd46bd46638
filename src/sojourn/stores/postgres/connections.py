"""One connection per thread and process to a PostgreSQL server, and transactions over it.

A broken connection is discarded, and the next use opens another; a transaction never continues on a second connection.
Statements that belong together travel together: each round trip gives up the interpreter lock, and costs a moment of the
network.
"""

from __future__ import annotations

import os
import random
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

import psycopg

from sojourn.core.threads import Lock, RLock, living, sleep
from sojourn.errors import StoreError
from sojourn.stores.database import Result
from sojourn.stores.model import TryAgain
from sojourn.stores.tombstones import StoreKey

from .address import Address
from .errors import explained
from .opening import Connection, begin, connect

_ATTEMPTS: Final = 5
_CLOSE_PATIENCE_S: Final = 2.0
_IDLE: Final = psycopg.pq.TransactionStatus.IDLE

_Outcome = TypeVar("_Outcome")

# Connections that a child inherited. They are its parent's: closing one would end the parent's session on the server. So
# they are kept for the life of the child.
_inherited: Final[list[object]] = []


class Work:
    """One transaction. It begins in the same round trip as its first statements, and ends in that of its last."""

    def __init__(self, connection: Connection, key: StoreKey, prologue: str) -> None:
        self.key = key
        self._connection = connection
        self._pid = os.getpid()
        self._prologue: str | None = prologue
        self._is_over = False
        self._last: list[str] = []
        self._values: dict[str, object] = {}

    @property
    def is_ours(self) -> bool:
        """False in a child that was forked during it: any message from the child would break it for the parent."""
        return self._pid == os.getpid()

    def execute(self, *statements: str, **values: object) -> list[Result]:
        """Run statements in one round trip; an empty one does nothing. Each sees what was committed before it began."""
        if self._is_over:
            raise StoreError("this transaction has ended; begin another")
        if not self.is_ours:
            raise StoreError("this transaction belongs to the process that this one was forked from; begin another")
        before = "" if self._prologue is None else f"{self._prologue};"
        skipped = before.count(";")
        self._prologue = None
        cursor = self._connection.execute((before + ";".join(filter(None, statements))).encode(), values)
        for _ in range(skipped):
            cursor.nextset()
        results = []
        for statement in statements:
            if not statement:
                results.append(Result((), 0))
                continue
            row = cursor.fetchone() if cursor.description else None
            results.append(Result(row or (), cursor.rowcount))
            cursor.nextset()
        return results

    def at_end(self, statement: str, **values: object) -> None:
        """Run a statement just before the transaction is committed."""
        self._last.append(statement)
        self._values |= values

    def commit(self, *statements: str, **values: object) -> None:
        """Run these statements and end the transaction, in one round trip. Once it is over, nothing more is done."""
        if not self._is_over and (statements or self._prologue is None):
            self.execute(*statements, *self._last, "COMMIT", **self._values, **values)
            self._is_over = True

    def roll_back(self) -> None:
        """Roll back; later statements of the block change nothing."""
        self._is_over = True
        if self._prologue is None and self.is_ours and not self._connection.closed:
            with suppress(psycopg.Error):  # then the connection is lost, and the transaction with it
                self._connection.execute("ROLLBACK")


class _Guarded:
    """A connection, the lock that keeps `close()` and other threads out while it is in use, and its open transaction."""

    __slots__ = ("connection", "key", "lock", "work")

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.key = StoreKey(b"")
        self.lock = RLock()
        self.work: Work | None = None


class _OfProcess:
    """The connections of one process by thread, and the lock over them."""

    __slots__ = ("lock", "opened")

    def __init__(self) -> None:
        self.lock = Lock()
        self.opened: dict[int, _Guarded] = {}


class Connections:
    """Connections that open at first use. Any thread can close all of them; a later use opens them again."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._to_write = begin(address.schema)
        self._to_read = begin(address.schema, writes=False)
        self._by_pid: dict[int, _OfProcess] = {}

    def read(self, statement: str, **values: object) -> tuple[Any, ...]:
        """Return the first row of one statement. Within a transaction of this thread it runs in that transaction."""
        guarded = self._mine()
        with guarded.lock:
            if guarded.work is not None:
                return guarded.work.execute(statement, **values)[0].row
            with self._working(guarded, self._to_read) as work:
                return work.execute(statement, "COMMIT", **values)[0].row

    def key(self) -> bytes:
        """Return the store's own key."""
        guarded = self._mine()
        with guarded.lock:
            if guarded.work is None:
                self._opened(guarded)
            return guarded.key.value

    @contextmanager
    def writing(self) -> Iterator[Work]:
        """Open a writing transaction: committed at the end of the block, rolled back if it raises. May raise `TryAgain`."""
        guarded = self._mine()
        with guarded.lock:
            if guarded.work is not None:
                raise StoreError(
                    f"the store {self._address.name} is in a transaction of this thread; end that one first"
                )
            with self._working(guarded, self._to_write) as work:
                guarded.work = work
                try:
                    yield work
                    work.commit()
                except BaseException:
                    work.roll_back()
                    raise
                finally:
                    guarded.work = None

    def write(self, attempt: Callable[[Work], _Outcome]) -> _Outcome:
        """Run a writing transaction; repeat it if the database rolled it back for the sake of another."""
        for _ in range(_ATTEMPTS - 1):
            try:
                with self.writing() as work:
                    return attempt(work)
            except TryAgain:
                sleep(random.uniform(0.0, 0.05))  # noqa: S311 - jitter is no secret
        try:
            with self.writing() as work:
                return attempt(work)
        except TryAgain as error:
            raise StoreError(
                f"the store {self._address.name} is under heavy load ({error}); it will be retried"
            ) from None

    def close(self) -> None:
        """Close all connections. Waits up to 2 s for running transactions; one that hangs on a silent server is cut off."""
        process = self._of_process()
        with process.lock:
            opened, process.opened = process.opened, {}
        deadline = time.monotonic() + _CLOSE_PATIENCE_S
        for guarded in opened.values():
            has_lock = guarded.lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
            try:
                if guarded.connection is not None:
                    if has_lock:
                        guarded.connection.close()
                    else:
                        _cut(guarded.connection)
            finally:
                if has_lock:
                    guarded.lock.release()

    @contextmanager
    def _working(self, guarded: _Guarded, prologue: str) -> Iterator[Work]:
        connection = self._opened(guarded)
        work = Work(connection, guarded.key, prologue)
        try:
            yield work
        except psycopg.Error as error:
            is_lost = connection.closed
            raise explained(self._address.name, error, is_lost=is_lost) from None
        finally:
            if work.is_ours and (connection.closed or connection.info.transaction_status != _IDLE):
                # Broken, or left inside a transaction: its state is unknown.
                connection.close()
                guarded.connection = None

    def _opened(self, guarded: _Guarded) -> Connection:
        connection = guarded.connection
        if connection is not None and not _is_alive(connection):
            connection.close()
            connection = None
        if connection is None:
            connection, key = connect(self._address)
            guarded.connection, guarded.key = connection, StoreKey(key)
        return connection

    def _mine(self) -> _Guarded:
        process = self._of_process()
        key = threading.get_ident()
        guarded = process.opened.get(key)
        if guarded is not None:
            return guarded
        with process.lock:
            _prune(process.opened)
            return process.opened.setdefault(key, _Guarded())

    def _of_process(self) -> _OfProcess:
        pid = os.getpid()
        process = self._by_pid.get(pid)
        if process is None:
            process = self._by_pid.setdefault(pid, _OfProcess())
            for other in self._by_pid.keys() - {pid}:  # pids repeat: a parent's must not be mistaken for ours later
                _inherited.append(self._by_pid.pop(other, None))
        return process


def _prune(opened: dict[int, _Guarded]) -> None:
    """Close the connections of threads that ended: a server allows only so many."""
    alive = living()
    for ident in opened.keys() - alive:
        guarded = opened[ident]
        if guarded.lock.acquire(blocking=False):
            try:
                if guarded.connection is not None:
                    guarded.connection.close()
                del opened[ident]
            finally:
                guarded.lock.release()


def _is_alive(connection: Connection) -> bool:
    """Whether the server has kept it open while it was idle: anything readable then is its end, or a notice."""
    if connection.closed:
        return False
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    try:
        while poll.poll(0):
            connection.pgconn.consume_input()  # raises at the end of it
    except psycopg.Error:
        return False
    return not connection.closed


def _cut(connection: Connection) -> None:
    """End the wait of another thread on this connection; that thread does the rest."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
