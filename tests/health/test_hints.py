"""What is worth a look although nothing is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sojourn.health.hints import hints
from sojourn.stores.reporting.model import LongVisits
from tests.health.test_checks import health

LASTED = (
    "12 of the latest 1,000 sessions lasted more than an hour with one page view. "
    "Something on the page may keep them alive"
)
ADVICE = "If the page requests it by itself, add it to `passive`"


def long_visits(*, count: int = 12, path: str | None = "/stats") -> LongVisits:
    return LongVisits(latest=1_000, count=count, heartbeats=1_204, path=path, by_path=1_171)


@pytest.mark.parametrize(
    ("visits", "shown"),
    [
        pytest.param(None, [], id="not read"),
        pytest.param(long_visits(count=0), [], id="none"),
        pytest.param(
            long_visits(),
            [f"{LASTED}, most often /stats (1,171 of 1,204 heartbeats). {ADVICE}"],
            id="long visits, and what keeps them alive",
        ),
        pytest.param(
            long_visits(path=None),
            [LASTED],
            id="no path",
        ),
    ],
)
def test_hints(visits: LongVisits | None, shown: list[str]) -> None:
    assert hints(replace(health(), long_visits=visits)) == shown


def test_a_path_cannot_move_the_cursor_of_a_terminal() -> None:
    (hint,) = hints(replace(health(), long_visits=long_visits(path="/\x1b[2J")))
    assert hint.isprintable()


@pytest.mark.parametrize(
    ("pages", "opened", "shown"),
    [
        pytest.param(0, 0, None, id="none"),
        pytest.param(99, 0, None, id="too few"),
        pytest.param(100, 51, None, id="most of them opened"),
        pytest.param(1_200, 600, "600 of 1,200 prefetched pages were not seen to be opened", id="half of them opened"),
    ],
)
def test_prefetched_pages_that_nothing_confirms(pages: int, opened: int, shown: str | None) -> None:
    counters = {"ignored.prefetched_pages": pages, "ignored.prefetched_opened": opened}
    plain = health()
    found = hints(replace(plain, stats=replace(plain.stats, counters=counters)))
    assert [line.partition(".")[0] for line in found] == ([] if shown is None else [shown])
    assert all("include the beacon" in line for line in found)


def test_opened_pages_are_not_listed_as_ignored() -> None:
    plain = health()
    counters = {"ignored.prefetched_pages": 5, "ignored.prefetched_opened": 3}
    assert replace(plain, stats=replace(plain.stats, counters=counters)).refusals == {"ignored.prefetched_pages": 5}
