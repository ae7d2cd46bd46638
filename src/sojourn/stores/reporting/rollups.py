"""The overview, from rollups and from the sessions of hours without one; and how rollups are made.

To make a rollup, its row is claimed first. A change of any session in its hour deletes that row (by a trigger), and then
the result is not stored. So no lock is held while sessions are counted, and a stored rollup is always right.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from itertools import pairwise
from typing import Final

import msgspec

from sojourn.stores import wire
from sojourn.stores.database import Database

from .breakdown_reader import BreakdownReader
from .breakdowns import BREAKDOWNS, Table, tables_of
from .calendar import edges
from .filtered import FilteredSessions
from .filtered_breakdowns import FilteredBreakdowns
from .levels import BLOCK, DAY, HOUR, Level, cover, gaps
from .model import EVERYTHING, HOUR_MS, Breakdowns, Bucket, Filter, Overview, Release, Span
from .rollup_figures import (
    ADDED,
    Rollup,
    Sample,
    SessionFigures,
    StoredRollup,
    Summed,
    Sums,
    buckets_of,
    packed,
    rollup_of,
    series_of,
)
from .statements import Statements
from .trails import Trails, WholeTrail, trail_of
from .visit_reader import VisitReader
from .visits import Visit

_COUNTED_AT_ONCE: Final = 5_000
"""How many sessions of hours without a rollup a page counts one by one."""
_ALWAYS_COUNTED: Final = 2
"""This many of the latest hours are always counted: they change too often for a rollup."""
_LOOKED_AT: Final = 48
"""This many of the latest hours without a rollup are looked at for versions."""
_ONE_BY_ONE: Final = 24
"""So many hours are counted one by one."""
_MANY: Final = 20_000
_MOST_HOURS: Final = 100_000
_SLICE: Final = 64
"""How many sessions are counted in about a quarter of a millisecond."""


_figures: Final = msgspec.json.Decoder(list[SessionFigures], strict=False)
_hours: Final = msgspec.json.Decoder(list[StoredRollup])
_counts: Final = msgspec.json.Decoder(list[tuple[int, int]])
_times: Final = msgspec.json.Decoder(list[int])


def _in_slices(sessions: Iterable[Summed]) -> Iterator[Summed]:
    """Let other threads run between slices: this may be an application's process, and an hour may have many sessions."""
    for number, each in enumerate(sessions):
        if number % _SLICE == 0:
            time.sleep(0)
        yield each


def _hour(at: int) -> int:
    return at // HOUR_MS * HOUR_MS


