"""The SQLite side of what the shared parts of a store use."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from sojourn.stores.database import Result, Transaction
from sojourn.stores.tombstones import StoreKey

from .connections import Connections
from .dialect import SQLITE

_Outcome = TypeVar("_Outcome")


class SQLiteTransaction:
    """An open writing transaction: the only one of the database."""

    def __init__(self, connection: sqlite3.Connection, key: StoreKey) -> None:
        self.key = key
        self.connection: Final = connection

    def execute(self, *statements: str, **values: object) -> list[Result]:
        return [self._one(statement, values) for statement in statements]

    def at_end(self, statement: str, **values: object) -> None:
        self._one(statement, values)

    def _one(self, statement: str, values: dict[str, object]) -> Result:
        if not statement:
            return Result((), 0)
        cursor = self.connection.execute(statement, values)
        row = cursor.fetchone() if cursor.description else None
        return Result(row or (), cursor.rowcount)


class SQLiteDatabase:
    """`Database` over a store's connections."""

    def __init__(self, connections: Connections) -> None:
        self.dialect = SQLITE
        self.lock_log = ""
        self._connections = connections
        self._key: tuple[int, StoreKey] | None = None

    def read(self, statement: str, **values: object) -> tuple[Any, ...]:
        with self._connections.reading() as db:
            row: tuple[Any, ...] | None = db.execute(statement, values).fetchone()
        return row or ()

    @contextmanager
    def writing(self) -> Iterator[SQLiteTransaction]:
        """Open a writing transaction for the block."""
        with self._connections.writing() as db:
            yield SQLiteTransaction(db, self._key_in(db))

    def write(self, attempt: Callable[[Transaction], _Outcome]) -> _Outcome:
        with self.writing() as work:
            return attempt(work)

    def store_key(self) -> bytes:
        with self._connections.reading() as db:
            return self._key_in(db).value

    def forget_key(self) -> None:
        """The database is closed; in memory, the next one has another key."""
        self._key = None

    def _key_in(self, db: sqlite3.Connection) -> StoreKey:
        """Read the key once per process: it never changes."""
        pid = os.getpid()
        if self._key is None or self._key[0] != pid:
            value = db.execute("SELECT value FROM sojourn_meta WHERE name = 'store_key'").fetchone()[0]
            self._key = (pid, StoreKey(value))
        return self._key[1]
