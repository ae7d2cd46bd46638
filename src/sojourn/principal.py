"""Who the framework authenticated: read at the response start, as plain values, waking nothing (no query, no I/O).

Three answers: a `User`, `None` (known to be nobody), or `UNKNOWN` (the framework did not say, which changes nothing).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from uuid import UUID

from .core.events import Scalar
from .facts import RequestFacts
from .privacy import printable

_LONGEST_ID = 256
_LONGEST_NAME = 256


class Unknown(Enum):
    """The type of `UNKNOWN`."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True, slots=True)
class User:
    """A user: `id` of at most 256 printable characters, a name to show, and traits (flat, scalars)."""

    id: str
    name: str | None = None
    traits: Mapping[str, Scalar] | None = None

    def __init__(
        self,
        id: str | int | UUID,  # noqa: A002 - what it is, in the words of the public API
        name: str | None = None,
        traits: Mapping[str, Scalar] | None = None,
    ) -> None:
        object.__setattr__(self, "id", user_id(id))
        object.__setattr__(self, "name", None if name is None else printable(str(name), _LONGEST_NAME))
        object.__setattr__(self, "traits", dict(traits) if traits else None)


def user_id(value: object) -> str:
    """A user id as text. `TypeError` for what can be none; `ValueError` for one that no backend could keep."""
    if isinstance(value, bool) or not isinstance(value, (str, int, UUID)):
        msg = f"a user id is str, int or UUID, not {type(value).__name__}: pass the id, not the user object"
        raise TypeError(msg)
    text = str.__str__(value) if isinstance(value, str) else str(value)
    if not text or len(text) > _LONGEST_ID or not text.isprintable():
        msg = f"a user id has 1 to {_LONGEST_ID} characters, all printable; this one has {len(text)}"
        raise ValueError(msg)
    return text


Answer = User | Unknown | None
Resolver = Callable[[Any], object]


def resolve(facts: RequestFacts, own: Resolver | None) -> Answer:
    """The principal of this request: by the app's own callable if there is one, else from where frameworks put it."""
    if own is not None:
        return _understood(own(facts.framework_request()))
    sources = facts.principal_sources()
    user = sources.get("user", UNKNOWN)
    if user is not UNKNOWN:
        return _starlette(user)
    remote = sources.get("REMOTE_USER")
    return User(remote) if remote else UNKNOWN


def says_nothing(sources: Mapping[str, Any]) -> bool:
    """Whether no framework has put a principal there: what most requests say, told quickly."""
    return "user" not in sources and "REMOTE_USER" not in sources


def _starlette(user: object) -> Answer:
    """`scope["user"]` of Starlette's `AuthenticationMiddleware`, or of what follows its interface."""
    is_authenticated = getattr(user, "is_authenticated", None)
    if is_authenticated is None or callable(is_authenticated):
        return UNKNOWN
    if not is_authenticated:
        return None
    name = _said(user, "display_name")
    named = _said(user, "identity") or name
    if named == "" or not isinstance(named, (str, int, UUID)):
        return UNKNOWN
    return User(named, name if isinstance(name, str) and name else None)


def _said(user: object, name: str) -> object:
    try:
        return getattr(user, name, None)
    except NotImplementedError:  # Starlette's BaseUser raises it for what a subclass leaves out
        return None


def _understood(answer: object) -> Answer:
    if answer is None or answer is UNKNOWN or isinstance(answer, User):
        return answer
    if answer == "":
        return None
    return User(user_id(answer))
