"""When to try a backend again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.pipeline.deliver import retry


@pytest.mark.parametrize(
    ("failures", "chance", "asked", "waited"),
    [
        pytest.param(1, 0.0, None, 1_000, id="first, as long as it may be"),
        pytest.param(1, 0.75, None, 250, id="first, any moment before"),
        pytest.param(1, 0.999999, None, 50, id="never at once"),
        pytest.param(3, 0.0, None, 4_000, id="doubles"),
        pytest.param(3, 0.5, None, 2_000, id="all of it is chance"),
        pytest.param(1000, 0.0, None, 60_000, id="is bounded"),
        pytest.param(1, 0.0, 90.0, 90_000, id="asked for longer"),
        pytest.param(10, 0.0, 1.0, 60_000, id="asked for less than the backoff"),
        pytest.param(5, 0.5, 0.0, 0, id="go on at once"),
        pytest.param(0, 0.0, None, 1_000, id="no failure counted yet"),
    ],
)
def test_wait(failures: int, chance: float, asked: float | None, waited: int) -> None:
    assert retry.wait(failures, chance, retry_after=asked) == waited


@given(st.integers(0, 10**6), st.floats(0, 1, exclude_max=True), st.floats(0.001, 3600))
def test_the_wait_is_at_least_retry_after_and_at_most_that_or_a_minute(
    failures: int, chance: float, asked: float
) -> None:
    waited = retry.wait(failures, chance, retry_after=asked)
    assert int(asked * 1000) <= waited <= max(int(asked * 1000), 60_000)


@pytest.mark.parametrize(
    ("failures", "batch", "size"),
    [(0, 500, 500), (4, 500, 500), (5, 500, retry.PROBE), (99, 500, retry.PROBE), (5, 3, 3)],
)
def test_after_five_failures_a_call_carries_few_events(failures: int, batch: int, size: int) -> None:
    assert retry.size(failures, batch) == size
