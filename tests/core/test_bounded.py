"""A mapping that forgets, but never what was written or asked for lately."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.bounded import Bounded

LIMIT = 4


@given(written=st.lists(st.tuples(st.integers(0, 12), st.integers()), max_size=60))
def test_it_holds_the_latest_and_never_more_than_twice_the_limit(written: list[tuple[int, int]]) -> None:
    known: Bounded[int, int] = Bounded(LIMIT)
    truth: dict[int, int] = {}
    for key, value in written:
        known[key] = value
        truth.pop(key, None)
        truth[key] = value
        assert len(known) <= 2 * LIMIT
    for key in list(truth)[-LIMIT:][::-1]:
        assert known.get(key) == truth[key]
    for key, value in truth.items():
        assert known.get(key) in {None, value}, "an older value came back"


@given(written=st.lists(st.integers(1, 100), max_size=60))
def test_entries_in_use_stay(written: list[int]) -> None:
    known: Bounded[int, str] = Bounded(LIMIT)
    known[0] = "busy"
    for key in written:
        known[key] = "other"
        assert known.get(0) == "busy"


def test_entries_not_in_use_go() -> None:
    known: Bounded[int, int] = Bounded(LIMIT)
    for key in range(100):
        known[key] = key
    assert known.get(0) is None
    assert known.get(99) == 99


def test_clear_forgets_all() -> None:
    known: Bounded[int, int] = Bounded(LIMIT)
    for key in range(LIMIT + 1):
        known[key] = key
    known.clear()
    assert len(known) == 0
    assert known.get(LIMIT) is None


def test_keys_are_dropped_by_what_they_are() -> None:
    kept: Bounded[tuple[str, int], int] = Bounded(2)
    for number in range(4):
        kept["even" if number % 2 == 0 else "odd", number] = number
    kept.drop(lambda key: key[0] == "odd")
    assert [kept.get(("even", 0)), kept.get(("odd", 1)), kept.get(("even", 2)), kept.get(("odd", 3))] == [
        0,
        None,
        2,
        None,
    ]
