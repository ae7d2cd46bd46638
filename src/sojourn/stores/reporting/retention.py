"""Retention: of those who first came in a week, how many came again in each week after it. In any database.

A visitor is a browser with our cookie, whose id is drawn at random. Who has none is known for a day, and left out. In a
store of very many sessions only ids below a bound are read: a fair sample of the visitors, and one range of an index. Users are
always all counted.
"""

# ruff: noqa: S608 - every part is written here; values are always parameters, and the edges of weeks are numbers of ours
from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Final

import msgspec

from sojourn.stores.database import Database
from sojourn.stores.dialect import Dialect
from sojourn.stores.model import VISITOR

from .calendar import edges
from .conversions_model import Cohort, Retention
from .filters_sql import sessions_where
from .model import Bucket, Filter, Span
from .rollup_figures import Sample
from .statements import PERSONS

ALL: Final = Filter()
_EACH: Final = 3
"""A session costs as much here as three in the overview."""
_cells: Final = msgspec.json.Decoder(list[tuple[int, int, int]])


class SQLRetention:
    """Part of the port `Conversions`."""

    def __init__(self, database: Database, about: Callable[[Span], int]) -> None:
        self._database = database
        self._about = about

    def retention(self, span: Span, *, kind: str = VISITOR, zone: tzinfo = UTC, where: Filter = ALL) -> Retention:
        weeks = edges(span, Bucket.WEEK, zone)
        sample = Sample()
        if kind == VISITOR:
            # Whoever came first in a week did not come before: all sessions up to now are looked at.
            sample = Sample.for_sessions(_EACH * self._about(Span(0, weeks[-1])))
        d = self._database.dialect
        conditions = sessions_where(d, where.conditions, where.text)
        by_cookie = "s.visitor_kind IS NULL" if kind == VISITOR else "1 = 1"
        text = self._database.read(
            _statement(d, PERSONS[kind], weeks, f"{conditions.sql} AND {by_cookie}"),
            **{**conditions.values, "until": weeks[-1], "below": sample.first_id_not},
        )[0]
        counts = [[0] * (len(weeks) - 1 - number) for number in range(len(weeks) - 1)]
        for cohort, week, count in _cells.decode(text):
            counts[cohort][week - cohort] = count * sample.one_in
        return Retention(
            cohorts=tuple(
                Cohort(since, until, tuple(each))
                for since, until, each in zip(weeks[:-1], weeks[1:], counts, strict=True)
            ),
            is_sampled=sample.one_in > 1,
        )


def _statement(d: Dialect, column: str, weeks: list[int], condition: str) -> str:
    """Count people by the week of their first session, and by the weeks of all their sessions."""
    return f"""
SELECT {d.rows.format(d.array("cohort", "week", "n"))} FROM (
    SELECT cohort, week, COUNT(*) AS n FROM (
        SELECT week, MIN(week) OVER (PARTITION BY who) AS cohort FROM (
            SELECT s.{column} AS who, {_week(weeks)} AS week FROM sojourn_sessions AS s
            WHERE s.{column} IS NOT NULL AND s.{column} < {d["below"]} AND s.started_at < {d["until"]} AND {condition}
            GROUP BY 1, 2) AS seen) AS placed
    WHERE cohort >= 0 GROUP BY cohort, week) AS counted
"""


def _week(edges: list[int], number: int = 0) -> str:
    """The number of the week in which session s started, -1 before the first: few comparisons for each session."""
    if not edges:
        return str(number - 1)
    middle = len(edges) // 2
    earlier, later = _week(edges[:middle], number), _week(edges[middle + 1 :], number + middle + 1)
    return f"CASE WHEN s.started_at < {edges[middle]} THEN {earlier} ELSE {later} END"
