"""Health by release: each version beside the one before it, and which differences mean something."""

from __future__ import annotations

import pytest

from sojourn.report._columns import Line
from sojourn.report._panels import PANELS
from sojourn.report._releases import in_order, points
from sojourn.stores.reporting.breakdowns import BREAKDOWNS, Counts

RELEASES = BREAKDOWNS["releases"]


def line(version: str, first_at: int, *, sessions: int, errors: int = 0, slow: int = 0) -> Line:
    sums = dict.fromkeys(RELEASES.measures, 0)
    sums |= {"sessions": sessions, "error_sessions": errors, "timed_exits": sessions, "slow_exits": slow}
    counts = Counts([sums[name] for name in RELEASES.measures], first_at, first_at)
    return Line(value=version, counts=counts, breakdown=RELEASES, total=sessions)


def test_versions_stand_in_the_order_in_which_they_came() -> None:
    lines = in_order([line("2.10", 20, sessions=9), line("2.9", 10, sessions=99), line("hotfix", 30, sessions=1)])
    assert [(each.value, each.before and each.before.value) for each in lines] == [
        ("hotfix", "2.10"),
        ("2.10", "2.9"),
        ("2.9", None),
    ]


@pytest.mark.parametrize(
    ("before", "after", "shown", "mark"),
    [
        pytest.param((1000, 10), (1000, 40), "+3.0 pp", "bad", id="worse"),
        pytest.param((1000, 40), (1000, 10), "\N{MINUS SIGN}3.0 pp", "good", id="better"),
        pytest.param((1000, 10), (3, 1), "+32.3 pp", "", id="an extreme share of few"),
        pytest.param((20, 1), (3, 1), "+28.3 pp", "", id="too few to say"),
        pytest.param((1000, 10), (1000, 10), "no change", "", id="the same"),
        pytest.param((10, 0), (10, 0), "no change", "", id="none at all"),
    ],
)
def test_change_since_the_version_before(
    before: tuple[int, int], after: tuple[int, int], shown: str, mark: str
) -> None:
    column = PANELS["releases"].column("error_change")
    assert column is not None
    latest, first = in_order(
        [
            line("1", 1, sessions=before[0], errors=before[1]),
            line("2", 2, sessions=after[0], errors=after[1]),
        ]
    )
    value = column.value(latest)
    assert isinstance(value, float)
    assert (points(value), column.mark(latest)) == (shown, mark)
    assert (column.value(first), column.mark(first)) == (None, "")


def test_share_of_those_who_left_after_a_slow_page() -> None:
    share, change = (PANELS["releases"].column(name) for name in ("slow_share", "slow_change"))
    assert share is not None
    assert change is not None
    latest, _ = in_order([line("1", 1, sessions=400, slow=4), line("2", 2, sessions=400, slow=80)])
    assert (share.value(latest), change.mark(latest)) == (0.2, "bad")
