"""Rates as people write them, and buckets."""

from __future__ import annotations

import pytest

from sojourn.core.rates import Rate, TokenBucket, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("600/m", Rate(600, 60_000)),
        (" 50 / S ", Rate(50, 1000)),
        ("1/h", Rate(1, 3_600_000)),
        ("9/d", Rate(9, 86_400_000)),
        (Rate(3, 1000), Rate(3, 1000)),
    ],
)
def test_a_rate_is_read(text: object, rate: Rate) -> None:
    assert parse_rate(text) == rate
    assert parse_rate(str(rate)) == rate


@pytest.mark.parametrize("text", ["", "0/m", "600", "600/w", "-1/m", "1.5/m", 600, None])
def test_anything_else_names_the_form(text: object) -> None:
    with pytest.raises(ValueError, match='such as "600/m"'):
        parse_rate(text)


def test_another_window_shows_its_length() -> None:
    assert str(Rate(5, 250)) == "5/250ms"


NOW = 1_700_000_000_000
BUCKET = TokenBucket(size=3, every=1000)


def take(times: int, *, full_at: int = 0, now: int = NOW) -> tuple[list[int], int]:
    """Take so many tokens; the waits, and when the bucket is full again."""
    waits = []
    for _ in range(times):
        wait, full_at = BUCKET.take(full_at, now)
        waits.append(wait)
    return waits, full_at


def test_bucket_gives_its_size_and_then_one_per_interval() -> None:
    waits, full_at = take(5)
    assert (waits, full_at) == ([0, 0, 0, 1000, 1000], NOW + 3000)
    assert take(2, full_at=full_at, now=NOW + 999)[0] == [1, 1]
    assert take(2, full_at=full_at, now=NOW + 1000)[0] == [0, 1000]


def test_bucket_is_never_fuller_than_its_size() -> None:
    _, full_at = take(3)
    assert take(4, full_at=full_at, now=NOW + 3_600_000)[0] == [0, 0, 0, 1000]


def test_token_that_is_put_back_can_be_taken_again() -> None:
    _, full_at = take(3)
    assert take(2, full_at=BUCKET.put_back(full_at))[0] == [0, 1000]
    assert BUCKET.put_back(0) == 0


def test_bucket_from_before_the_clock_was_set_back_is_empty_for_no_longer_than_any_other() -> None:
    assert take(1, full_at=NOW + 3_600_000)[0] == [1000]
