"""Who the framework says it is: three cases, and none of them loads a user or breaks anything."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest

from sojourn import UNKNOWN, User
from sojourn.tracking.principal import of_environ, of_scope, to_principal, user_id


class DataSubject:
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
    ("sources", "expected"),
    [
        pytest.param({}, UNKNOWN, id="nothing said"),
        pytest.param({"REMOTE_USER": "ada"}, User("ada"), id="REMOTE_USER"),
        pytest.param({"REMOTE_USER": ""}, UNKNOWN, id="an empty REMOTE_USER"),
        pytest.param({"user": DataSubject(is_authenticated=False)}, None, id="known to be anonymous"),
        pytest.param(
            {"user": DataSubject(is_authenticated=True, identity="7", display_name="Ada")},
            User("7", "Ada"),
            id="both names",
        ),
        pytest.param(
            {"user": DataSubject(is_authenticated=True, display_name="ada")}, User("ada", "ada"), id="a name alone"
        ),
        pytest.param({"user": Unfinished()}, User("ada", "ada"), id="no identity"),
        pytest.param({"user": DataSubject(is_authenticated=True)}, UNKNOWN, id="authenticated, but without an id"),
        pytest.param({"user": DataSubject(is_authenticated=True, identity="", display_name="")}, UNKNOWN, id="no name"),
        pytest.param({"user": DataSubject(is_authenticated=lambda: True)}, UNKNOWN, id="another framework's user"),
        pytest.param({"user": None}, UNKNOWN, id="no user object"),
        pytest.param({"state": {"user": "ada"}}, User("ada"), id="a dependency's text"),
        pytest.param({"state": {"user": 7}}, User("7"), id="a dependency's number"),
        pytest.param({"state": {"user": User("7", "Ada")}}, User("7", "Ada"), id="a dependency's User"),
        pytest.param({"state": {"user": {"sub": "7", "name": "Ada"}}}, User("7", "Ada"), id="a dependency's claims"),
        pytest.param({"state": {"user": {"email": "a@b.example"}}}, UNKNOWN, id="a mapping without an id"),
        pytest.param({"state": {"user": {"id": True}}}, UNKNOWN, id="a mapping with no id's type"),
        pytest.param({"state": {"user": None}}, None, id="a dependency's anonymous user"),
        pytest.param({"state": {"user": True}}, UNKNOWN, id="a flag"),
        pytest.param({"state": {"user": object()}}, UNKNOWN, id="the app's own object"),
        pytest.param({"state": {"lifespan": 1}}, UNKNOWN, id="a state without a user"),
    ],
)
def test_where_frameworks_put_it(sources: dict[str, Any], expected: object) -> None:
    assert (of_environ if "REMOTE_USER" in sources else of_scope)(sources) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param("ada", User("ada"), id="text"),
        pytest.param(7, User("7"), id="a number"),
        pytest.param(None, None, id="anonymous"),
        pytest.param("", None, id="anonymous, as text"),
        pytest.param(UNKNOWN, UNKNOWN, id="unknown"),
    ],
)
def test_what_the_apps_own_callable_may_return(said: object, expected: object) -> None:
    assert to_principal(said) == expected


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


@pytest.mark.parametrize("given", [None, True, 1.5, b"ada", {"ada"}, ["ada"]], ids=repr)
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
