"""What the parts of a store that exist once need of a database: short reads, and transactions of a few round trips."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

from .dialect import Dialect
from .tombstones import StoreKey

_Outcome = TypeVar("_Outcome")


class Result(NamedTuple):
    """A statement's first row, if it has one, and how many rows it changed."""

    row: tuple[Any, ...]
    rows: int


class Transaction(Protocol):
    """An open writing transaction."""

    key: StoreKey

    def execute(self, *statements: str, **values: object) -> list[Result]:
        """Run statements in one round trip; an empty one does nothing. Each sees what was committed before it began."""
        ...

    def at_end(self, statement: str, **values: object) -> None:
        """Run a statement just before the transaction is committed."""
        ...


class Database(Protocol):
    """One database. Raises `StoreError` where it fails."""

    dialect: Dialect
    lock_log: str
    """The statement that gives a transaction the log and its counts to itself, to its end."""

    def read(self, statement: str, **values: object) -> tuple[Any, ...]:
        """Return the first row of one statement, `()` if it has none; within a transaction of this thread, as that sees it."""
        ...

    def write(self, attempt: Callable[[Transaction], _Outcome]) -> _Outcome:
        """Run a writing transaction: committed when `attempt` returns, repeated where the database asks for it."""
        ...

    def store_key(self) -> bytes:
        """Return the store's own random key."""
        ...
