"""The overview of a filter: figures and series of the sessions that match, read from these or a sample, not from rollups."""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Final

import msgspec

from sojourn.stores.database import Database

from .model import Figures, Filter, Point, Span
from .rollup_figures import SessionFacts, is_bounce, is_visit, median, point_of
from .sampling import select
from .statements import SESSION_FACTS

_READ: Final = 6_000
"""Of about so many matching sessions the figures are made, or of a few more."""
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
            cookieless=sum(each.is_cookieless for each in facts) * number,
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
        selection = select(self._database, where, span, started, most=_READ)
        row = d.array(*SESSION_FACTS, "s.started_at")
        statement = f"SELECT {d.rows.format(row)} FROM {selection.tables}"
        facts = _facts.decode(self._database.read(statement, **selection.values)[0])
        facts.sort(key=_START)
        return Matches(facts, selection.one_in)
