"""What an import asks a store, in any database.

See P42 in docs/internals.md.
"""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from . import wire
from .database import Database
from .imports_protocol import ImportedSession
from .reporting.model import HOUR_MS

_sessions: Final = msgspec.json.Decoder(list[ImportedSession])
_lines: Final = msgspec.json.Decoder(list[tuple[int, str]])


class SQLImports:
    """The port `Imports`."""

    def __init__(self, database: Database) -> None:
        d = database.dialect
        self._database = database
        columns = ImportedSession.__struct_fields__
        self._sessions: Final = d.sql(f"""
SELECT {d.rows.format(d.array(*columns))} FROM (
    SELECT {", ".join(columns)} FROM sojourn_sessions
    WHERE {d.among.format("visitor_id", ":visitors")} AND started_at <= :until AND last_seen_at >= :since
      AND imported IS NOT NULL AND end_reason > ''
    ORDER BY started_at, key) AS s
""")
        self._lines: Final = d.sql(f"""
SELECT {d.rows.format(d.array("hour", "lines"))} FROM sojourn_imported
WHERE {d.among_numbers.format("hour", ":hours")}
""")
        # SQLite evaluates both sides of an AND. A line of the hour is there before sessions are looked through.
        self._has: Final = d.sql(f"""
SELECT CASE WHEN EXISTS (SELECT 1 FROM sojourn_imported WHERE hour > :since - {HOUR_MS} AND hour < :until)
    THEN EXISTS (SELECT 1 FROM sojourn_sessions
                 WHERE started_at >= :since AND started_at < :until AND imported IS NOT NULL) ELSE false END
""")
        # PostgreSQL's recorder holds the place of a new session by a row that has started at 0.
        self._first_recorded: Final = """
SELECT started_at FROM sojourn_sessions WHERE imported IS NULL AND started_at > 0 ORDER BY started_at LIMIT 1
"""

    def visitor_key(self) -> bytes:
        return self._database.store_key()

    def sessions_of(self, visitors: Collection[str], *, since: int, until: int) -> list[ImportedSession]:
        if not visitors:
            return []
        values = {"visitors": wire.encode(list(visitors)), "since": since, "until": until}
        return _sessions.decode(self._database.read(self._sessions, **values)[0])

    def lines(self, hours: Collection[int]) -> dict[int, list[str]]:
        lines: dict[int, list[str]] = {hour: [] for hour in hours}
        for hour, part in _lines.decode(self._database.read(self._lines, hours=wire.encode(list(hours)))[0]):
            lines[hour].append(part)
        return lines

    def has(self, *, since: int, until: int) -> bool:
        return bool(self._database.read(self._has, since=since, until=until)[0])

    def first_recorded(self) -> int | None:
        row = self._database.read(self._first_recorded)
        return int(row[0]) if row else None
