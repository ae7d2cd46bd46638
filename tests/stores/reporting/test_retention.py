"""Retention equals that of counting one by one, in both databases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sojourn.stores import Store
from sojourn.stores.model import USER, VISITOR, Batch
from sojourn.stores.reporting import rollup_figures
from sojourn.stores.reporting.model import DAY_MS, Span
from tests.stores.contract.steps import NOW, row, save

from .test_conversions import Opened, opened

__all__ = ["opened"]

WEEK = 7 * DAY_MS
ZONES = ["UTC", "Europe/Vienna", "America/St_Johns"]
SESSIONS = st.lists(
    st.tuples(st.integers(0, 40 * 24), st.integers(0, 5), st.sampled_from([None, "anna", "ben"])), max_size=20
)


def record(store: Store, sessions: Sequence[tuple[int, int, str | None]]) -> None:
    rows = []
    for number, (hour, visitor, user) in enumerate(sessions):
        made = row(f"k{number}", NOW + hour * 3_600_000 + number)
        made.visitor_id, made.user_id = f"v{visitor}", user
        rows.append(made)
    save(store, Batch(rows=rows))


def monday(at: int, zone: ZoneInfo) -> int:
    day = datetime.fromtimestamp(at / 1000, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    day = (day - timedelta(days=day.weekday())).replace(tzinfo=zone)
    return round(day.timestamp() * 1000)


def counted(people: Sequence[tuple[str, int]], weeks: Sequence[int], zone: ZoneInfo) -> list[list[int]]:
    """By the week of the first session: how many came in it, and in each week after it."""
    came: dict[str, set[int]] = {}
    for who, at in people:
        came.setdefault(who, set()).add(monday(at, zone))
    return [
        [sum(min(each) == first and week in each for each in came.values()) for week in weeks[number:]]
        for number, first in enumerate(weeks)
    ]


@given(sessions=SESSIONS, first=st.integers(0, 20), zone=st.sampled_from(ZONES))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_retention_equals_that_of_counting_one_by_one(
    opened: Opened, sessions: list[tuple[int, int, str | None]], first: int, zone: str
) -> None:
    store = opened()
    store.open()
    try:
        record(store, sessions)
        span = Span(NOW + first * DAY_MS, NOW + 41 * DAY_MS)
        where = ZoneInfo(zone)
        for kind in (VISITOR, USER):
            found = store.conversions.retention(span, kind=kind, zone=where)
            people = [
                (who, NOW + hour * 3_600_000 + number)
                for number, (hour, visitor, user) in enumerate(sessions)
                if (who := f"v{visitor}" if kind == VISITOR else user) is not None
            ]
            weeks = [cohort.since for cohort in found.cohorts]
            assert weeks[0] == monday(span.since, where)
            assert [list(cohort.counts) for cohort in found.cohorts] == counted(people, weeks, where)
            assert not found.is_sampled
    finally:
        store.close()


def test_visitors_of_a_large_store_are_counted_in_a_sample(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup_figures, "SAMPLED_ABOVE", 300)
    store = opened()
    store.open()
    rows = []
    for number in range(800):
        made = row(f"k{number}", NOW)
        made.visitor_id = f"{number * 0x51EB851 % 2**32:08x}-0000-4000-8000-000000000000"
        made.user_id = f"user {number}"
        rows.append(made)
    save(store, Batch(rows=rows))
    span = Span(NOW, NOW + 1)
    visitors = store.conversions.retention(span, zone=UTC)
    assert visitors.is_sampled
    assert abs(visitors.cohorts[0].counts[0] - 800) < 80
    users = store.conversions.retention(span, kind=USER, zone=UTC)
    assert (users.is_sampled, users.cohorts[0].counts) == (False, (800,))
    store.close()
