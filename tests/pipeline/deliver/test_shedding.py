"""What an over-long queue does without, and what it never does without."""

from __future__ import annotations

import pytest

from sojourn.pipeline.deliver.shedding import level, rank


def test_the_least_important_kinds_are_shed_first() -> None:
    names = ["session.heartbeat", "page_view", "log", "bought", "exception"]
    assert [rank(name) for name in names] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "name",
    ["session.start", "session.end", "session.properties", "user.identify", "opt_out", "connection.end"],
)
def test_events_that_make_or_change_a_session_are_never_shed(name: str) -> None:
    assert rank(name) > level(10**12, 1)


@pytest.mark.parametrize(
    ("backlog", "bound", "expected"),
    [
        pytest.param(10**9, None, 0, id="no bound"),
        pytest.param(1_000, 1_000, 0, id="full, not over"),
        pytest.param(1_001, 1_000, 1, id="over: heartbeats"),
        pytest.param(1_200, 1_000, 2, id="by a fifth: page views"),
        pytest.param(1_799, 1_000, 4, id="by less than four fifths: not yet exceptions"),
        pytest.param(1_800, 1_000, 5, id="by four fifths: exceptions too"),
        pytest.param(10**9, 1_000, 5, id="no further"),
    ],
)
def test_more_kinds_are_shed_the_further_a_queue_is_over_its_bound(
    backlog: int, bound: int | None, expected: int
) -> None:
    assert level(backlog, bound) == expected
