"""Whether the tables in ClickHouse are those that are filled, and the statements that make them so. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from sojourn.backends.checking import Inspection
from sojourn.backends.outcomes import Response

from .exceptions import code_of, is_clickhouse
from .schema import TABLES, Table

_ENGINE: Final = "ReplacingMergeTree"
_QUESTION: Final = """
SELECT c.table, c.name, c.type, t.engine
FROM system.columns AS c INNER JOIN system.tables AS t ON t.database = c.database AND t.name = c.table
WHERE c.database = currentDatabase() AND c.table IN (TABLES) FORMAT JSONCompactEachRow
"""


class _Column(msgspec.Struct, frozen=True, array_like=True):
    table: str
    name: str
    type: str
    engine: str


def question(prefix: str) -> str:
    """Return the query for the columns of both tables."""
    return _QUESTION.replace("TABLES", ", ".join(f"'{prefix}{table.name}'" for table in TABLES))


def read(response: Response, prefix: str) -> Inspection:
    """Return what the response to the query says; nothing if it is none."""
    if response.status != 200 or code_of(response) is not None or not is_clickhouse(response):
        return Inspection()
    try:
        columns = msgspec.json.Decoder(_Column).decode_lines(response.body)
    except ValueError:
        return Inspection()
    warnings: list[str] = []
    statements: list[str] = []
    for table in TABLES:
        name = prefix + table.name
        own = [column for column in columns if column.table == name]
        if not own:
            statements.append(table.create(prefix))
            continue
        types = {column.name: column.type for column in own}
        statements += _additions(name, table, types)
        warnings += _differences(name, table, types)
        # Replicated..., Shared... and others have it at their end.
        if not own[0].engine.endswith(_ENGINE):
            warnings.append(f"the engine of {name} is {own[0].engine}, so rows that come twice stay; use {_ENGINE}")
    return Inspection(warnings=tuple(warnings), remedy="\n\n".join(f"{statement};" for statement in statements))


def _additions(name: str, table: Table, types: Mapping[str, str]) -> list[str]:
    return [
        f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {column} {kind}"
        for column, kind in table.columns.items()
        if column not in types
    ]


def _differences(name: str, table: Table, types: Mapping[str, str]) -> list[str]:
    return [
        f"{name}.{column} is {types[column]}; the statement in the docs makes it {kind}"
        for column, kind in table.columns.items()
        if types.get(column, kind) != kind
    ]
