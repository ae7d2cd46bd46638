"""Properties of events are counted within bounds, whatever names and values an application sends."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.stores import SQLiteStore
from sojourn.stores.model import Batch
from sojourn.stores.reporting import event_properties
from sojourn.stores.reporting.model import DAY_MS, Span
from sojourn.stores.reporting.property_counts import (
    KEPT_PROPERTIES,
    KEPT_VALUES,
    LONGEST,
    Numbers,
    PropertyCounter,
    text_of,
)
from tests.stores.contract.breakdowns import of
from tests.stores.contract.steps import NOW, row, save

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


def test_of_many_sessions_a_sample_of_visitors_stands_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_properties, "_EXAMINED", 200)
    monkeypatch.setattr(event_properties, "_FEW", 20)
    store = SQLiteStore(None)
    rows, events = [], []
    for number in range(1_000):
        made = row(f"s{number}", NOW + number)
        made.visitor_id = f"{number * 2**32 // 1_000:08x}"
        made.tracked_events = 1
        rows.append(made)
        events.append(of(f"e{number}", made, "buy", 0, event_properties__even=number % 2 == 0))
    save(store, Batch(rows=rows, events=events))
    figures = store.report.event("buy", Span(NOW, NOW + DAY_MS))
    assert figures.is_sampled
    assert figures.events == pytest.approx(1_000, rel=0.05)
    (even,) = figures.properties
    assert [value.events for value in even.values] == [pytest.approx(500, rel=0.1)] * 2
    store.close()
