"""What a recomputation asks a store, in any database.

See P43 in docs/internals.md.
"""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from typing import Final

from sojourn.core.events import Position

from . import wire
from .database import Database
from .dialect import Dialect


def remove_sessions(d: Dialect) -> str:
    """Delete the sessions `:removed`, whose events are replaced in the same transaction."""
    return d.sql(f"DELETE FROM sojourn_sessions WHERE {d.among.format('key', ':removed')}")


class SQLRecomputing:
    """The port `Recomputing`."""

    def __init__(self, database: Database) -> None:
        d = database.dialect
        self._database = database
        self._visitors: Final = d.sql(f"""
SELECT {d.rows.format("visitor_id")} FROM (
    SELECT DISTINCT visitor_id FROM sojourn_sessions
    WHERE visitor_id > :after AND started_at >= :since AND started_at < :until ORDER BY visitor_id LIMIT :limit) AS part
""")
        self._settled: Final = "SELECT MIN(cursor) FROM sojourn_backends"

    def visitors(self, *, after: str, since: int, until: int, limit: int) -> list[str]:
        values = {"after": after, "since": since, "until": until, "limit": limit}
        return wire.decode_names(self._database.read(self._visitors, **values)[0])

    def settled(self) -> Position | None:
        cursor = self._database.read(self._settled)[0]
        return None if cursor is None else Position(cursor)
