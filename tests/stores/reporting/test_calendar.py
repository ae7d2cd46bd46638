"""Hours, days and weeks of a calendar, in zones whose clocks change."""

from __future__ import annotations

import itertools
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.stores.reporting.calendar import edges
from sojourn.stores.reporting.model import HOUR_MS, Bucket, Span

ZONES = (
    "UTC",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Africa/Cairo",
)


def at(text: str, zone: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("zone", "first", "last", "hours"),
    [
        pytest.param("America/New_York", "2026-10-31", "2026-11-03", [24, 25, 24], id="clocks go back"),
        pytest.param("America/New_York", "2026-03-07", "2026-03-10", [24, 23, 24], id="clocks go forward"),
        pytest.param("Africa/Cairo", "2026-04-23", "2026-04-26", [24, 23, 24], id="clocks skip midnight"),
        pytest.param(
            "Australia/Lord_Howe", "2026-04-04", "2026-04-07", [24, 24.5, 24], id="clocks go back half an hour"
        ),
        pytest.param("Asia/Kolkata", "2026-10-31", "2026-11-02", [24, 24], id="half an hour from the hours of UTC"),
        pytest.param("Pacific/Apia", "2011-12-29", "2012-01-01", [24, 24], id="a day that is left out"),
    ],
)
def test_days(zone: str, first: str, last: str, hours: list[float]) -> None:
    span = Span(at(first, zone), at(last, zone))
    found = edges(span, Bucket.DAY, ZoneInfo(zone))
    assert (found[0], found[-1]) == (span.since, span.until)
    assert [(until - since) / HOUR_MS for since, until in itertools.pairwise(found)] == hours


def test_a_week_begins_on_monday_and_may_have_another_hour() -> None:
    zone = ZoneInfo("Europe/Berlin")
    found = edges(Span(at("2026-10-22T09:00", zone.key), at("2026-10-27", zone.key)), Bucket.WEEK, zone)
    assert found == [at(text, zone.key) for text in ("2026-10-19", "2026-10-26", "2026-11-02")]
    assert found[1] - found[0] == (7 * 24 + 1) * HOUR_MS


def test_hours_are_those_of_utc() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    midnight = at("2026-11-26", zone.key)
    assert edges(Span(midnight, midnight + 2 * HOUR_MS), Bucket.HOUR, zone) == [
        midnight + minutes * 60_000 for minutes in (-30, 30, 90, 150)
    ]


@given(
    since=st.integers(0, 4_000_000_000_000),
    length=st.integers(1, 200 * 24 * HOUR_MS),
    bucket=st.sampled_from(Bucket),
    zone=st.sampled_from(ZONES),
)
def test_edges_rise_and_cover_the_span(since: int, length: int, bucket: Bucket, zone: str) -> None:
    span = Span(since, since + length)
    found = edges(span, bucket, ZoneInfo(zone))
    assert found == sorted(set(found))
    assert found[0] <= span.since < found[1]
    assert found[-2] < span.until <= found[-1]
