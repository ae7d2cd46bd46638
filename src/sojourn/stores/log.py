"""The event log as it is read, in any database."""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from typing import Final

from sojourn.core.events import Event

from . import wire
from .counting import HEAD
from .database import Database
from .reporting.model import Timeline

_LIMIT: Final = 10_000


class SQLLog:
    """The port `EventLog`."""

    def __init__(self, database: Database) -> None:
        d = database.dialect
        self._database = database
        self._head: Final = f"SELECT {HEAD}"
        self._after: Final = d.sql(f"""
SELECT {d.rows.format(d.event)} FROM (SELECT * FROM sojourn_events WHERE seq > :seq ORDER BY seq LIMIT :limit) AS part
""")
        self._of_session: Final = d.sql(f"""
SELECT {d.rows.format(d.event)} FROM (
    SELECT * FROM sojourn_events WHERE session_key = :key AND seq > :after ORDER BY seq LIMIT :limit) AS part
""")
        self._total: Final = d.sql("SELECT COUNT(*) FROM sojourn_events WHERE session_key = :key")
        self._session_of: Final = d.sql("SELECT session_key, seq FROM sojourn_events WHERE id = :id")

    def head(self) -> int:
        head: int = self._database.read(self._head)[0]
        return head

    def after(self, seq: int, *, limit: int) -> list[Event]:
        return wire.decode_events(self._database.read(self._after, seq=seq, limit=limit)[0])[0]

    def of_session(self, session_key: str, *, limit: int = _LIMIT, after: int = 0) -> list[Event]:
        text = self._database.read(self._of_session, key=wire.clean(session_key), limit=limit, after=after)[0]
        return wire.decode_events(text)[0]

    def timeline(self, session_key: str, *, after: int = 0, limit: int = 200) -> Timeline:
        events = self.of_session(session_key, limit=limit + 1, after=after)
        page = events[:limit]
        return Timeline(
            events=tuple(page),
            following=page[-1].seq if len(events) > limit else None,
            total=self._database.read(self._total, key=wire.clean(session_key))[0],
        )

    def session_of(self, event_id: str) -> tuple[str, int] | None:
        row = self._database.read(self._session_of, id=wire.clean(event_id))
        return (row[0], row[1]) if row else None
