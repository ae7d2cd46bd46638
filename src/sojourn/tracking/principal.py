"""The user that the framework authenticated, read at the response start as plain values: no query, no I/O.

A principal is a `User`, `None` (no user is logged in), or `UNKNOWN` (the framework did not say, which changes nothing).

See S5 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from uuid import UUID

from sojourn.core.property_values import PropertyValue
from sojourn.core.user_ids import LONGEST, is_user_id

from .masking import printable
from .user_objects import ID_KEYS, NAME_KEYS, values_of

_LONGEST_NAME = 256


class Unknown(Enum):
    """The type of `UNKNOWN`."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True, slots=True)
class User:
    """A user: `id` of at most 256 characters (see `core.user_ids`), a name to show, and traits (see docs/properties.md)."""

    id: str
    name: str | None = None
    traits: Mapping[str, PropertyValue | None] | None = None

    def __init__(
        self,
        id: str | int | UUID,  # noqa: A002 - its name in the public API
        name: str | None = None,
        traits: Mapping[str, PropertyValue | None] | None = None,
    ) -> None:
        object.__setattr__(self, "id", user_id(id))
        object.__setattr__(self, "name", None if name is None else printable(str(name), _LONGEST_NAME))
        object.__setattr__(self, "traits", dict(traits) if traits else None)


def user_id(value: object) -> str:
    """A user id as text. Raises `TypeError` for another type, `ValueError` for an id that backends cannot store."""
    if isinstance(value, bool) or not isinstance(value, (str, int, UUID)):
        msg = f"a user id must be a str, int or UUID, not {type(value).__name__}: pass the id, not the user object"
        raise TypeError(msg)
    # By the methods of the built-in types: an app's subclass may do anything in its own.
    text = (
        str.__str__(value)
        if isinstance(value, str)
        else int.__repr__(value)
        if isinstance(value, int)
        else UUID.__str__(value)
    )
    if not is_user_id(text):
        msg = (
            f"a user id has 1 to {LONGEST} printable characters, without control characters and marks of direction; "
            f"this one has {len(text)}"
        )
        raise ValueError(msg)
    return text


Principal = User | Unknown | None
Resolver = Callable[[Any], object]

ROUTE_KEY: Final = "sojourn.route"
"""Where a hook leaves the template of the matched route, in a scope or an environ."""
USER_KEY: Final = "sojourn.user"
"""Where a hook leaves the user that the framework has loaded: a `User`, `None` (no user), or `UNKNOWN`."""


def of_scope(scope: Mapping[str, Any]) -> Principal:
    """The principal in an ASGI scope: `scope["user"]`, `request.state.user`, or what the framework left."""
    if "user" in scope and (principal := _from_user(scope["user"])) is not UNKNOWN:
        return principal
    state = scope.get("state")
    if state and "user" in state:
        return of_object(state["user"])
    user: Principal = scope.get(USER_KEY, UNKNOWN)
    return user


def of_environ(environ: Mapping[str, Any]) -> Principal:
    """The principal in a WSGI environ: what the framework left, or the server's `REMOTE_USER`."""
    user: Principal = environ.get(USER_KEY, UNKNOWN)
    if user is not UNKNOWN:
        return user
    remote = environ.get("REMOTE_USER")
    return User(remote) if remote else UNKNOWN


def to_principal(value: object) -> Principal:
    """What the app's own callable returned: `User`, str, int, `UUID`, `None` (no user) or `UNKNOWN`."""
    if value is None or value is UNKNOWN or isinstance(value, User):
        return value
    if value == "":
        return None
    return User(user_id(value))


def _from_user(user: object) -> Principal:
    """`scope["user"]`: Starlette's interface, or any object with an id, as Litestar has it."""
    principal = _from_starlette(user)
    return of_object(user) if principal is UNKNOWN and user is not None else principal


def _from_starlette(user: object) -> Principal:
    """`scope["user"]` of Starlette's `AuthenticationMiddleware`, or of what follows its interface."""
    is_authenticated = getattr(user, "is_authenticated", None)
    if is_authenticated is None or callable(is_authenticated):
        return UNKNOWN
    if not is_authenticated:
        return None
    name = _attribute(user, "display_name")
    identity = _attribute(user, "identity") or name
    if identity == "" or not isinstance(identity, (str, int, UUID)):
        return UNKNOWN
    return User(identity, name if isinstance(name, str) and name else None)


def _attribute(user: object, name: str) -> object:
    try:
        return getattr(user, name, None)
    except NotImplementedError:  # Starlette's BaseUser raises it for what a subclass leaves out
        return None


def of_object(user: object) -> Principal:
    """The user in what an app keeps, as in `request.state.user`: an id, a mapping with one, a `User`, an object, `None`."""
    kind = type(user)  # its own class: a proxy pretends to be another's, and would run to find out
    if user is None or issubclass(kind, str | int | UUID | User):
        return UNKNOWN if issubclass(kind, bool) else to_principal(user)
    values: Mapping[str, Any] = user if issubclass(kind, Mapping) else values_of(user)  # type: ignore[assignment]
    if values.get("is_authenticated") is False:
        return None
    found = (value for key in ID_KEYS if (value := values.get(key)) is not None)
    identity = next((value for value in found if type(value) is not str or value), None)
    if identity is None or not issubclass(type(identity), str | int | UUID) or issubclass(type(identity), bool):
        return UNKNOWN  # `principal=` reads what has no id
    name = next((values[key] for key in NAME_KEYS if issubclass(type(values.get(key)), str)), None)
    return User(identity, name)


def of_session(session: Any) -> Principal:
    """The `user_id` in a framework's session, a dict that knows whether the app itself has opened it."""
    if not getattr(session, "accessed", False):
        return UNKNOWN
    user_id = dict.get(session, "user_id")  # not `session.get`, which counts as opened
    if user_id is None or user_id == "":
        return None
    return User(user_id) if isinstance(user_id, str | int) and not isinstance(user_id, bool) else UNKNOWN
