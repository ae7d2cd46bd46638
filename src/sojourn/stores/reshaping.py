"""What leads a store of an unreleased Sojourn to today's tables. A released schema has a version, and steps from it.

Between releases tables, columns and indices come without another version. A store remembers the shape that it was made
in; if that is not today's, what is missing is added. Tables with anything else are refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Final

import msgspec

from .ddl import create_statements, index_statement, table_statement
from .dialect import Dialect
from .rows import JSON_FIELDS, SessionRow
from .schema import SESSIONS, TABLES
from .tables import Column, Kind, Table

SHAPE: Final = "shape"
"""The name of the shape in `sojourn_meta`."""
_TRIGGER: Final = re.compile(r"CREATE TRIGGER (\w+)")
_FUNCTION: Final = re.compile(r"CREATE FUNCTION (\w+)")
_TEXTS: Final = frozenset({Kind.TEXT, Kind.BYTES})
_REQUIRED: Final = frozenset(field.name for field in msgspec.structs.fields(SessionRow) if field.required)


class UnfitError(Exception):
    """A table has what this version does not know, or lacks what cannot be added."""


def shape_of(d: Dialect, triggers: Iterable[str]) -> bytes:
    """Return what tells today's tables, indices and triggers from others."""
    text = "\n".join((*create_statements(d), *triggers))
    return blake2b(text.encode(), digest_size=8).hexdigest().encode()


def additions(
    d: Dialect, triggers: Iterable[str], *, columns: Mapping[str, Collection[str]], indices: Collection[str]
) -> Iterator[str]:
    """Yield the statements that add what is missing. `columns`: those that there are, by table. Raises `UnfitError`."""
    for table in TABLES:
        there = columns.get(table.name)
        if there is None:
            yield table_statement(d, table)
        else:
            yield from _columns(d, table, there)
        for index in table.indices:
            if index.name not in indices and (d.has_wide_indices or not index.is_wide):
                yield index_statement(table, index)
    yield "DELETE FROM sojourn_rollups"  # they may have counted otherwise, and are made again
    yield from _remade(triggers)


def _columns(d: Dialect, table: Table, there: Collection[str]) -> Iterator[str]:
    unknown = sorted(set(there) - {column.name for column in table.columns})
    if unknown:
        msg = f"{table.name} has the column {unknown[0]}"
        raise UnfitError(msg)
    for column in table.columns:
        if column.name not in there:
            if column.is_unique or column.name in table.key or (table is SESSIONS and column.name in _REQUIRED):
                msg = f"{table.name} lacks the column {column.name}"
                raise UnfitError(msg)
            bound = "" if column.is_nullable else f" NOT NULL DEFAULT '{_default(table, column)}'"
            yield f"ALTER TABLE {table.name} ADD COLUMN {column.name} {d.kinds[column.kind]}{bound}"


def _default(table: Table, column: Column) -> str:
    """What the rows of before have, as text: nothing, as `SessionRow` has it."""
    if table is SESSIONS and column.name in JSON_FIELDS:
        return "{}"
    return "" if column.kind in _TEXTS else "0"


def _remade(triggers: Iterable[str]) -> Iterator[str]:
    triggers = tuple(triggers)
    functions = [match[1] for match in map(_FUNCTION.match, triggers) if match]
    yield from (f"DROP FUNCTION IF EXISTS {name}() CASCADE" for name in functions)  # with their triggers
    if not functions:
        yield from (f"DROP TRIGGER IF EXISTS {match[1]}" for match in map(_TRIGGER.match, triggers) if match)
    yield from triggers
