"""Goals and funnels of a span, from the trails of its hours."""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from sojourn.core.goals import Step
from sojourn.stores import wire
from sojourn.stores.database import Database
from sojourn.stores.dimensions import NAMES

from .conversions_model import FunnelFigures, GoalCount, GoalFigures
from .filters_sql import sessions_where
from .funnels import count_sessions, count_visitors, visitors_of
from .model import HOUR_MS, Filter, Span
from .retention import SQLRetention
from .rollups import Rollups
from .trails import SESSION_BITS, Trail

_COUNTED_AT_ONCE: Final = 5_000
"""How many sessions of hours without a rollup are counted one by one."""
_ALWAYS_COUNTED: Final = 2
ALL: Final = Filter()
_counts: Final = msgspec.json.Decoder(list[tuple[str | None, int]])


class SQLConversions:
    """The port `Conversions`."""

    def __init__(self, database: Database, rollups: Rollups) -> None:
        self._database = database
        self._rollups = rollups
        self._trails = rollups.trails
        self.retention = SQLRetention(database).retention

    def goals(self, span: Span, steps: Sequence[Step], *, where: Filter = ALL) -> GoalFigures:
        trails, pending = self._of(span, steps, where, with_visitors=True)
        return GoalFigures(
            sessions=sum(trail.sessions for trail in trails),
            visitors=len(visitors_of(trails)),
            goals=tuple(_count(trails, step) for step in steps),
            pending=pending,
        )

    def funnel(
        self, span: Span, steps: Sequence[Step], *, by_visitor: bool = False, where: Filter = ALL
    ) -> FunnelFigures:
        trails, pending = self._of(span, steps, where, with_visitors=by_visitor)
        figures = count_visitors(trails, steps) if by_visitor else count_sessions(trails, steps)
        return msgspec.structs.replace(figures, pending=pending)

    def sessions(self, span: Span, step: Step, *, where: Filter = ALL) -> list[str]:
        trails, _ = self._of(span, (step,), where, with_keys=True)
        return [trail.keys[number] for trail in trails for number in {hit >> SESSION_BITS for hit in trail.hits[step]}]

    def by_value(self, keys: Sequence[str], dimension: str) -> dict[str, int]:
        if dimension not in NAMES:
            msg = f"{dimension!r} is no dimension of a session; use one of {', '.join(NAMES)}"
            raise ValueError(msg)
        d = self._database.dialect
        statement = f"""
SELECT {d.rows.format(d.array("value", "n"))} FROM (
    SELECT {dimension} AS value, COUNT(*) AS n FROM sojourn_sessions
    WHERE {d.among.format("key", d["keys"])} AND {dimension} IS NOT NULL GROUP BY {dimension}) AS counted
"""
        text = self._database.read(statement, keys=wire.encode(list(keys)))[0]
        return {value: count for value, count in _counts.decode(text) if value is not None}

    def _of(
        self,
        span: Span,
        steps: Sequence[Step],
        where: Filter,
        *,
        with_visitors: bool = False,
        with_keys: bool = False,
    ) -> tuple[list[Trail], int]:
        """Return the trails of a span in order of time, and how many sessions were left out."""
        begin, end = -(-span.since // HOUR_MS) * HOUR_MS, span.until // HOUR_MS * HOUR_MS
        chosen = None if where.is_everything else self._chosen(span, where)
        found: dict[int, Trail] = {}
        pending = counted = 0
        if begin < end:
            whole = Span(begin, end)
            missing = set(self._rollups.missing_hours(whole))
            found = self._trails.stored(
                begin, end, steps, with_visitors=with_visitors, with_keys=with_keys or chosen is not None
            )
            # What was rolled up, or changed, between these reads stands in one of the two.
            missing |= set(self._rollups.missing_hours(whole))
            for number, at in enumerate(sorted(missing - found.keys(), reverse=True)):
                here = self._rollups.started(at, at + HOUR_MS)
                if number >= _ALWAYS_COUNTED and counted + here > _COUNTED_AT_ONCE:
                    pending += here
                    continue
                counted += here
                found[at] = self._trails.made(at, at + HOUR_MS).of(steps)
        for since, until in _cut(span, begin, end):
            found[since] = self._trails.made(since, until).of(steps)
        trails = [found[at] for at in sorted(found)]
        if chosen is not None:
            for trail in trails:
                trail.keep({number for number, key in enumerate(trail.keys) if key in chosen})
        return trails, pending

    def _chosen(self, span: Span, where: Filter) -> set[str]:
        """Return the keys of the sessions of a filter."""
        d = self._database.dialect
        conditions = sessions_where(d, where.conditions, where.text)
        statement = f"""
SELECT {d.rows.format("s.key")} FROM sojourn_sessions AS s
WHERE s.started_at >= {d["since"]} AND s.started_at < {d["until"]} AND {conditions.sql}
"""
        values = {**conditions.values, "since": span.since, "until": span.until}
        return set(wire.decode_names(self._database.read(statement, **values)[0]))


def _cut(span: Span, begin: int, end: int) -> list[tuple[int, int]]:
    """Return the parts of hours at the ends of a span."""
    if begin > end:
        return [(span.since, span.until)]
    parts = ((span.since, begin), (end, span.until))
    return [(since, until) for since, until in parts if since < until]


def _count(trails: Sequence[Trail], step: Step) -> GoalCount:
    hits = sessions = 0
    visitors: set[int] = set()
    for trail in trails:
        of_step = trail.hits[step]
        numbers = {hit >> SESSION_BITS for hit in of_step}
        hits += len(of_step)
        sessions += len(numbers)
        visitors.update([trail.visitors[number] for number in numbers])
    return GoalCount(hits=hits, sessions=sessions, visitors=len(visitors))
