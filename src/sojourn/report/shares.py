"""Links that show one saved view to readers without a log-in: its figures and panels, and nothing about people.

A link holds a secret, of which the store has a hash. It shows the view as it is at the time: changes of the view show, another
name does not matter, and of a deleted view nothing is shown, even if a new one gets its name.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

import msgspec

from sojourn.core.goals import parse_name
from sojourn.stores.protocol import Store

from ._credentials import hash_of
from ._filters import Selection, is_about_one
from ._saved_views import SavedView
from ._saved_views import all_of as views_of

__all__ = ["DURATIONS", "KIND", "SharedLink", "find", "listed", "make", "refusal", "revoke", "views_of"]

KIND: Final = "share"
MOST: Final = 100
_DAY_MS: Final = 86_400_000
DURATIONS: Final = {
    "7d": (7 * _DAY_MS, "7 days"),
    "30d": (30 * _DAY_MS, "30 days"),
    "90d": (90 * _DAY_MS, "90 days"),
    "365d": (365 * _DAY_MS, "a year"),
    "": (None, "until it is revoked"),
}
"""How long a link works, as the page offers it."""


class _Stored(msgspec.Struct, frozen=True):
    hash: str
    created_at: int
    view_id: str
    until: int | None = None


class SharedLink(msgspec.Struct, frozen=True, kw_only=True):
    """A link by its name, without its secret. `until` in ms; `None`: until it is revoked."""

    name: str
    created_at: int
    view_id: str
    until: int | None

    def has_ended(self, now: int) -> bool:
        return self.until is not None and now >= self.until


_stored: Final = msgspec.json.Decoder(_Stored)


def make(store: Store, saved: SavedView, name: str, *, now: int, lasts_ms: int | None = None) -> str:
    """Make a link that shows this view, and return its secret. Raises `ValueError` with the fix."""
    name = parse_name(name)
    if (reason := refusal(saved.selection)) is not None:
        raise ValueError(reason)
    if len(store.definitions.of(KIND)) >= MOST:
        msg = f"there are {MOST} links already; revoke one first"
        raise ValueError(msg)
    secret = secrets.token_urlsafe(32)
    stored = _Stored(hash_of(secret), now, saved.id, None if lasts_ms is None else now + lasts_ms)
    if not store.definitions.add(KIND, name, msgspec.json.encode(stored).decode()):
        msg = f"there is a link named {name}; revoke it first, or give this one another name"
        raise ValueError(msg)
    return secret


def listed(store: Store) -> list[SharedLink]:
    """All links by name, those included that have ended."""
    return [link for link, _ in _all(store)]


def revoke(store: Store, name: str) -> bool:
    """Let a link show nothing from now on, in every process; whether there was one."""
    return store.definitions.remove(KIND, name)


def refusal(which: Selection) -> str | None:
    """Why no link can show this; `None`: one can."""
    if is_about_one(which.filter):
        return "a link shows figures, not people; share a view without filters of a user or a visitor, and without a search"
    return None


def find(store: Store, secret: str, now: int, views: Sequence[SavedView]) -> SavedView | str:
    """The view that a link shows; or why it shows none, as its holder may know it."""
    hashed = hash_of(secret)
    # Of 256 random bits: comparing their hashes in plain time helps no one to guess.
    link = next((link for link, each in _all(store) if each == hashed), None)
    if link is None:
        return "This link was revoked, or is not complete."
    if link.has_ended(now):
        return "This link has expired. Ask for a new one."
    saved = next((each for each in views if each.id == link.view_id), None)
    if saved is None:
        return "The view that this link showed was deleted."
    if saved.problem is not None or refusal(saved.selection) is not None:
        return "The view of this link was changed, and can no longer be shown by a link."
    return saved


def _all(store: Store) -> list[tuple[SharedLink, str]]:
    found = []
    for each in store.definitions.of(KIND):
        stored = _stored.decode(each.text)
        link = SharedLink(name=each.name, created_at=stored.created_at, view_id=stored.view_id, until=stored.until)
        found.append((link, stored.hash))
    return found
