"""A declared property has a known type and rule, and a name that every vendor takes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from sojourn.core.properties import EVENT_PREFIX, SESSION_PREFIX, Property, full_name


def test_the_last_value_is_kept_unless_said_otherwise() -> None:
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
