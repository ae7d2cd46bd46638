"""The overview of a filter: figures and series of the sessions that match, read from them instead of from rollups.

Of many sessions a sample is read: those of the visitors whose ids are below a bound. Ids are random hexadecimal digits, so
that is a fair sample of the visitors, with all their sessions, and one range of an index. Where few of the sample match, it
would say little, and all sessions are read.
"""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Final

import msgspec

from sojourn.stores.database import Database

from .filters_sql import Conditions, sessions_where
from .model import Figures, Filter, Point, Span
from .rollup_figures import SessionFacts, is_bounce, is_visit, median, point_of
from .statements import SESSION_FACTS

_EXAMINED: Final = 40_000
"""Of more sessions than this, a sample is read."""
_FEW: Final = 500
"""Fewer matches than this in a sample say too little."""
_PREFIXES: Final = 2**32
_START: Final = attrgetter("started_at")


class Facts(SessionFacts, array_like=True, frozen=True, gc=False):
    """What the figures of a filter read of a session."""

    started_at: int


_facts: Final = msgspec.json.Decoder(list[Facts], strict=False)


class Matches:
    """Sessions in the order of their start: all that match, or one in so many."""

    def __init__(self, facts: Sequence[Facts], one_in: int) -> None:
        self._facts = facts
        self.one_in: Final = one_in

    def figures(self, span: Span) -> Figures:
        return self._figures(span.since, span.until)

    def _figures(self, since: int, until: int) -> Figures:
        facts = self._between(since, until)
        number = self.one_in
        return Figures(
            sessions=len(facts) * number,
            visitors=len({each.visitor_id for each in facts}) * number,
            new_visitors=len({each.visitor_id for each in facts if each.is_first}) * number,
            users=len({each.user_id for each in facts if each.user_id is not None}) * number,
            visits=sum(is_visit(each) for each in facts) * number,
            bounces=sum(is_bounce(each) for each in facts) * number,
            error_sessions=sum(each.errors > 0 for each in facts) * number,
            client_error_sessions=sum(each.client_errors > 0 for each in facts) * number,
            page_views=sum(each.page_views for each in facts) * number,
            median_ms=median(sorted(each.duration_ms for each in facts)),
            mean_ms=sum(each.duration_ms for each in facts) // len(facts) if facts else None,
        )

    def series(self, edges: Sequence[int], span: Span) -> tuple[Point, ...]:
        """The buckets between these edges, with the sessions of a span."""
        return tuple(
            point_of(start, until, self._figures(max(start, span.since), min(until, span.until)))
            for start, until in pairwise(edges)
        )

    def _between(self, since: int, until: int) -> Sequence[Facts]:
        first, last = (bisect_left(self._facts, at, key=_START) for at in (since, until))
        return self._facts[first:last]


class FilteredSessions:
    """Reads the sessions of a filter."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def matching(self, where: Filter, span: Span, started: int) -> Matches:
        """Return the sessions of a filter that started in a span, in which `started` did."""
        d = self._database.dialect
        conditions = sessions_where(d, where.conditions, where.text)
        one_in = 1
        while started > _EXAMINED * one_in:
            one_in *= 2
        facts = self._read(conditions, span, one_in)
        if one_in > 1 and len(facts) < _FEW:
            one_in = 1
            facts = self._read(conditions, span, one_in)
        facts.sort(key=_START)
        return Matches(facts, one_in)

    def _read(self, conditions: Conditions, span: Span, one_in: int) -> list[Facts]:
        d = self._database.dialect
        row = d.array(*SESSION_FACTS, "s.started_at")
        values: dict[str, object] = {**conditions.values, "since": span.since, "until": span.until}
        at = "s.started_at"
        sampled = ""
        if one_in > 1:
            at = "+s.started_at"  # read the index by visitor, not the one by start
            sampled = f"s.visitor_id < {d['below']} AND "
            values["below"] = f"{_PREFIXES // one_in:08x}"
        where = f"{sampled}{at} >= {d['since']} AND {at} < {d['until']} AND {conditions.sql}"
        statement = f"SELECT {d.rows.format(row)} FROM sojourn_sessions AS s WHERE {where}"
        return _facts.decode(self._database.read(statement, **values)[0])
