"""Properties of events are counted within bounds, whatever names and values an application sends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.stores import SQLiteStore
from sojourn.stores.model import Batch
from sojourn.stores.reporting import conversions, event_properties, rollups
from sojourn.stores.reporting.model import DAY_MS, HOUR_MS, Filter, Span
from sojourn.stores.reporting.property_counts import (
    KEPT_PROPERTIES,
    KEPT_VALUES,
    LONGEST,
    EventFigures,
    Numbers,
    PropertyCounter,
    text_of,
)
from tests.stores.contract.breakdowns import of
from tests.stores.contract.reporting import roll_up
from tests.stores.contract.steps import NOW, row, save

SPAN = Span(NOW, NOW + DAY_MS)

SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3)


@given(st.lists(st.tuples(st.integers(0, 5), st.dictionaries(st.sampled_from("abc"), SCALARS)), max_size=20))
def test_counts_are_those_of_counting_one_by_one(events: list[tuple[int, dict[str, object]]]) -> None:
    events.sort(key=lambda event: event[0])
    counter = PropertyCounter()
    for session, values in events:
        counter.add(
            f"s{session}", {"url.path": "/", **{f"event_properties.{name}": each for name, each in values.items()}}
        )
    figures = counter.figures()
    assert (figures.events, figures.sessions) == (len(events), len({session for session, _ in events}))
    for each in figures.properties:
        having = [(session, values[each.name]) for session, values in events if values.get(each.name) is not None]
        assert (each.events, each.sessions) == (len(having), len({session for session, _ in having}))
        counted = Counter(text_of(value) for _, value in having)
        assert {value.text: value.events for value in each.values} == counted
        sessions = Counter(text for text, _ in {(text_of(value), session) for session, value in having})
        assert {value.text: value.sessions for value in each.values} == sessions
        is_numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for _, value in having)
        assert each.numbers is None or is_numeric


def test_thousands_of_names_and_values_stay_within_bounds() -> None:
    counter = PropertyCounter()
    for number in range(KEPT_VALUES + 50):
        counter.add(f"s{number}", {"event_properties.id": number, f"event_properties.p{number}": "x" * 5_000})
    figures = counter.figures()
    assert len(figures.properties) == KEPT_PROPERTIES
    assert figures.unlisted == KEPT_VALUES + 50 - (KEPT_PROPERTIES - 1)
    (ids,) = (each for each in figures.properties if each.name == "id")
    assert (len(ids.values), ids.others, ids.events) == (KEPT_VALUES, 50, KEPT_VALUES + 50)
    assert all(len(value.text) <= LONGEST for each in figures.properties for value in each.values)


def test_long_values_that_begin_alike_are_one() -> None:
    counter = PropertyCounter()
    for ending in ("", "a", "b"):
        counter.add("s", {"event_properties.text": "x" * LONGEST + ending})
    (text,) = counter.figures().properties
    assert sorted((value.events, value.is_cut) for value in text.values) == [(1, False), (2, True)]


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        pytest.param([1, 2, 4.5], Numbers(total=7.5, median=2, least=1, greatest=4.5), id="numbers"),
        pytest.param([1, True], None, id="a truth value is no number"),
        pytest.param([1, "2"], None, id="a text is no number"),
        pytest.param([1.7e308] * 2, Numbers(total=None, median=1.7e308, least=1.7e308, greatest=1.7e308), id="beyond"),
    ],
)
def test_what_numbers_come_to(values: list[object], numbers: Numbers | None) -> None:
    counter = PropertyCounter()
    for value in values:
        counter.add("s", {"event_properties.n": value})
    assert counter.figures().properties[0].numbers == numbers


@pytest.fixture
def thousand() -> Iterator[SQLiteStore]:
    """A thousand sessions with an event each; half of the events are even."""
    store = SQLiteStore(None)
    rows, events = [], []
    for number in range(1_000):
        made = row(f"s{number}", NOW + number)
        made.visitor_id = f"{number * 2**32 // 1_000:08x}"
        made.tracked_events = 1
        rows.append(made)
        events.append(of(f"e{number}", made, "buy", 0, event_properties__even=number % 2 == 0))
    save(store, Batch(rows=rows, events=events))
    yield store
    store.close()


def test_of_many_sessions_a_sample_of_visitors_stands_for_all(
    thousand: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_properties, "_EXAMINED", 200)
    monkeypatch.setattr(event_properties, "_FEW", 20)
    assert_half_is_even(thousand.report.event("buy", SPAN, Filter.of("pages=0..")))


@pytest.mark.parametrize("is_rolled_up", [False, True], ids=["counted", "rolled up"])
def test_of_many_events_those_of_some_sessions_are_counted(
    thousand: SQLiteStore, monkeypatch: pytest.MonkeyPatch, *, is_rolled_up: bool
) -> None:
    monkeypatch.setattr(event_properties, "_MOST_EVENTS", 200)
    if is_rolled_up:
        roll_up(thousand, until=NOW + DAY_MS)
    figures = thousand.report.event("buy", SPAN)
    assert_half_is_even(figures)
    assert (figures.events, figures.sessions) == (1_000, 1_000), "all of them are in the trail"


def test_of_very_many_sessions_those_of_some_visitors_are_counted(
    thousand: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversions, "SAMPLED_ABOVE", 500)
    roll_up(thousand, until=NOW + DAY_MS)
    figures = thousand.report.event("buy", SPAN)
    assert figures.is_sampled
    assert figures.events == pytest.approx(1_000, rel=0.4), "of about 62 visitors"


def test_hours_that_are_left_out_count_as_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "_COUNTED_AT_ONCE", 0)  # but for the latest two
    with closing(SQLiteStore(None)) as store:
        rows = [row(f"s{number}", NOW + number * HOUR_MS) for number in range(4)]
        save(store, Batch(rows=rows, events=[of(f"e{each.key}", each, "buy") for each in rows]))
        figures = store.report.event("buy", SPAN)
    assert (figures.is_sampled, figures.events) == (True, 4)


def assert_half_is_even(figures: EventFigures) -> None:
    assert figures.is_sampled
    assert figures.events == pytest.approx(1_000, rel=0.05)
    (even,) = figures.properties
    assert [value.events for value in even.values] == [pytest.approx(500, rel=0.1)] * 2
