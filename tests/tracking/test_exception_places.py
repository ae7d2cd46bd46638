"""Which place in the code an exception belongs to: what groups exceptions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jinja2
import pytest

from sojourn.core.events import EXCEPTION_GROUP, EXCEPTION_PLACE
from sojourn.tracking.exception_places import is_own
from sojourn.tracking.exceptions import described

HERE = "tests/tracking/test_exception_places.py in "


def place(call: Callable[[], object]) -> object:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any
        call()
    return described(caught.value, is_handled=False).get(EXCEPTION_PLACE)


def fail() -> None:
    raise ValueError("no")


def parse() -> object:
    return json.loads("no JSON")


def wrap() -> None:
    try:
        parse()
    except ValueError as error:
        raise RuntimeError("wrapped") from error


def comprehend() -> object:
    return [1 // number for number in (1, 0)]


def lazily() -> object:
    return sum(1 // number for number in (1, 0))


class Cart:
    def total(self) -> object:
        def price() -> object:
            return dict[str, str]()["seed"]

        return price()


def group() -> None:
    try:
        parse()
    except ValueError as error:
        raise ExceptionGroup("tasks", [error]) from None


def from_text() -> None:
    exec(compile("raise ValueError('made of text')", "<string>", "exec"))


@pytest.mark.parametrize(
    ("call", "function"),
    [
        pytest.param(fail, "fail", id="raised by the app"),
        pytest.param(parse, "parse", id="raised by a library"),
        pytest.param(wrap, "wrap", id="raised from a cause: where it was raised, not the cause"),
        pytest.param(comprehend, "comprehend", id="in a comprehension"),
        pytest.param(lazily, "lazily", id="in a generator expression"),
        pytest.param(Cart().total, "Cart.total.<locals>.price", id="in a local function"),
        pytest.param(group, "group", id="a group"),
        pytest.param(from_text, "from_text", id="code that has no file"),
    ],
)
def test_place_is_the_innermost_function_of_the_app(call: Callable[[], object], function: str) -> None:
    assert place(call) == HERE + function


def test_same_place_after_lines_have_moved() -> None:
    first, second = (
        "def view():\n    raise ValueError\nview()",
        "\n\n\ndef view():\n    x = 1\n    raise ValueError\nview()",
    )
    places = {
        place(lambda source=source: exec(compile(source, "/app/shop/views.py", "exec"), {}))  # type: ignore[misc]
        for source in (first, second)
    }
    assert places == {"app/shop/views.py in view"}


def test_failing_template_is_the_place(tmp_path: Path) -> None:
    (tmp_path / "cart.html").write_text("{% block total %}{{ 1 // 0 }}{% endblock %}")
    (tmp_path / "plain.html").write_text("\n\n{{ missing.price }}")
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(tmp_path), autoescape=True)
    assert str(place(environment.get_template("cart.html").render)).endswith("/cart.html in block 'total'")
    assert str(place(environment.get_template("plain.html").render)).endswith("/plain.html in top-level template code")


def test_without_a_frame_of_its_own_the_cause_tells_the_place() -> None:
    bare = RuntimeError("never raised")
    try:
        fail()
    except ValueError as error:
        bare.__cause__ = error
    assert described(bare, is_handled=True)[EXCEPTION_PLACE] == HERE + "fail"
    member = ExceptionGroup("never raised", [bare])
    assert described(member, is_handled=True)[EXCEPTION_PLACE] == HERE + "fail"


def test_exception_without_any_frame_has_no_place() -> None:
    attributes = described(ValueError("never raised"), is_handled=True)
    assert EXCEPTION_PLACE not in attributes
    assert attributes[EXCEPTION_GROUP] == "ValueError"


def test_group_is_type_and_place() -> None:
    with pytest.raises(ValueError, match="no") as caught:
        fail()
    assert described(caught.value, is_handled=True)[EXCEPTION_GROUP] == f"ValueError at {HERE}fail"


def test_circle_of_causes_ends() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__context__, second.__context__ = second, first
    assert EXCEPTION_PLACE not in described(first, is_handled=True)


def test_library_frames_name_the_place_where_no_frame_is_the_apps() -> None:
    scope: dict[str, object] = {}
    exec(compile("def call(): raise ValueError", "/venv/lib/python3.11/site-packages/shop/views.py", "exec"), scope)
    error = ValueError()
    try:
        scope["call"]()  # type: ignore[operator]
    except ValueError as caught:
        trace = caught.__traceback__
        assert trace is not None
        error.__traceback__ = trace.tb_next
    assert described(error, is_handled=True)[EXCEPTION_PLACE] == "site-packages/shop/views.py in call"


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/srv/shop/views.py", True),
        ("/srv/shop/.venv/lib/python3.11/site-packages/flask/app.py", False),
        ("/usr/lib/python3/dist-packages/django/core/handlers/base.py", False),
        ("C:\\shop\\venv\\Lib\\site-packages\\flask\\app.py", False),
        (json.__file__, False),
        ("<frozen importlib._bootstrap>", False),
        ("<string>", False),
    ],
)
def test_own_code_is_neither_installed_nor_pythons(path: str, *, own: bool) -> None:
    assert is_own(path) is own
