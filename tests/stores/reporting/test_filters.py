"""The filter language: a condition is read as it is printed, and what cannot be one is explained."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.report._filters import params_of, parse_filter
from sojourn.report._moments import Moments
from sojourn.report._parameters import Parameters
from sojourn.stores.dimensions import DIMENSIONS
from sojourn.stores.reporting.filters import (
    FIELDS,
    Condition,
    InvalidFilterError,
    Kind,
    Operator,
    bounds,
    first_conflict,
    parse_condition,
)
from sojourn.stores.reporting.model import Filter

DOCS = Path(__file__).parents[3] / "docs/report.md"
TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1).map(str.strip).filter(bool)
DETAILS = st.from_regex(r"[A-Za-z0-9_.]{1,20}", fullmatch=True).filter(
    lambda name: not name.startswith(("session_properties.", "event_properties."))
)
NUMBERS = st.integers(0, 10**6)


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    """Any condition that is right by itself."""
    field = draw(st.sampled_from(list(FIELDS.values())))
    match field.kind:
        case Kind.CHOICE:
            value = draw(st.sampled_from(field.choices))
        case Kind.NUMBER:
            low, more = draw(NUMBERS), draw(NUMBERS)
            value = draw(st.sampled_from([f"{low}", f"{low}..", f"..{low}", f"{low}..{low + more}"]))
        case Kind.DURATION:
            value = draw(st.sampled_from(["30s..", "..10m", "1m..2h", "0s", "1d.."]))
        case _:
            value = draw(TEXTS)
    detail = draw(DETAILS) if field.has_detail else ""
    return Condition(field.name, draw(st.sampled_from(field.operators)), value, detail)


@given(conditions())
def test_a_condition_is_read_as_it_is_printed(made: Condition) -> None:
    assert parse_condition(made.text) == made


@given(st.lists(conditions(), max_size=6))
def test_an_address_means_the_same_conditions_to_each_reader(made: list[Condition]) -> None:
    while first_conflict(made) is not None:
        made.pop()
    parameters = Parameters.of_query(urlencode(params_of(made), doseq=True))
    which = parse_filter(parameters, Moments(0))
    assert sorted(each.text for each in which.filter.conditions) == sorted(each.text for each in made)
    assert parameters.problems() == []
    assert len(which.chips) == len(made)


@pytest.mark.parametrize(
    ("text", "parameter", "message"),
    [
        pytest.param("browser", "browser", "give NAME=VALUE, NAME!=VALUE or NAME~=VALUE", id="no value"),
        pytest.param("brwser=x", "brwser", "unknown filter; did you mean browser?", id="misspelt"),
        pytest.param("browser=", "browser", "needs a value; (none) is that of sessions without one", id="empty"),
        pytest.param("pages~=1", "pages~", "has no operator ~=; use pages= or pages!=", id="operator"),
        pytest.param("pages=5..2", "pages", 'unknown value "5..2"; give a number or a range', id="backwards"),
        pytest.param("pages=..", "pages", 'unknown value ".."; give a number or a range', id="no bound"),
        pytest.param("duration=10", "duration", 'unknown value "10"; give a range of durations', id="no unit"),
        pytest.param("state=on", "state", 'unknown value "on"; use open or closed', id="no choice"),
        pytest.param("prop.=1", "prop.", "no property can have this name", id="no property"),
        pytest.param("prop.a b=1", "prop.a b", "no property can have this name", id="no name"),
    ],
)
def test_an_invalid_condition_says_what_to_write(text: str, parameter: str, message: str) -> None:
    with pytest.raises(InvalidFilterError) as error:
        parse_condition(text)
    assert error.value.parameter == parameter
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        pytest.param(["browser=A", "browser=B"], "a session has one value of it; give it once", id="two values"),
        pytest.param(["entry=/a", "entry_path=/b"], "a session has one value of it; give it once", id="two names"),
        pytest.param(["event.x=1"], "needs the event that it belongs to; add event=", id="no event"),
        pytest.param(["event!=a", "event.x=1"], "needs the event that it belongs to; add event=", id="excluded event"),
        pytest.param(["event=a", "event=b", "event.x=1"], "belongs to one event; give one event=", id="two events"),
    ],
)
def test_conditions_that_cannot_hold_together_are_refused(texts: list[str], message: str) -> None:
    with pytest.raises(InvalidFilterError, match=message):
        Filter.of(*texts)


def test_several_values_are_fine_where_they_can_all_hold() -> None:
    texts = ("browser!=A", "browser!=B", "browser~=C", "browser~=D", "path=/a", "path=/b", "event=a", "event=b")
    assert [each.text for each in Filter.of(*texts).conditions] == list(texts)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("pages", "3", (3, 3)),
        ("pages", "3..", (3, None)),
        ("pages", "..3", (None, 3)),
        ("duration", "1m", (60_000, 119_999)),
        ("duration", "10m..", (600_000, None)),
        ("duration", "1s..1h", (1000, 3_600_000)),
    ],
)
def test_bounds(name: str, value: str, expected: tuple[int | None, int | None]) -> None:
    assert bounds(FIELDS[name], value) == expected


def test_each_dimension_is_a_filter_that_no_link_carries_by_chance() -> None:
    columns = {field.source for field in FIELDS.values()}
    assert {each.name for each in DIMENSIONS} <= columns
    assert not [name for name in FIELDS if name.lower().startswith("utm_")]
    for each in DIMENSIONS:
        assert parse_condition(f"{each.name}=x").definition.source == each.name


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], None),
        (["state=open"], True),
        (["state!=open"], False),
        (["state=closed"], False),
        (["state!=closed"], True),
    ],
)
def test_the_state(texts: list[str], expected: bool | None) -> None:
    assert Filter.of(*texts).is_open is expected


def test_operators_have_words_and_signs() -> None:
    assert [(each.words, each.sign) for each in Operator] == [("is", ""), ("is not", "!"), ("contains", "~")]


def test_the_docs_have_each_filter() -> None:
    table = DOCS.read_text(encoding="utf-8").partition("## Filters")[2].partition("\n## ")[0]
    documented = set(re.findall(r"`([a-z_.]+)(?:NAME)?`", "".join(re.findall(r"^\|([^|]+)\|", table, re.MULTILINE))))
    assert documented == {*FIELDS}
