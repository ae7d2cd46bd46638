"""Days of a place: from midnight to midnight, whatever the clocks do in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.days import LATEST_MS, day_of

HOUR = 3_600_000
ZONES = [
    "UTC",
    "Europe/Vienna",
    "America/Havana",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
]


def moment(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("zone", "at", "starts", "hours"),
    [
        pytest.param("UTC", "2026-11-27T10:00Z", "2026-11-27T00:00Z", 24, id="UTC"),
        pytest.param("Europe/Vienna", "2026-03-29T12:00Z", "2026-03-28T23:00Z", 23, id="clocks go forward at two"),
        pytest.param("Europe/Vienna", "2026-10-25T12:00Z", "2026-10-24T22:00Z", 25, id="clocks go back at three"),
        pytest.param("Africa/Cairo", "2026-04-24T12:00Z", "2026-04-23T22:00Z", 23, id="midnight is skipped"),
        pytest.param("America/Havana", "2026-11-01T12:00Z", "2026-11-01T04:00Z", 25, id="midnight comes twice"),
        pytest.param("Australia/Lord_Howe", "2026-10-04T12:00Z", "2026-10-03T13:30Z", 23.5, id="half an hour"),
        pytest.param(
            "Pacific/Kiritimati", "2026-11-27T10:00Z", "2026-11-27T10:00Z", 24, id="the first moment of a day"
        ),
        pytest.param("Pacific/Kiritimati", "2026-11-27T09:59:59.999Z", "2026-11-26T10:00Z", 24, id="the last one"),
    ],
)
def test_a_day_begins_at_midnight(zone: str, at: str, starts: str, hours: float) -> None:
    day = day_of(moment(at), ZoneInfo(zone))
    assert (day.starts_at, day.ends_at) == (moment(starts), moment(starts) + round(hours * HOUR))


@given(st.integers(0, LATEST_MS - 7 * 24 * HOUR), st.sampled_from(ZONES))
def test_every_moment_is_in_its_day_and_days_follow_each_other(at: int, name: str) -> None:
    zone = ZoneInfo(name)
    day = day_of(at, zone)
    assert day.has(at)
    assert not day.has(day.ends_at)
    assert day_of(day.starts_at, zone) == day
    assert day_of(day.ends_at - 1, zone) == day
    assert day_of(day.ends_at, zone).starts_at == day.ends_at
    assert day.ends_at - day.starts_at <= timedelta(hours=48) / timedelta(milliseconds=1)


def test_what_no_clock_shows_has_a_day_all_the_same() -> None:
    assert day_of(-1, UTC).starts_at == 0
    assert day_of(10**18, UTC) == day_of(LATEST_MS, UTC)
