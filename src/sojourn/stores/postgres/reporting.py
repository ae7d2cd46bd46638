"""The report's side of a PostgreSQL store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sojourn.stores import wire
from sojourn.stores.reporting.queries import ReportingQueries
from sojourn.stores.reporting.statements import Dialect, Statements
from sojourn.stores.rows import SessionRow

from . import statements as _postgres_sql
from .operating import PostgreSQLOperating

POSTGRESQL: Final = Dialect(
    parameter="%({})s",
    row="json_build_array",
    rows="COALESCE(json_agg({}), '[]')::text",
    json="{}::json",
    field="({}::json ->> '{}')",
    hex="encode({}, 'hex')",
    part="substring({} FROM 1 FOR ({})::int)",
    # Else it may read the whole log backwards, to find a session's events already in order.
    by_session="seq + 0",
    like="ILIKE",
    property="(s.properties::json -> {} ->> 0)",
    property_name="{}",
    keys="(SELECT json_array_elements_text({}::json))",
    join="JOIN",
    inner="sojourn_sessions.*",
    outer="({}) AS s",
    indexed="",
)

_ROWS: Final = f"""
SELECT {_postgres_sql.array(_postgres_sql.SESSION_JSON)} FROM sojourn_sessions AS s
WHERE s.key = ANY({_postgres_sql.texts("keys")})
"""  # noqa: S608 - written here

# A transaction that has changed a session may not know of a claim that came after: so the claim comes when there is none
# under way. It does not wait for long: whoever wants to change a session waits behind it.
_SOON: Final = "SET LOCAL lock_timeout = '1s'"
_WHEN_NONE_WRITES: Final = "LOCK TABLE sojourn_sessions IN SHARE MODE"


class PostgreSQLReporting(ReportingQueries, PostgreSQLOperating):
    """`Reporting` over a store's connections."""

    _dialect = POSTGRESQL
    _statements = Statements(POSTGRESQL)

    def _read(self, statement: str, **values: object) -> tuple[Any, ...] | None:
        return self._connections.read(statement, **values) or None

    def _rows(self, keys: Sequence[str]) -> list[SessionRow]:
        return wire.decode_rows(self._value(_ROWS, keys=wire.encode(list(keys))))

    def _claim_summary(self, statement: str, **values: object) -> None:
        self._connections.write(lambda work: work.execute(_SOON, _WHEN_NONE_WRITES, statement, **values))

    def _finish_summary(self, statement: str, **values: object) -> int:
        return self._connections.write(lambda work: work.execute(statement, **values)[0].rows)
