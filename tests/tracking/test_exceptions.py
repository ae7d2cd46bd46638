"""An exception as an event: what is recorded of it, and what never is."""

from __future__ import annotations

import pytest

from sojourn.tracking.exceptions import described


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    password = "hunter2-in-a-variable"
    try:
        assert password
        raise error from cause
    except (ValueError, KeyError, Unprintable) as caught:
        return caught


def deep(levels: int) -> None:
    if levels:
        deep(levels - 1)
    raise ValueError("at the bottom")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        pytest.param(ValueError("wrong"), "ValueError", "wrong", id="builtin"),
        pytest.param(Unprintable(), "test_exceptions.Unprintable", "<RuntimeError in __str__>", id="__str__ fails"),
        pytest.param(ValueError("a\x1b[31m\nb"), "ValueError", "a\ufffd[31m\ufffdb", id="control characters"),
        pytest.param(ValueError("x" * 5000), "ValueError", "x" * 1000, id="long"),
        pytest.param(KeyError("\ud800"), "KeyError", "'\\ud800'", id="lone surrogate"),
    ],
)
def test_type_and_message(error: BaseException, kind: str, message: str) -> None:
    attributes = described(raised(error), is_handled=True)
    assert str(attributes["exception.type"]).endswith(kind)
    assert attributes["exception.message"] == message
    assert attributes["exception.escaped"] is False


def test_the_stack_has_places_and_no_values() -> None:
    attributes = described(raised(ValueError("wrong")), is_handled=False)
    stack = str(attributes["exception.stacktrace"])
    assert "tests/tracking/test_exceptions.py:" in stack
    assert "in raised" in stack
    assert "hunter2" not in stack
    assert not stack.startswith("/")


def test_each_cause_of_an_exception_is_listed_once() -> None:
    cause = raised(KeyError("inner"))
    cause.__context__ = raised(ValueError("outer"), cause)  # a circle
    stack = str(described(raised(ValueError("outer"), cause), is_handled=False)["exception.stacktrace"])
    assert stack.count("caused by KeyError") == 1


def test_a_deep_stack_keeps_its_innermost_frames() -> None:
    with pytest.raises(ValueError, match="bottom") as caught:
        deep(100)
    lines = str(described(caught.value, is_handled=False)["exception.stacktrace"]).split("\n")
    assert lines[0].startswith("... ")
    assert len(lines) == 31
    assert lines[-1].endswith("in deep")
