"""A PostgreSQL database as the shared parts of a store use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sojourn.stores.database import Transaction

from .connections import Connections
from .dialect import POSTGRESQL
from .statements import lock_log

_Outcome = TypeVar("_Outcome")


class PostgreSQLDatabase:
    """`Database` over a store's connections. A transaction begins, and ends, in a round trip with its statements."""

    def __init__(self, connections: Connections, log_lock: int) -> None:
        self.dialect = POSTGRESQL
        self.lock_log = lock_log(log_lock)
        self._connections = connections

    def read(self, statement: str, **values: object) -> tuple[Any, ...]:
        return self._connections.read(statement, **values)

    def write(self, attempt: Callable[[Transaction], _Outcome]) -> _Outcome:
        return self._connections.write(attempt)

    def store_key(self) -> bytes:
        return self._connections.key()
