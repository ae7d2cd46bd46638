"""Reads breakdowns: what was counted for whole hours and days, and what has to be counted now.

Tables of whole hours and days are stored beside their rollups, and count only with the token of these.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Final

import msgspec

from sojourn.stores.database import Database

from .breakdowns import BREAKDOWNS, EventFacts, SessionFacts, Table, Visit, add, breakdown_of, most
from .breakdowns_sql import BreakdownStatements
from .model import DAY_MS, HOUR_MS, Breakdowns, Span

_ORDER: Final = attrgetter("time")

_sessions: Final = msgspec.json.Decoder(list[SessionFacts], strict=False)
_events: Final = msgspec.json.Decoder(list[EventFacts])
_tables: Final = msgspec.json.Decoder(list[tuple[int, Table]])
_table: Final = msgspec.json.Encoder()


class BreakdownReader:
    """Counts visits from the database, and keeps what was counted for whole hours and days."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = BreakdownStatements(database.dialect)

    # --- rollups

    def counted(self, since: int, until: int, names: Collection[str] = BREAKDOWNS.keys()) -> dict[str, Table]:
        """Count the sessions that started from `since` until before `until`."""
        breakdowns = [BREAKDOWNS[name] for name in names]
        sessions = _sessions.decode(self._text(self._sql.sessions(), since=since, until=until))
        events: list[EventFacts] = []
        if sessions and any(breakdown.reads_events for breakdown in breakdowns):
            events = _events.decode(self._text(self._sql.events, since=since, until=until))
        visits = list(visits_of(sessions, events))
        return {breakdown.name: breakdown_of(visits, breakdown) for breakdown in breakdowns}

    def of_day(self, at: int) -> dict[str, Table]:
        """Add up the stored hours of a day."""
        tables: dict[str, Table] = {}
        for name in BREAKDOWNS:
            tables[name] = {}
            for _, table in self.stored(name, at, at + DAY_MS, beside=0):
                add(tables[name], table)
        return tables

    def keeping(self, tables: Mapping[str, Table]) -> tuple[tuple[str, ...], Mapping[str, object]]:
        """Return the statements that store tables beside the rollup `id` of this `token`, and their values."""
        rows = [(name, _table.encode(most(table)).decode()) for name, table in tables.items()]
        return (self._sql.forget, self._sql.keep), {"breakdowns": _table.encode(rows).decode()}

    def stored(self, name: str, since: int, until: int, *, beside: int) -> list[tuple[int, Table]]:
        """Return the stored tables of hours (`beside` 0) or days (1) that begin in a span."""
        text = self._text(self._sql.stored, name=name, since=since, until=until + beside, beside=beside)
        return _tables.decode(text)

    def first_starts(self, span: Span, missing: Iterable[int]) -> dict[str, int]:
        """Return the hour in which each version of the app was first seen in a span. `missing`: hours without a rollup."""
        first, last = span.since // HOUR_MS * HOUR_MS, -(-span.until // HOUR_MS) * HOUR_MS
        found = [(min(hours), table) for hours, table in self._stored("releases", first, last)]
        found += [(hour, self.counted(hour, hour + HOUR_MS, ["releases"])["releases"]) for hour in missing]
        days = {at // DAY_MS * DAY_MS for at in _earliest(found).values()}
        for day in days:  # to the hour
            hours = self.stored("releases", day, day + DAY_MS, beside=0)
            if hours:
                found = [(at, table) for at, table in found if at != day] + hours
        return _earliest(found)

    # --- a span

    def of_span(self, span: Span, names: Sequence[str], missing: Mapping[int, int], at_once: int) -> Breakdowns:
        """Return the tables of all sessions of a span.

        `missing`: hours without a rollup, and how many sessions started in them; some hours, up to `at_once` sessions, are
        counted now.
        """
        first, last = -(-span.since // HOUR_MS) * HOUR_MS, span.until // HOUR_MS * HOUR_MS
        tables: dict[str, Table] = {name: {} for name in names}
        known: set[int] = set()
        for name in names:
            for hours, table in self._stored(name, first, last):
                known.update(hours)
                add(tables[name], table)
        left, pending = at_once, 0
        for hour in sorted(missing.keys() - known, reverse=True):
            if not first <= hour < last:
                continue
            if missing[hour] > left and left < at_once:
                pending += missing[hour]
                continue
            left -= missing[hour]
            _add_all(tables, self.counted(hour, hour + HOUR_MS, names))
        edges = (
            [(span.since, min(first, span.until)), (max(last, span.since), span.until)]
            if first <= last
            else [(span.since, span.until)]
        )
        for since, until in edges:
            if since < until:
                _add_all(tables, self.counted(since, until, names))
        return Breakdowns(tables=tables, pending=pending)

    def _stored(self, name: str, first: int, last: int) -> Iterator[tuple[Iterable[int], Table]]:
        """The stored tables of whole days, and of the other hours, each with its hours."""
        first_day, last_day = -(-first // DAY_MS) * DAY_MS, last // DAY_MS * DAY_MS
        days = dict(self.stored(name, first_day, last_day, beside=1)) if first_day < last_day else {}
        for at, table in days.items():
            yield range(at, at + DAY_MS, HOUR_MS), table
        since = first
        for at in [*sorted(days), last]:
            if since < at:
                for hour, table in self.stored(name, since, at, beside=0):
                    yield (hour,), table
            since = at + DAY_MS

    def _text(self, statement: str, **values: object) -> str:
        text: str = self._database.read(statement, **values)[0]
        return text


def visits_of(sessions: Iterable[SessionFacts], events: Iterable[EventFacts]) -> Iterator[Visit]:
    """Bring sessions and their events together."""
    by_session: dict[str, list[EventFacts]] = {}
    for event in events:
        by_session.setdefault(event.session_key, []).append(event)
    for session in sessions:
        yield Visit(session, sorted(by_session.get(session.key, ()), key=_ORDER))


def _earliest(found: Iterable[tuple[int, Table]]) -> dict[str, int]:
    starts: dict[str, int] = {}
    for at, table in found:
        for version in table:
            starts[version] = min(starts.get(version, at), at)
    return starts


def _add_all(tables: Mapping[str, Table], others: Mapping[str, Table]) -> None:
    for name, table in others.items():
        add(tables[name], table)
