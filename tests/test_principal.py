"""Who the framework says it is: three answers, and none of them wakes or breaks anything."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest

from sojourn import UNKNOWN, User
from sojourn.principal import resolve, user_id


class Facts:
    """A request with these places to look for a principal in."""

    method, path, cookie, is_https = "GET", "/", b"", False

    def __init__(self, sources: dict[str, Any]) -> None:
        self.sources = sources

    def header(self, name: str) -> str:
        return ""

    def client_address(self) -> str | None:
        return None

    def route(self) -> str | None:
        return None

    def framework_request(self) -> Any:
        return "the request"

    def principal_sources(self) -> dict[str, Any]:
        return self.sources


class Person:
    """As little as the interface asks."""

    def __init__(self, **parts: Any) -> None:
        self.__dict__.update(parts)


class Unfinished:
    """A user class that leaves out what Starlette's base class demands."""

    is_authenticated = True
    display_name = "ada"

    @property
    def identity(self) -> str:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("sources", "answer"),
    [
        pytest.param({}, UNKNOWN, id="nothing said"),
        pytest.param({"REMOTE_USER": "ada"}, User("ada"), id="REMOTE_USER"),
        pytest.param({"REMOTE_USER": ""}, UNKNOWN, id="an empty REMOTE_USER"),
        pytest.param({"user": Person(is_authenticated=False)}, None, id="known to be nobody"),
        pytest.param(
            {"user": Person(is_authenticated=True, identity="7", display_name="Ada")}, User("7", "Ada"), id="both names"
        ),
        pytest.param(
            {"user": Person(is_authenticated=True, display_name="ada")}, User("ada", "ada"), id="a name alone"
        ),
        pytest.param({"user": Unfinished()}, User("ada", "ada"), id="no identity"),
        pytest.param({"user": Person(is_authenticated=True)}, UNKNOWN, id="authenticated, but nobody says who"),
        pytest.param({"user": Person(is_authenticated=True, identity="", display_name="")}, UNKNOWN, id="no name"),
        pytest.param({"user": Person(is_authenticated=lambda: True)}, UNKNOWN, id="another framework's user"),
        pytest.param({"user": None}, UNKNOWN, id="no user object"),
    ],
)
def test_where_frameworks_put_it(sources: dict[str, Any], answer: object) -> None:
    assert resolve(Facts(sources), None) == answer


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        pytest.param("ada", User("ada"), id="text"),
        pytest.param(7, User("7"), id="a number"),
        pytest.param(None, None, id="nobody"),
        pytest.param("", None, id="nobody, as text"),
        pytest.param(UNKNOWN, UNKNOWN, id="unknown"),
    ],
)
def test_the_apps_own_callable_overrules_the_framework(said: object, answer: object) -> None:
    asked: list[object] = []

    def own(request: object) -> object:
        asked.append(request)
        return said

    assert resolve(Facts({"REMOTE_USER": "other"}), own) == answer
    assert asked == ["the request"]


class Colour(StrEnum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("ada", "ada"),
        (0, "0"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Colour.RED, "red"),
        (Number.ONE, "1"),
        ("x" * 256, "x" * 256),
    ],
)
def test_user_ids(given: object, text: str) -> None:
    found = user_id(given)
    assert found == text
    assert type(found) is str


@pytest.mark.parametrize("given", [None, True, 1.5, b"ada", object(), ["ada"]], ids=repr)
def test_what_can_be_no_user_id_is_a_type_error(given: object) -> None:
    with pytest.raises(TypeError, match="str, int or UUID"):
        user_id(given)


@pytest.mark.parametrize("given", ["", "x" * 257, "a\nb", "a\x00", "\ud800"], ids=repr)
def test_what_no_backend_could_keep_is_a_value_error(given: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        User(given)


def test_a_user_is_frozen_and_shows_itself() -> None:
    user = User(7, "Ada\x00", {"plan": "pro"})
    assert (user.id, user.name, user.traits) == ("7", "Ada\ufffd", {"plan": "pro"})
    with pytest.raises(AttributeError):
        user.id = "8"  # type: ignore[misc]
    assert repr(UNKNOWN) == "UNKNOWN"
