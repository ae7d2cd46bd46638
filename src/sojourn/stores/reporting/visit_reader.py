"""Reads visits: the sessions of a span or a filter, and their events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from sojourn.stores import wire
from sojourn.stores.database import Database

from .visits import EventFacts, Events, SessionFacts, Visit, WholeFacts, in_order
from .visits_sql import VisitStatements

# Not strict, because SQLite returns 0 and 1 for a bool.
_sessions: Final = msgspec.json.Decoder(list[SessionFacts], strict=False)
_whole: Final = msgspec.json.Decoder(list[WholeFacts], strict=False)
_events: Final = msgspec.json.Decoder(list[EventFacts])


class VisitReader:
    """Reads them from any database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = VisitStatements(database.dialect)

    def started(self, since: int, until: int, *, with_events: bool) -> list[Visit]:
        """Return the visits that started from `since` until before `until`."""
        sessions = _sessions.decode(self._text(self._sql.sessions, {"since": since, "until": until}))
        events = self.events(since, until) if with_events and sessions else {}
        return [Visit(session, events.get(session.key, ())) for session in sessions]

    def whole(self, since: int, until: int) -> list[WholeFacts]:
        """Return all that a rollup needs of the sessions of a span."""
        return _whole.decode(self._text(self._sql.whole, {"since": since, "until": until}))

    def events(self, since: int, until: int) -> Events:
        """Return the events of the sessions that started in a span."""
        return in_order(_events.decode(self._text(self._sql.events, {"since": since, "until": until})))

    def among(self, tables: str, values: Mapping[str, object]) -> list[SessionFacts]:
        """Return the sessions AS s of these tables."""
        return _sessions.decode(self._text(self._sql.facts(tables), values))

    def events_of(self, keys: Sequence[str]) -> Events:
        """Return the events of these sessions."""
        return in_order(_events.decode(self._text(self._sql.events_of, {"keys": wire.encode(keys)})))

    def with_events(self, sessions: Sequence[SessionFacts]) -> list[Visit]:
        """Return these sessions as visits, their events with what breakdowns count."""
        keys = wire.encode([session.key for session in sessions])
        events = in_order(_events.decode(self._text(self._sql.counted_of, {"keys": keys}))) if sessions else {}
        return [Visit(session, events.get(session.key, ())) for session in sessions]

    def _text(self, statement: str, values: Mapping[str, object]) -> str:
        text: str = self._database.read(statement, **values)[0]
        return text
