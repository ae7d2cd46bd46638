"""The connections that an application may pass, and how each runs a statement. No library is imported for it.

Errors of a driver are the application's: they pass through.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from .writing import Rows, Steps, Values

_PARAMETER: Final = re.compile(r"(?<!:):([a-z_]+)")
_ACCEPTED: Final = "a connection or session of SQLAlchemy, of Django, of psycopg 3, of sqlite3 or of aiosqlite"


@dataclass(frozen=True, slots=True)
class Blocking:
    """A connection that blocks. `database`: its kind, as in `InboxTarget`."""

    database: str
    run: Callable[[str, Values], Rows]

    def write(self, steps: Steps) -> None:
        """Run the steps."""
        rows: Rows | None = None
        try:
            while True:
                rows = self.run(*(next(steps) if rows is None else steps.send(rows)))
        except StopIteration:
            return


@dataclass(frozen=True, slots=True)
class Awaiting:
    """A connection of asynchronous code."""

    database: str
    run: Callable[[str, Values], Awaitable[Rows]]

    async def write(self, steps: Steps) -> None:
        """Run the steps."""
        rows: Rows | None = None
        try:
            while True:
                rows = await self.run(*(next(steps) if rows is None else steps.send(rows)))
        except StopIteration:
            return


def driver_of(connection: Any) -> Blocking | Awaiting:
    """Recognise a connection by its class. Raises `TypeError` for anything else. A session takes its connection now."""
    library, name = _class_of(connection)
    return _KNOWN[library, name](connection)


def awaits(connection: Any) -> bool:
    """Whether a connection belongs to asynchronous code. Raises `TypeError` for anything but a connection. Runs nothing."""
    return "async" in _class_of(connection)[1].lower() or _class_of(connection)[0] == "aiosqlite"


def _class_of(connection: Any) -> tuple[str, str]:
    for kind in type(connection).__mro__:
        known = kind.__module__.partition(".")[0], kind.__name__
        if known in _KNOWN:
            return known
    name = f"{type(connection).__module__}.{type(connection).__qualname__}"
    msg = f"track(): connection must be {_ACCEPTED}, not {name}"
    raise TypeError(msg)


# --- SQLAlchemy


def _alchemy(connection: Any) -> Blocking:
    def run(statement: str, values: Values) -> Rows:
        result = connection.execute(_text(statement), values)
        return [tuple(row) for row in result] if result.returns_rows else []

    return Blocking(connection.dialect.name, run)


def _alchemy_session(session: Any) -> Blocking:
    return _alchemy(session.connection())


def _alchemy_async(connection: Any) -> Awaiting:
    async def run(statement: str, values: Values) -> Rows:
        result = await connection.execute(_text(statement), values)
        return [tuple(row) for row in result] if result.returns_rows else []

    return Awaiting(connection.dialect.name, run)


def _alchemy_async_session(session: Any) -> Awaiting:
    async def run(statement: str, values: Values) -> Rows:
        return await _alchemy_async(await session.connection()).run(statement, values)

    return Awaiting(session.get_bind().dialect.name, run)


def _text(statement: str) -> Any:
    return sys.modules["sqlalchemy"].text(statement)


# --- Django


def _django(connection: Any) -> Blocking:
    def run(statement: str, values: Values) -> Rows:
        with connection.cursor() as cursor:
            cursor.execute(_pyformat(statement), values)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    return Blocking(connection.vendor, run)


# --- psycopg: whatever rows the application has chosen


def _psycopg(connection: Any) -> Blocking:
    def run(statement: str, values: Values) -> Rows:
        with connection.cursor(row_factory=sys.modules["psycopg"].rows.tuple_row) as cursor:
            cursor.execute(_pyformat(statement), values)
            return list(cursor.fetchall()) if cursor.description else []

    return Blocking("postgresql", run)


def _psycopg_async(connection: Any) -> Awaiting:
    async def run(statement: str, values: Values) -> Rows:
        async with connection.cursor(row_factory=sys.modules["psycopg"].rows.tuple_row) as cursor:
            await cursor.execute(_pyformat(statement), values)
            return list(await cursor.fetchall()) if cursor.description else []

    return Awaiting("postgresql", run)


def _pyformat(statement: str) -> str:
    return _PARAMETER.sub(r"%(\1)s", statement)


# --- sqlite3


def _sqlite(connection: Any) -> Blocking:
    def run(statement: str, values: Values) -> Rows:
        with closing(connection.cursor()) as cursor:
            cursor.row_factory = None
            return list(cursor.execute(statement, values))

    return Blocking("sqlite", run)


def _aiosqlite(connection: Any) -> Awaiting:
    async def run(statement: str, values: Values) -> Rows:
        async with connection.cursor() as cursor:
            cursor.row_factory = None
            await cursor.execute(statement, values)
            return list(await cursor.fetchall())

    return Awaiting("sqlite", run)


_KNOWN: Final[dict[tuple[str, str], Callable[[Any], Blocking | Awaiting]]] = {
    ("sqlalchemy", "Connection"): _alchemy,
    ("sqlalchemy", "Session"): _alchemy_session,
    ("sqlalchemy", "scoped_session"): lambda registry: _alchemy_session(registry()),
    ("sqlalchemy", "AsyncConnection"): _alchemy_async,
    ("sqlalchemy", "AsyncSession"): _alchemy_async_session,
    ("sqlalchemy", "async_scoped_session"): lambda registry: _alchemy_async_session(registry()),
    ("django", "BaseDatabaseWrapper"): _django,
    ("django", "ConnectionProxy"): _django,
    ("psycopg", "Connection"): _psycopg,
    ("psycopg", "AsyncConnection"): _psycopg_async,
    ("sqlite3", "Connection"): _sqlite,
    ("aiosqlite", "Connection"): _aiosqlite,
}
