"""The report's side of a SQLite store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sojourn.stores import wire
from sojourn.stores.reporting.queries import ReportingQueries
from sojourn.stores.reporting.statements import Dialect, Statements
from sojourn.stores.rows import SessionRow

from . import statements as sqlite_sql
from .operating import SQLiteOperating

SQLITE: Final = Dialect(
    parameter=":{}",
    row="json_array",
    rows="json_group_array({})",
    json="json({})",
    field="json_extract({}, '$.\"{}\"')",
    hex="hex({})",
    part="substr({}, 1, {})",
    by_session="seq",
    like="LIKE",
    property="CASE json_type(s.properties, {0}) WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'"
    " ELSE CAST(json_extract(s.properties, {0}) AS TEXT) END",
    property_name='$."{}"[0]',
    keys="(SELECT value FROM json_each({}))",
    join="CROSS JOIN",
    # By its number in the table: what is looked at is thousands of sessions, what is sorted only their numbers.
    inner="rowid AS number",
    outer="({}) AS c CROSS JOIN sojourn_sessions AS s ON s.rowid = c.number",
    indexed="INDEXED BY sojourn_ix_sessions_started",
)


class SQLiteReporting(ReportingQueries, SQLiteOperating):
    """`Reporting` over a store's connections."""

    _dialect = SQLITE
    _statements = Statements(SQLITE)

    def _read(self, statement: str, **values: object) -> tuple[Any, ...] | None:
        with self._connections.reading() as db:
            found: tuple[Any, ...] | None = db.execute(statement, values).fetchone()
        return found

    def _rows(self, keys: Sequence[str]) -> list[SessionRow]:
        return wire.decode_rows(self._value(_ROWS, keys=wire.encode(list(keys))))

    def _claim_summary(self, statement: str, **values: object) -> None:
        with self._connections.writing() as db:  # there is one writer at a time
            db.execute(statement, values)

    def _finish_summary(self, statement: str, **values: object) -> int:
        with self._connections.writing() as db:
            return db.execute(statement, values).rowcount


_ROWS: Final = f"""
SELECT json_group_array({sqlite_sql.SESSION_JSON}) FROM sojourn_sessions AS s
WHERE s.key IN (SELECT value FROM json_each(:keys))
"""  # noqa: S608 - written here
