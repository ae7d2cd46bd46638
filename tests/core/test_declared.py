"""Declared properties: which of the app's values fit, and what becomes of the others."""

from __future__ import annotations

import pytest

from sojourn.core.bounded import Bounded
from sojourn.core.events import Scalar
from sojourn.core.properties import EVENT_PREFIX, MAX_TOTAL_BYTES, Property, PropertyType, cleaned

NAME = "event_properties.value"


@pytest.mark.parametrize(
    ("type_", "value", "kept"),
    [
        pytest.param(str, "a", "a", id="text as text"),
        pytest.param(str, 1, None, id="a number is no text"),
        pytest.param(bool, True, True, id="a flag"),
        pytest.param(bool, 1, None, id="a number is no flag"),
        pytest.param(int, 7, 7, id="an int"),
        pytest.param(int, 7.0, 7, id="a whole float is an int"),
        pytest.param(int, 7.5, None, id="half is none"),
        pytest.param(int, float("nan"), None, id="not a number is none"),
        pytest.param(int, float("inf"), None, id="endless is none"),
        pytest.param(int, True, None, id="a flag is no int"),
        pytest.param(int, "7", None, id="text is no int"),
        pytest.param(float, 7, 7.0, id="an int is a float"),
        pytest.param(float, 2**1024, None, id="an int that is too large for one"),
        pytest.param(float, "7", None, id="text is no float"),
    ],
)
def test_a_value_fits_its_declared_type_or_is_dropped(type_: PropertyType, value: object, kept: Scalar | None) -> None:
    properties, problems = cleaned({"value": value}, EVENT_PREFIX, {NAME: Property(type_)})
    assert properties == ({} if kept is None else {NAME: kept})
    assert all(type(known) is type_ for known in properties.values())
    assert [problem.kind for problem in problems] == ([] if kept is not None else ["wrong_type"])


@pytest.mark.parametrize(
    ("given", "is_insensitive", "problems"),
    [
        pytest.param("value", False, [], id="as declared"),
        pytest.param("VALUE", True, [], id="another casing, where that is allowed"),
        pytest.param("VALUE", False, ["undeclared"], id="another casing, where it is not"),
        pytest.param("other", True, ["undeclared"], id="another name"),
    ],
)
def test_a_name_is_declared_or_dropped(given: str, is_insensitive: bool, problems: list[str]) -> None:
    declared = {NAME: Property(str, case_insensitive=is_insensitive)}
    properties, found = cleaned({given: "a"}, EVENT_PREFIX, declared)
    assert properties == ({} if problems else {NAME: "a"})
    assert [problem.kind for problem in found] == problems


def test_the_texts_of_one_call_have_a_bound_together() -> None:
    properties, problems = cleaned({f"p{number}": "\u20ac" * 4000 for number in range(3)}, EVENT_PREFIX)
    assert sum(len(str(text).encode()) for text in properties.values()) <= MAX_TOTAL_BYTES
    assert len(properties) == 2
    assert [problem.kind for problem in problems] == ["too_large"]


def test_a_bounded_mapping_forgets_on_demand_in_both_generations() -> None:
    known: Bounded[int, str] = Bounded(2)
    for number in range(3):
        known[number] = "x"
    for number in (0, 2, 7):
        known.discard(number)
    assert [known.get(number) for number in range(3)] == [None, "x", None]


@pytest.mark.parametrize("given", [None, 5, ["a"], "text"])
def test_properties_are_a_mapping(given: object) -> None:
    with pytest.raises(TypeError, match="mapping"):
        cleaned(given, EVENT_PREFIX)  # type: ignore[arg-type]
