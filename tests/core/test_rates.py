"""Rates as people write them."""

from __future__ import annotations

import pytest

from sojourn.core.rates import Rate, parse_rate


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