class Rollups:
    """The overview, and the rollups that make it quick."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = Statements(database.dialect)
        self.trails: Final = Trails(database)
        self._breakdowns = BreakdownReader(database)
        self._visits = VisitReader(database)
        self._filtered_breakdowns = FilteredBreakdowns(database)
        self._filtered = FilteredSessions(database)

    # --- the overview

    def overview(
        self,
        span: Span,
        where: Filter = EVERYTHING,
        *,
        bucket: Bucket,
        zone: tzinfo = UTC,
        online_since: int,
    ) -> Overview:
        points = edges(span, bucket, zone)
        before = span.before
        length = span.until - span.since
        past = [at - length for at in points] if before is not None and points[0] >= length else []
        whole = Span(span.since if before is None else before.since, span.until)
        online = self.online(since=online_since)
        if not where.is_everything:
            matches = self._filtered.matching(where, whole, self.about(whole))
            return Overview(
                online=online,
                span=span,
                figures=matches.figures(span),
                before=None if before is None else matches.figures(before),
                series=matches.series(points, span),
                series_before=matches.series(past, span if before is None else before),
                is_sampled=matches.one_in > 1,
            )
        around = Span(_hour(whole.since), _hour(whole.until + HOUR_MS - 1))
        missing = set(self.missing_hours(around))
        cut, parts = self._cut(whole, (span.since, *points, *past))
        counted, pending = self._counted(missing - cut)
        counted += parts
        sample = Sample.for_sessions(
            self.rolled_up(around) + sum(each.sessions for each in counted if _hour(each.at) in missing)
        )
        hours: list[Rollup | StoredRollup] = [hour for hour in self._stored(around, sample) if hour.at not in cut]
        known = {hour.at for hour in hours}
        hours += [hour for hour in counted if hour.at not in known]  # it may just have been rolled up
        hours.sort(key=lambda hour: hour.at)
        inside = [hour for hour in hours if hour.at >= span.since]
        outside = hours[: len(hours) - len(inside)]
        buckets = buckets_of(inside, points, sample)
        buckets_before = buckets_of(outside, past or (0, span.since), sample)
        return Overview(
            online=online,
            span=span,
            figures=Sums.total(buckets).figures(sample),
            before=Sums.total(buckets_before).figures(sample) if before is not None else None,
            series=series_of(buckets, points, sample),
            series_before=series_of(buckets_before, past, sample),
            is_sampled=sample.one_in > 1,
            pending=pending,
        )

    def breakdowns(self, span: Span, names: Sequence[str], where: Filter | None = None) -> Breakdowns:
        if where is not None and not where.is_everything:
            return self._filtered_breakdowns.of_filter(where, span, names, self.about(span))
        missing = self.started_by_hour(self.missing_hours(span))
        return self._breakdowns.of_span(span, names, missing, _COUNTED_AT_ONCE)

    def releases(self, span: Span) -> tuple[Release, ...]:
        before = span.before
        whole = Span(span.since if before is None else before.since, span.until)
        latest = sorted(self.missing_hours(whole))[-_LOOKED_AT:]
        starts = self._breakdowns.first_starts(whole, latest)
        begun = min(starts.values(), default=0)
        releases = [Release(version, at) for version, at in starts.items() if at > begun and at >= span.since]
        return tuple(sorted(releases, key=lambda release: (release.at, release.version)))

    def online(self, *, since: int) -> int:
        seen: int = self._database.read(self._statements.online, since=since)[0]
        return seen

    def has_cookieless(self, span: Span) -> bool:
        return bool(
            self._database.read(
                self._statements.has_cookieless,
                hour=_hour(span.since),
                counted=max(span.since, _hour(span.until) - _ALWAYS_COUNTED * HOUR_MS),
                until=span.until,
            )[0]
        )

    def missing_hours(self, span: Span) -> list[int]:
        """Return the hours of a span in which sessions started, and that no rollup covers."""
        # A day has a rollup only while all its hours have one.
        covered = cover(span.since, span.until, self._rolled_up, (BLOCK, DAY))
        return [at for gap in gaps(span.since, span.until, covered) for at in self._missing(HOUR, Span(*gap))]

    def rolled_up(self, span: Span) -> int:
        """Return about how many sessions started in a span: those of its hours that have a rollup. Cheap for long spans."""
        return int(self._database.read(self._statements.rolled_up_sessions, since=span.since, until=span.until)[0])

    def started(self, since: int, until: int, *, limit: int = 2**31) -> int:
        """Return how many sessions started from `since` until before `until`, up to a limit."""
        count: int = self._database.read(self._statements.started, since=since, until=until, limit=limit)[0]
        return count

    def started_by_hour(self, hours: Iterable[int]) -> dict[int, int]:
        """Return how many sessions started in each of some hours: of many, as after an upgrade, all are read together."""
        hours = sorted(hours)
        if len(hours) <= _ONE_BY_ONE:
            return {at: self.started(at, at + HOUR_MS) for at in hours}
        text = self._text(self._statements.started_by_hour, since=hours[0], until=hours[-1] + HOUR_MS)
        counts = dict(_counts.decode(text))
        return {at: counts.get(at, 0) for at in hours}

    def about(self, span: Span) -> int:
        """Return how many sessions started in a span: exactly if they are few, else about, without counting them."""
        few = self.started(span.since, span.until, limit=_MANY)
        if few < _MANY:
            return few
        known = self.rolled_up(span)
        return known if known > few else self.started(span.since, span.until)

    def to_count(self, hours: Iterable[int]) -> tuple[list[int], int]:
        """Choose which hours without a rollup are counted now, latest first; return how many sessions are left out, too."""
        counted: list[int] = []
        sessions = pending = 0
        for at, here in sorted(self.started_by_hour(hours).items(), reverse=True):
            if len(counted) >= _ALWAYS_COUNTED and sessions + here > _COUNTED_AT_ONCE:
                pending += here
                continue
            sessions += here
            counted.append(at)
        return counted, pending

    def _rolled_up(self, level: Level, since: int, until: int) -> list[int]:
        ids = wire.encode(level.ids(since, until))
        return [number - level.number for number in _times.decode(self._text(self._statements.finished, ids=ids))]

    def _missing(self, level: Level, span: Span, limit: int = _MOST_HOURS) -> list[int]:
        return _times.decode(
            self._text(self._statements.missing(level), since=span.since, until=span.until, limit=limit)
        )

    def _counted(self, hours: Iterable[int]) -> tuple[list[Rollup], int]:
        """Roll up hours without storing them, latest first; return how many sessions were left out, too."""
        counted, pending = self.to_count(hours)
        return [self._rollup(at) for at in counted], pending

    def _cut(self, whole: Span, points: Iterable[int]) -> tuple[set[int], list[Rollup]]:
        """Roll up the parts of hours in which a span or a bucket begins or ends; return these hours, too."""
        at_hour: dict[int, set[int]] = {}
        for cut in (whole.since, whole.until, *points):
            if cut % HOUR_MS and whole.since <= cut <= whole.until:
                at_hour.setdefault(_hour(cut), set()).add(cut)
        parts: list[Rollup] = []
        for hour, inner in at_hour.items():
            for since, until in pairwise((hour, *sorted(inner), hour + HOUR_MS)):
                if whole.since <= since and until <= whole.until:
                    parts.append(self._rollup(since, until))
        return set(at_hour), parts

    def _rollup(self, at: int, until: int | None = None) -> Rollup:
        """Roll up an hour, or a part of one."""
        span = {"since": at, "until": at + HOUR_MS if until is None else until}
        sessions = _figures.decode(self._text(self._statements.figures, **span))
        return rollup_of(at, _in_slices(sessions), self._database.store_key())

    def _stored(self, span: Span, sample: Sample) -> list[StoredRollup]:
        text = self._text(self._statements.hours, since=span.since, until=span.until, one_in=sample.one_in)
        return _hours.decode(text)

    # --- rollups

    def roll_up(self, *, finished_before: int, limit: int) -> int:
        until = finished_before // HOUR_MS * HOUR_MS
        if until <= 0:
            return 0
        hours = self._missing(HOUR, Span(0, until), limit)
        kept = 0
        for at in hours:
            token = self._claimed(at)
            kept += self._keep(HOUR, token, *self._whole_hour(at))
        left = limit - len(hours)
        for level, parts in ((DAY, HOUR), (BLOCK, DAY)):
            if left > 0 and until >= level.width:
                made = self._roll_up_parts(level, parts, until, left)
                kept, left = kept + made, left - made
        return kept

    def _whole_hour(self, at: int) -> tuple[Rollup, Mapping[str, Table], WholeTrail]:
        """Read an hour's sessions and events once, for all that is counted of them."""
        sessions = self._visits.whole(at, at + HOUR_MS)
        events = self._visits.events(at, at + HOUR_MS)
        key = self._database.store_key()
        visits = [Visit(session, events.get(session.key, ())) for session in sessions]
        return (
            rollup_of(at, _in_slices(sessions), key),
            tables_of(visits, BREAKDOWNS),
            trail_of(at, sessions, events, key),
        )

    def _roll_up_parts(self, level: Level, parts: Level, until: int, limit: int) -> int:
        """Roll up days whose hours all are, or blocks whose days are."""
        kept = 0
        for at in self._missing(level, Span(0, until // level.width * level.width), limit):
            token = self._claimed(at + level.number)
            if not self._missing(parts, Span(at, at + level.width), 1):
                tables, trail = self._breakdowns.of_parts(level, at), self.trails.of_parts(level, at)
                sessions = 0 if trail is None else len(trail.keys)
                kept += self._keep(level, token, Rollup(at=at, sessions=sessions), tables, trail)
        return kept

    def _claimed(self, number: int) -> str:
        token = secrets.token_hex(8)
        claim = (*self._database.dialect.alone, self._statements.claim)
        self._database.write(lambda work: work.execute(*claim, id=number, token=token))
        return token

    def _keep(
        self, level: Level, token: str, rollup: Rollup, tables: Mapping[str, Table], trail: WholeTrail | None
    ) -> bool:
        values: dict[str, object] = {name: getattr(rollup, name) for name in ADDED}
        values |= {name: packed(getattr(rollup, name)) for name in ("users", "firsts", "durations", "visitors")}
        more, rows = self._breakdowns.keeping(level, tables)
        statements: tuple[str, ...] = (self._statements.finish, *more)
        values |= rows
        if trail is not None:
            more, rows = self.trails.keeping(trail)
            statements += more
            values |= rows
        finished, *_ = self._database.write(
            lambda work: work.execute(*statements, id=rollup.at + level.number, token=token, **values)
        )
        return bool(finished.rows)

    def _text(self, statement: str, **values: object) -> str:
        text: str = self._database.read(statement, **values)[0]
        return text
