"""Statements over rows of bound values: what a batch of the recorder writes most.

Bound values cost half of what a JSON parameter does, which SQLite would print and parse for every column of every row. A
statement takes a whole chunk of rows, because `sqlite3` gives up the interpreter lock at each call; and no more than a
chunk, because the lock is held while the values are collected.

See P11 in docs/internals.md.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

CHUNK: Final = 128
"""The most rows of a statement, here and where rows are loaded."""

_SIZES: Final = (8, CHUNK)
"""For how many rows a statement is prepared. Rows of NULL fill it up, so that there are few texts and all stay prepared."""

_Item = TypeVar("_Item")


class BoundRows:
    """A statement with `{rows}` where its rows are named: a table with `column1` to the last. A row of NULL must do nothing."""

    def __init__(self, statement: str, width: int) -> None:
        row = f"({', '.join('?' * width)})"
        self._width = width
        self._by_size = {size: statement.format(rows=f"(VALUES {', '.join([row] * size)})") for size in _SIZES}

    def execute(self, connection: sqlite3.Connection, rows: Sequence[Sequence[object]]) -> int:
        """Run it for at most `CHUNK` rows, and return how many rows of the database it changed."""
        size = next(size for size in _SIZES if size >= len(rows))
        values = [value for row in rows for value in row]
        values += [None] * ((size - len(rows)) * self._width)
        return connection.execute(self._by_size[size], values).rowcount


def chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """Split into what one statement takes."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
