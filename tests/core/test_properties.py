"""A declared property has a known type and rule, and a name that every vendor takes."""

from __future__ import annotations

import dataclasses
import enum
import http
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sojourn.core.properties import EVENT_PREFIX, MAX_PROPERTIES, SESSION_PREFIX, Property, cleaned, full_name


def test_the_last_value_is_kept_unless_declared_otherwise() -> None:
    assert Property(float) == Property(float, keep="last", case_insensitive=False)


def test_a_property_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Property(int).keep = "first"  # type: ignore[misc]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"type": list}, id="a list"),
        pytest.param({"type": "int"}, id="a type's name"),
        pytest.param({"type": int, "keep": "all"}, id="an unknown rule"),
        pytest.param({"type": int, "case_insensitive": "no"}, id="text for a flag"),
    ],
)
def test_a_malformed_declaration_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Property's"):
        Property(**given)


@pytest.mark.parametrize(
    ("name", "full"),
    [
        pytest.param("cart_value", "session_properties.cart_value", id="the prefix is added"),
        pytest.param("session_properties.plan", "session_properties.plan", id="the prefix is kept"),
        pytest.param("cart.total2", "session_properties.cart.total2", id="dots and digits"),
        pytest.param("a" * 81, "session_properties." + "a" * 81, id="100 characters"),
    ],
)
def test_a_name_gets_its_prefix(name: str, full: str) -> None:
    assert full_name(name, SESSION_PREFIX) == full


@pytest.mark.parametrize(
    "name", ["", "1a", "_a", "a_", "a__b", "a.", "a..b", "a._b", "a.1", "a b", "ä", "a-b", "a\n", "a" * 84]
)
def test_a_malformed_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"malformed|longer"):
        full_name(name, EVENT_PREFIX)


class Colour(enum.StrEnum):
    RED = "red"


class Ratio(float):
    """A float of another library."""


@pytest.mark.parametrize(
    ("value", "kept", "problems"),
    [
        pytest.param("x", "x", [], id="text"),
        pytest.param("a\nb\tc", "a\nb\tc", [], id="lines and tabs are text"),
        pytest.param(
            "a\x00b\ud800", "a\ufffdb\ufffd", ["control_characters"], id="control characters, lone surrogates"
        ),
        pytest.param("x" * 5_000, "x" * 5_000, [], id="as long as may be"),
        pytest.param("x" * 5_001, "x" * 4_999 + "\u2026", ["cut"], id="longer is cut and marked"),
        pytest.param("\x00" + "x" * 5_000, "\ufffd" + "x" * 4_998 + "\u2026", ["cut", "control_characters"], id="both"),
        pytest.param(True, True, [], id="a bool"),
        pytest.param(7, 7, [], id="an int"),
        pytest.param(2**63 - 1, 2**63 - 1, [], id="the greatest int"),
        pytest.param(-(2**63), -(2**63), [], id="the least int"),
        pytest.param(2**63, None, ["too_large"], id="an int beyond"),
        pytest.param(1.5, 1.5, [], id="a float"),
        pytest.param(math.nan, None, ["not_finite"], id="not a number"),
        pytest.param(-math.inf, None, ["not_finite"], id="infinity"),
        pytest.param(Colour.RED, "red", [], id="a subclass of str becomes plain"),
        pytest.param(http.HTTPStatus.OK, 200, [], id="a subclass of int becomes plain"),
        pytest.param(Ratio(0.5), 0.5, [], id="a subclass of float becomes plain"),
    ],
)
def test_bad_data_is_dropped_or_replaced_with_its_problems(value: object, kept: object, problems: list[str]) -> None:
    found, said = cleaned({"a": value}, EVENT_PREFIX)
    assert [problem.kind for problem in said] == problems
    assert found == ({} if kept is None else {"event_properties.a": kept})
    assert all(type(plain) in {str, int, float, bool} for plain in found.values())


@pytest.mark.parametrize(
    "value",
    [[], {}, b"bytes", {1}, 1j, Fraction(1, 3), Path("/"), object(), int],
    ids=lambda value: type(value).__name__,
)
def test_a_value_of_another_type_is_dropped_and_named_with_what_is_accepted(value: object) -> None:
    kept, (problem,) = cleaned({"a": value, "b": 1}, EVENT_PREFIX)
    assert kept == {"event_properties.b": 1}
    assert (problem.kind, problem.name) == ("unsupported", "event_properties.a")
    assert f"event_properties.a is of the type {type(value).__name__!r}; it was dropped" in str(problem)
    assert "a UUID, a date or time, a timedelta, or an enum" in str(problem)


def test_none_leaves_a_property_out() -> None:
    assert cleaned({"a": None, "b": 1}, EVENT_PREFIX) == ({"event_properties.b": 1}, [])


def test_a_name_that_is_not_a_str_raises() -> None:
    with pytest.raises(TypeError, match="a property name must be a str, not int"):
        cleaned({1: "a"}, EVENT_PREFIX)  # type: ignore[dict-item]


def test_fifty_properties_are_kept_and_the_rest_counted() -> None:
    given: dict[str, object] = {f"p{number}": number for number in range(52)}
    given["event_properties.p3"] = "again"
    found, problems = cleaned(given, EVENT_PREFIX)
    assert len(found) == 50
    assert [problem.kind for problem in problems] == ["too_many", "too_many"]
    assert found["event_properties.p3"] == "again", "a name that is already kept is not one more"


def test_a_call_with_too_much_is_one_cause_and_a_bad_property_its_own() -> None:
    _, many = cleaned({f"p{number}": number for number in range(MAX_PROPERTIES + 3)}, "")
    _, bad = cleaned({"a": float("nan"), "b": float("nan")}, "")
    assert ([problem.cause for problem in many], [problem.cause for problem in bad]) == (["", "", ""], ["a", "b"])
