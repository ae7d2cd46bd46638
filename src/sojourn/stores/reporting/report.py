"""Figures over many sessions, in any database."""

from __future__ import annotations

from typing import Final

import msgspec

from sojourn.core.events import Scalar
from sojourn.stores import wire
from sojourn.stores.database import Database
from sojourn.stores.model import SESSION, DataSubject

from .conversions import SQLConversions
from .event_properties import EventProperties
from .model import EVERYTHING, HOUR_MS, Companion, Filter, HourFigures, LongVisits, PersonDetail, Span
from .property_counts import EventFigures
from .rollups import Rollups
from .statements import Statements

_traits: Final = msgspec.json.Decoder(dict[str, Scalar])
_companions: Final = msgspec.json.Decoder(list[Companion])


class SQLReport:
    """The port `Report`."""

    def __init__(self, database: Database, rollups: Rollups, conversions: SQLConversions) -> None:
        self.overview = rollups.overview
        self.online = rollups.online
        self.releases = rollups.releases
        self.breakdowns = rollups.breakdowns
        self._rollups = rollups
        self._properties = EventProperties(database, conversions)
        self._database = database
        self._statements = Statements(database.dialect)

    def event(self, name: str, span: Span, where: Filter = EVERYTHING) -> EventFigures:
        return self._properties.of_event(name, span, where, started=self._rollups.started(span.since, span.until))

    def has_cookieless(self, span: Span) -> bool:
        return self._rollups.has_cookieless(span)

    def long_visits(self) -> LongVisits:
        latest, count, heartbeats, path, by_path = self._database.read(self._statements.long_visits)
        return LongVisits(
            latest=int(latest), count=int(count), heartbeats=int(heartbeats), path=path, by_path=int(by_path)
        )

    def hour_until(self, until: int) -> HourFigures:
        sessions, errors, is_recorded = self._database.read(
            self._statements.hour, since=max(0, until - HOUR_MS), until=max(0, until)
        )
        return HourFigures(int(sessions), int(errors), bool(is_recorded))

    def last_activity(self) -> int | None:
        latest: int | None = self._database.read(self._statements.last_activity)[0]
        return latest

    def person(self, subject: DataSubject) -> PersonDetail | None:
        if subject.kind == SESSION:
            return None
        row = self._database.read(self._statements.person(subject.kind), id=wire.clean(subject.id))
        name, traits, first, last, sessions, are_open, pages, events, errors, client_errors, duration, others, count = (
            row
        )
        if not sessions:
            return None
        return PersonDetail(
            person=subject,
            name=name,
            traits=None if traits is None else _traits.decode(traits),
            first_seen_at=first,
            last_seen_at=last,
            sessions=sessions,
            open_sessions=are_open,
            page_views=int(pages),
            events=int(events),
            errors=int(errors),
            client_errors=int(client_errors),
            duration_ms=max(0, int(duration)),
            others=tuple(_companions.decode(others)),
            other_count=int(count),
        )
