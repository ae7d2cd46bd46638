"""The event log as it is read, in any database."""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from typing import Final

from sojourn.core.events import START, Event, Position

from . import wire
from .counting import HEAD
from .database import Database
from .model import EventPlace
from .reporting.model import Timeline

_LIMIT: Final = 10_000
_END: Final = 2**63 - 1


class SQLLog:
    """The port `EventLog`."""

    def __init__(self, database: Database) -> None:
        d = database.dialect
        self._database = database
        self._head: Final = f"SELECT {HEAD}"
        self._after: Final = d.sql(f"""
SELECT {d.rows.format(d.event)} FROM (SELECT * FROM sojourn_events WHERE seq > :after ORDER BY seq LIMIT :limit) AS part
""")
        self._latest: Final = d.sql(f"""
SELECT {d.rows.format(d.event)} FROM (
    SELECT * FROM (SELECT * FROM sojourn_events WHERE seq < :before ORDER BY seq DESC LIMIT :limit) AS part ORDER BY seq
) AS ordered
""")
        self._of_session: Final = d.sql(f"""
SELECT {d.rows.format(d.event)} FROM (
    SELECT * FROM sojourn_events WHERE session_key = :key AND seq > :after ORDER BY seq LIMIT :limit) AS part
""")
        self._total: Final = d.sql("SELECT COUNT(*) FROM sojourn_events WHERE session_key = :key")
        self._place_of: Final = d.sql("SELECT session_key, seq FROM sojourn_events WHERE id = :id")

    def head(self) -> Position:
        return Position(self._database.read(self._head)[0])

    def has_passed(self, position: Position, other: Position) -> bool:
        return position.stored >= other.stored

    def after(self, position: Position, *, limit: int) -> list[Event]:
        return wire.decode_events(self._database.read(self._after, after=position.stored, limit=limit)[0])[0]

    def latest(self, *, before: Position | None = None, limit: int) -> list[Event]:
        end = _END if before is None else before.stored
        return wire.decode_events(self._database.read(self._latest, before=end, limit=limit)[0])[0]

    def of_session(self, session_key: str, *, limit: int = _LIMIT, after: Position = START) -> list[Event]:
        values = {"key": wire.clean(session_key), "limit": limit, "after": after.stored}
        return wire.decode_events(self._database.read(self._of_session, **values)[0])[0]

    def timeline(self, session_key: str, *, after: Position = START, limit: int = 200) -> Timeline:
        events = self.of_session(session_key, limit=limit + 1, after=after)
        page = events[:limit]
        return Timeline(
            events=tuple(page),
            following=page[-1].position if len(events) > limit else None,
            total=self._database.read(self._total, key=wire.clean(session_key))[0],
        )

    def place_of(self, event_id: str) -> EventPlace | None:
        row = self._database.read(self._place_of, id=wire.clean(event_id))
        return EventPlace(row[0], Position(row[1]), Position(row[1] - 1)) if row else None
