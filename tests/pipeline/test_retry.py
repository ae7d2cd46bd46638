"""When to try a backend again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.pipeline import retry


@pytest.mark.parametrize(
    ("failures", "chance", "asked", "waited"),
    [
        pytest.param(1, 0.0, None, 500, id="first, no chance added"),
        pytest.param(1, 0.999999, None, 999, id="first, most chance"),
        pytest.param(3, 0.0, None, 2000, id="doubles"),
        pytest.param(1000, 0.0, None, 150_000, id="is bounded"),
        pytest.param(1, 0.0, 60.0, 60_000, id="asked for longer"),
        pytest.param(10, 0.0, 1.0, 150_000, id="asked for less than the backoff"),
        pytest.param(5, 0.5, 0.0, 0, id="go on at once"),
        pytest.param(0, 0.0, None, 500, id="no failure counted yet"),
    ],
)
def test_wait(failures: int, chance: float, asked: float | None, waited: int) -> None:
    assert retry.wait(failures, chance, asked=asked) == waited


@given(st.integers(0, 10**6), st.floats(0, 1, exclude_max=True), st.floats(0.001, 3600))
def test_never_sooner_than_asked_and_never_longer_than_that_or_five_minutes(
    failures: int, chance: float, asked: float
) -> None:
    waited = retry.wait(failures, chance, asked=asked)
    assert int(asked * 1000) <= waited <= max(int(asked * 1000), 300_000)
