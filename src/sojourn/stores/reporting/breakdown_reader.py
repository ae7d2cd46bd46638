"""Reads breakdowns: what was counted for whole hours, days and blocks of days, and what has to be counted now.

Their tables are stored beside their rollups, and count only with the token of these.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from sojourn.stores import wire
from sojourn.stores.database import Database

from .breakdowns import (
    BREAKDOWNS,
    KEPT_OF_BLOCK,
    KEPT_VALUES,
    Table,
    add,
    most,
    tables_of,
)
from .breakdowns_sql import BreakdownStatements
from .levels import BLOCK, DAY, HOUR, Level, cover
from .model import HOUR_MS, Breakdowns, Span
from .visit_reader import VisitReader

_tables: Final = msgspec.json.Decoder(list[tuple[str, int, Table]])
_table: Final = msgspec.json.Encoder()


class BreakdownReader:
    """Counts visits from the database, and keeps what was counted for whole hours and days."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = BreakdownStatements(database.dialect)
        self._visits = VisitReader(database)

    # --- rollups

    def counted(self, since: int, until: int, names: Collection[str]) -> dict[str, Table]:
        """Count the sessions that started from `since` until before `until`."""
        with_events = any(BREAKDOWNS[name].reads_events for name in names)
        return tables_of(self._visits.started(since, until, with_events=with_events), names)

    def of_parts(self, level: Level, at: int) -> dict[str, Table]:
        """Add up the stored hours of a day, or the days of a block."""
        tables: dict[str, Table] = {name: {} for name in BREAKDOWNS}
        parts = DAY if level is BLOCK else HOUR
        for by_name in self._stored(tables, parts, at, at + level.width).values():
            _add_all(tables, by_name)
        return tables

    def keeping(self, level: Level, tables: Mapping[str, Table]) -> tuple[tuple[str, ...], Mapping[str, object]]:
        """Return the statements that store tables beside the rollup `id` of this `token`, and their values."""
        kept = KEPT_OF_BLOCK if level is BLOCK else KEPT_VALUES
        rows = [(name, _table.encode(most(table, kept)).decode()) for name, table in tables.items()]
        return (self._sql.forget, self._sql.keep), {"breakdowns": _table.encode(rows).decode()}

    def _stored(self, names: Iterable[str], level: Level, since: int, until: int) -> dict[int, dict[str, Table]]:
        """Return the stored tables of a level, by the start of what they cover."""
        found: dict[int, dict[str, Table]] = {}
        values = {"names": wire.encode(list(names)), "ids": wire.encode(level.ids(since, until))}
        for name, number, table in _tables.decode(self._text(self._sql.stored, **values)):
            found.setdefault(number - level.number, {})[name] = table
        return found

    def _covering(self, names: Collection[str], since: int, until: int) -> Iterator[tuple[range, dict[str, Table]]]:
        """Yield the stored tables of a span, each with the hours that it covers."""
        read: dict[tuple[Level, int], dict[str, Table]] = {}

        def stored(level: Level, first: int, last: int) -> Collection[int]:
            found = self._stored(names, level, first, last)
            read.update({(level, at): tables for at, tables in found.items()})
            return found

        for level, at in cover(since, until, stored):
            yield range(at, at + level.width, HOUR_MS), read.pop((level, at))

    def first_starts(self, span: Span, missing: Iterable[int]) -> dict[str, int]:
        """Return the hour in which each version of the app was first seen in a span. `missing`: hours without a rollup."""
        first, last = span.since // HOUR_MS * HOUR_MS, -(-span.until // HOUR_MS) * HOUR_MS
        found = [
            (hours, tables["releases"])
            for hours, tables in self._covering(["releases"], first, last)
            if "releases" in tables
        ]
        for level in (DAY, HOUR):  # to the day, then to the hour
            first_seen = set(_earliest(found).values())
            coarse = [hours for hours, _ in found if hours[0] in first_seen and len(hours) * HOUR_MS > level.width]
            for hours in coarse:
                finer = self._stored(["releases"], level, hours[0], hours[-1] + HOUR_MS)
                if finer:
                    found = [each for each in found if each[0] != hours]
                    found += [
                        (range(at, at + level.width, HOUR_MS), tables["releases"]) for at, tables in finer.items()
                    ]
        found += [
            (range(hour, hour + HOUR_MS, HOUR_MS), self.counted(hour, hour + HOUR_MS, ["releases"])["releases"])
            for hour in missing
        ]
        return _earliest(found)

    # --- a span

    def of_span(self, span: Span, names: Sequence[str], missing: Mapping[int, int], at_once: int) -> Breakdowns:
        """Return the tables of all sessions of a span.

        `missing`: hours without a rollup, and how many sessions started in them; some hours, up to `at_once` sessions, are
        counted now.
        """
        first, last = HOUR.inside(span.since, span.until)
        tables: dict[str, Table] = {name: {} for name in names}
        known: set[int] = set()
        for hours, stored in self._covering(names, first, last):
            known.update(hours)
            _add_all(tables, stored)
        left, pending = at_once, 0
        for hour in sorted(missing.keys() - known, reverse=True):
            if not first <= hour < last:
                continue
            if missing[hour] > left and left < at_once:
                pending += missing[hour]
                continue
            left -= missing[hour]
            _add_all(tables, self.counted(hour, hour + HOUR_MS, names))
        for since, until in HOUR.outside(span.since, span.until):
            _add_all(tables, self.counted(since, until, names))
        return Breakdowns(tables=tables, pending=pending)

    def _text(self, statement: str, **values: object) -> str:
        text: str = self._database.read(statement, **values)[0]
        return text


def _earliest(found: Iterable[tuple[range, Table]]) -> dict[str, int]:
    starts: dict[str, int] = {}
    for hours, table in found:
        for version in table:
            starts[version] = min(starts.get(version, hours[0]), hours[0])
    return starts


def _add_all(tables: Mapping[str, Table], others: Mapping[str, Table]) -> None:
    for name, table in others.items():
        add(tables[name], table)
