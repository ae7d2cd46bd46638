"""Durations and sizes read as people write them, and what is written is read back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.settings._quantities import LONGEST, format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(90, timedelta(seconds=90), id="an int is seconds"),
        pytest.param(0.25, timedelta(milliseconds=250), id="a float is seconds"),
        pytest.param(timedelta(hours=2), timedelta(hours=2), id="a timedelta"),
        pytest.param("30m", timedelta(minutes=30), id="minutes"),
        pytest.param("2h", timedelta(hours=2), id="hours"),
        pytest.param("1.5s", timedelta(milliseconds=1500), id="a fraction"),
        pytest.param("395d", timedelta(days=395), id="days"),
        pytest.param("250ms", timedelta(milliseconds=250), id="milliseconds are not minutes"),
        pytest.param("1h30m", timedelta(minutes=90), id="two units"),
        pytest.param(" 1 H 30 M ", timedelta(minutes=90), id="spaces and capitals"),
        pytest.param("1.5", timedelta(milliseconds=1500), id="bare digits are seconds"),
        pytest.param("2w", timedelta(days=14), id="weeks"),
        pytest.param("0", timedelta(0), id="nothing"),
    ],
)
def test_a_duration_is_read(given: object, expected: timedelta) -> None:
    assert parse_duration(given) == expected


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("", id="empty"),
        pytest.param("m", id="a unit alone"),
        pytest.param("30 parsecs", id="an unknown unit"),
        pytest.param("30m1h", id="small before large"),
        pytest.param("1h1h", id="a unit twice"),
        pytest.param("1h30", id="digits left over"),
        pytest.param("-5s", id="negative text"),
        pytest.param(-5, id="a negative number"),
        pytest.param(timedelta(seconds=-1), id="a negative timedelta"),
        pytest.param(True, id="a flag is no number"),
        pytest.param(float("nan"), id="not a number"),
        pytest.param(float("inf"), id="infinite"),
        pytest.param(10**400, id="beyond a float"),
        pytest.param(1e300, id="beyond a timedelta"),
        pytest.param("999999999999999999w", id="text beyond a timedelta"),
        pytest.param("101000d", id="longer than anybody means"),
        pytest.param(None, id="nothing"),
        pytest.param([30], id="a list"),
        pytest.param("٣٠", id="digits of another script"),
    ],
)
def test_what_is_no_duration_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match=r"duration|seconds"):
        parse_duration(given)


@given(st.timedeltas(min_value=timedelta(0), max_value=LONGEST))
def test_a_written_duration_is_read_back(span: timedelta) -> None:
    assert parse_duration(format_duration(span)) == span


@given(st.integers(min_value=0, max_value=10**9))
def test_the_unit_makes_no_difference(count: int) -> None:
    assert parse_duration(f"{count}ms") == parse_duration(f"{count // 1000}.{count % 1000:03}s")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(1024, 1024, id="an int is bytes"),
        pytest.param("2048", 2048, id="bare digits are bytes"),
        pytest.param("12B", 12, id="bytes"),
        pytest.param("64MiB", 64 * 2**20, id="binary"),
        pytest.param("10MB", 10_000_000, id="decimal"),
        pytest.param("10k", 10_000, id="short"),
        pytest.param("1.5 gib", 3 * 2**29, id="a fraction, a space, lower case"),
    ],
)
def test_a_size_is_read(given: object, expected: int) -> None:
    assert parse_size(given) == expected


@pytest.mark.parametrize(
    "given", ["", "MiB", "1 mile", "-1", -1, 1.5, True, None, "0.5B", 2**70, "999999999999999999GiB"]
)
def test_what_is_no_size_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="number of bytes"):
        parse_size(given)


@given(st.integers(min_value=0, max_value=2**50))
def test_a_written_size_is_read_back(size: int) -> None:
    assert parse_size(format_size(size)) == size
