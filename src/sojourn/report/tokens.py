"""Named tokens of programs: long-lived, read-only, kept as hashes, listed and revoked by name.

A token reads figures. Only one that was made for it reads about people too: the list of sessions, the users' panel, and figures
of one person. It opens no page and sends no form.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec

from sojourn.core.goals import parse_name
from sojourn.stores.protocol import Store

from ._credentials import hash_of
from ._view import View, error_page, form_error
from ._web import Request, Response, redirect

KIND: Final = "token"
MOST: Final = 100
PREFIX: Final = "sjn_"
"""Tells a leaked one from any other text: scanners of secrets find it."""
_FIGURES: Final = re.compile(
    r"/overview\.json|/live/online|/(agents|event)\.(json|csv)|/panels/[a-z_]{1,40}\.(json|csv)"
)
_PEOPLE: Final = re.compile(r"/sessions\.(json|csv)|/panels/users\.(json|csv)")
_NO_PEOPLE: Final = "This token reads figures, not people. Make one with the right to read about people."
_READ_ONLY: Final = (
    "Only a reader who logged in with the report's password can make and revoke tokens. Or use `sojourn tokens`."
)


class _Stored(msgspec.Struct, frozen=True):
    hash: str
    created_at: int
    reads_people: bool = False


_stored: Final = msgspec.json.Decoder(_Stored)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A named token, without its secret. `created_at` in ms."""

    name: str
    created_at: int
    reads_people: bool

    def refusal(self, request: Request) -> str | None:
        """Why it does not grant this request; `None`: it does."""
        if request.method not in {"GET", "HEAD"}:
            return "A token of this kind only reads."
        is_of_people = _PEOPLE.fullmatch(request.path) is not None
        if not is_of_people and _FIGURES.fullmatch(request.path) is None:
            return "A token of this kind reads JSON and CSV of figures, and sessions.json; it opens no page."
        return _NO_PEOPLE if is_of_people and not self.reads_people else None

    def refusal_of_people(self, view: View) -> str | None:
        """Likewise for the filter that the address asks for."""
        return None if self.reads_people or not view.is_about_one else _NO_PEOPLE


def make(store: Store, name: str, *, now: int, reads_people: bool) -> str:
    """Make a token and return it: it is shown once, and not kept. Raises `ValueError` with the fix."""
    name = parse_name(name)
    listed_now = listed(store)
    if any(each.name == name for each in listed_now):
        msg = f"there is a token of this name; revoke it first, or choose another name than {name}"
        raise ValueError(msg)
    if len(listed_now) >= MOST:
        msg = f"there are {MOST} tokens already; revoke one first"
        raise ValueError(msg)
    token = PREFIX + secrets.token_urlsafe(32)
    text = msgspec.json.encode(_Stored(hash_of(token), now, reads_people)).decode()
    store.definitions.set(KIND, name, text)
    return token


def listed(store: Store) -> list[ApiToken]:
    """All tokens by name."""
    return [
        ApiToken(name=name, created_at=each.created_at, reads_people=each.reads_people) for name, each in _all(store)
    ]


def revoke(store: Store, name: str) -> bool:
    """Refuse a token from now on, in every process; whether there was one."""
    return store.definitions.remove(KIND, name)


def lookup(store: Callable[[], Store]) -> Callable[[str], ApiToken | None]:
    """Make the function that finds the token that a request bears. It raises `StoreError`."""

    def find(guess: str) -> ApiToken | None:
        if not guess.startswith(PREFIX):
            return None
        hashed = hash_of(guess)
        # Of 256 random bits: comparing their hashes in plain time helps no one to guess.
        found = next(((name, each) for name, each in _all(store()) if each.hash == hashed), None)
        if found is None:
            return None
        name, each = found
        return ApiToken(name=name, created_at=each.created_at, reads_people=each.reads_people)

    return find


def _all(store: Store) -> list[tuple[str, _Stored]]:
    return [(each.name, _stored.decode(each.text)) for each in store.definitions.of(KIND)]


# --- the page


def page(view: View) -> Response:
    return _page(view)


def add(view: View) -> Response:
    """Make a token, and show it this once."""
    if not view.may_write:
        return error_page(view, 403, "Not allowed", _READ_ONLY)
    form = view.request.form
    name = form.get("name", "")
    try:
        token = make(view.store, name, now=view.now, reads_people=form.get("people") == "1")
    except ValueError as error:
        return form_error(view, 400, "Not made", str(error))
    return _page(view, token=token, made=name.strip())


def remove(view: View) -> Response:
    if not view.may_write:
        return error_page(view, 403, "Not allowed", _READ_ONLY)
    revoke(view.store, view.request.form.get("name", ""))
    return redirect(view.request.url("/tokens"))


def _page(view: View, **context: Any) -> Response:
    shown = cast("dict[str, Any]", {"token": None, "made": None, **context})
    return view.html("tokens.html", tokens=listed(view.store), **shown)
