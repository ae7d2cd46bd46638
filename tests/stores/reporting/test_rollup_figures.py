"""Rollups: what they keep of an hour, and how exact a sample of them is."""

from __future__ import annotations

import random
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.stores.reporting.calendar import edges
from sojourn.stores.reporting.model import HOUR_MS, Bucket, Span
from sojourn.stores.reporting.rollup_figures import (
    Sample,
    SessionFigures,
    Sums,
    buckets_of,
    packed,
    rollup_of,
    series_of,
    unpacked,
)

KEY = b"k" * 32


def session_figures(number: int, visitor: str, **others: object) -> SessionFigures:
    values: dict[str, object] = {
        "key": f"k{number}",
        "visitor_id": visitor,
        "user_id": None,
        "is_first": False,
        "duration_ms": 0,
        "is_open": False,
        "page_views": 1,
        "tracked_events": 0,
        "errors": 0,
        "client_errors": 0,
        "is_cookieless": False,
    }
    return SessionFigures(**{**values, **others})  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 2**64 - 1)), st.lists(st.integers(0, 2**32 - 1)))
def test_numbers_come_back_as_they_were_packed(large: list[int], small: list[int]) -> None:
    assert list(unpacked("Q", packed(array("Q", large)).hex())) == large
    assert list(unpacked("I", packed(array("I", small)).hex().upper())) == small


def test_hashes_depend_on_the_key() -> None:
    one, two = (
        rollup_of(0, [session_figures(1, "anna", user_id="anna", is_first=True)], key) for key in (KEY, b"x" * 32)
    )
    assert set(one.visitors).isdisjoint(two.visitors)
    assert set(one.visitors).isdisjoint(one.users), "a user and a visitor of one name are two"
    assert one.visitors == one.firsts


@pytest.mark.parametrize(
    ("session", "visits", "bounces"),
    [
        pytest.param({}, 1, 1, id="one page"),
        pytest.param({"tracked_events": 1}, 1, 0, id="one page and a tracked event"),
        pytest.param({"page_views": 2}, 1, 0, id="two pages"),
        pytest.param({"page_views": 0}, 0, 0, id="no page view"),
        pytest.param({"page_views": 0, "tracked_events": 1}, 0, 0, id="only a tracked event"),
        pytest.param({"is_open": True}, 0, 0, id="still open"),
        pytest.param({"is_open": True, "page_views": 2}, 0, 0, id="still open, two pages"),
        pytest.param({"duration_ms": 600_000}, 1, 1, id="one page and heartbeats"),
        pytest.param({"errors": 1}, 1, 1, id="one page that failed"),
    ],
)
def test_bounces(session: dict[str, object], visits: int, bounces: int) -> None:
    made = rollup_of(0, [session_figures(1, "a", **session)], KEY)
    assert (made.visits, made.bounces) == (visits, bounces)
    figures = Sums.of([made], Sample()).figures(Sample())
    assert figures.bounce_rate == (bounces / visits if visits else None)


def test_sessions_without_page_views_leave_the_bounce_rate_alone() -> None:
    pages = [session_figures(number, "a", page_views=1 + number % 2) for number in range(4)]
    without = [session_figures(number, "b", page_views=0) for number in range(4, 40)]
    figures = Sums.of([rollup_of(0, pages, KEY), rollup_of(3_600_000, without, KEY)], Sample()).figures(Sample())
    assert (figures.sessions, figures.bounce_rate) == (40, 0.5)


@pytest.mark.parametrize(
    ("sessions", "one_in"), [(0, 1), (100_000, 1), (100_001, 2), (200_000, 2), (1_000_000, 16), (10_000_000, 128)]
)
def test_a_sample_is_as_small_as_it_must_be(sessions: int, one_in: int) -> None:
    assert Sample.for_sessions(sessions).one_in == one_in


def test_sample_estimates_the_whole() -> None:
    """Quiet hours and busy ones, short durations in the one and long ones in the other."""
    chance = random.Random(5)
    hours = []
    number = 0
    for hour in range(400):
        sessions = []
        for _ in range(5 if hour % 2 else 300):
            number += 1
            visitor = f"v{chance.randrange(40_000)}"
            is_busy = hour % 2 == 0
            duration = chance.randrange(60_000) if is_busy else chance.randrange(10**6, 2 * 10**6)
            user = visitor if chance.random() < 0.4 else None
            sessions.append(session_figures(number, visitor, user_id=user, is_first=True, duration_ms=duration))
        hours.append(rollup_of(hour * HOUR_MS, sessions, KEY))
    exact, sampled = (Sums.of(hours, sample).figures(sample) for sample in (Sample(), Sample(4)))
    assert exact.visitors != sampled.visitors, "a sample, not all"
    assert (exact.sessions, exact.mean_ms) == (sampled.sessions, sampled.mean_ms) == (61_000, exact.mean_ms)
    assert sampled.visitors == pytest.approx(exact.visitors, rel=0.03)
    assert sampled.new_visitors == pytest.approx(exact.new_visitors, rel=0.03)
    assert sampled.users == pytest.approx(exact.users, rel=0.05)
    assert sampled.median_ms == pytest.approx(exact.median_ms, rel=0.03)
    quiet = [Sample(4).durations(hour) for hour in hours if hour.sessions == 5]
    assert sum(map(len, quiet)) == pytest.approx(200 * 5 / 4, rel=0.05), "quiet hours count as much as they are"
    days = edges(Span(0, 400 * HOUR_MS), Bucket.DAY)
    buckets = buckets_of(hours, days, Sample(4))
    assert Sums.total(buckets).figures(Sample(4)) == sampled
    points = series_of(buckets, days, Sample(4))
    assert sum(point.sessions for point in points) == 61_000
    assert len(points) == 17


def test_a_span_without_sessions_has_no_median() -> None:
    figures = Sums.of([], Sample()).figures(Sample())
    assert (figures.median_ms, figures.mean_ms, figures.bounce_rate) == (None, None, None)
