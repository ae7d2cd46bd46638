"""Goals and funnels as people write them."""

from __future__ import annotations

import pytest

from sojourn.core.goals import Funnel, Step, parse_name, parse_step, parse_steps, value_text


@pytest.mark.parametrize(
    ("text", "step"),
    [
        pytest.param("/checkout", Step(is_path=True, value="/checkout"), id="a path"),
        pytest.param(" /seeds/* ", Step(is_path=True, value="/seeds/*"), id="paths that begin so"),
        pytest.param("/with blank", Step(is_path=True, value="/with blank"), id="a path with a blank"),
        pytest.param("purchase", Step(is_path=False, value="purchase"), id="an event"),
        pytest.param("user.identify", Step(is_path=False, value="user.identify"), id="a log-in"),
        pytest.param("cart_*", Step(is_path=False, value="cart_*"), id="events that begin so"),
        pytest.param(
            "purchase plan=pro plus",
            Step(is_path=False, value="purchase", condition=("event_properties.plan", "pro plus")),
            id="an event with a property",
        ),
        pytest.param(
            "purchase event_properties.plan=a=b",
            Step(is_path=False, value="purchase", condition=("event_properties.plan", "a=b")),
            id="a property by its full name",
        ),
    ],
)
def test_step(text: str, step: Step) -> None:
    assert parse_step(text) == step
    assert parse_step(step.text) == step


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "give a path", id="nothing"),
        pytest.param("/a\x00", "give a path", id="a control character"),
        pytest.param("/" + "a" * 400, "give a path", id="too long"),
        pytest.param("page_view", 'give a path such as "/checkout"', id="a page view by its name"),
        pytest.param("session.start", "track an event of your own", id="an event of the session"),
        pytest.param("purchase plan", "name=value", id="no value"),
        pytest.param("purchase plan=", "name=value", id="an empty value"),
        pytest.param("purchase plan=" + "a" * 201, "name=value", id="a long value"),
        pytest.param("purchase pl-an=pro", "malformed", id="a malformed name"),
    ],
)
def test_bad_step(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_step(text)


def test_steps_of_a_funnel_as_one_text_or_several() -> None:
    steps = parse_steps("/cart > /checkout>purchase plan=pro")
    assert [step.text for step in steps] == ["/cart", "/checkout", "purchase plan=pro"]
    assert parse_steps(step.text for step in steps) == steps
    assert Funnel("Checkout", steps).text == "/cart > /checkout > purchase plan=pro"


@pytest.mark.parametrize("count", [1, 9])
def test_a_funnel_has_2_to_8_steps(count: int) -> None:
    with pytest.raises(ValueError, match=f"give 2 to 8 steps.*; got {count}"):
        parse_steps(["/a"] * count)


def test_name() -> None:
    assert parse_name("  Signed up ") == "Signed up"
    for name in ("", "  ", "a" * 81, "a\nb"):
        with pytest.raises(ValueError, match="give a name"):
            parse_name(name)


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (42, "42"), (42.0, "42"), (0.5, "0.5"), ("pro", "pro")],
)
def test_value_of_a_property_as_text(value: object, text: str) -> None:
    assert value_text(value) == text
