"""A link that shows one view to readers without a log-in: its figures and panels, and nothing about people.

The link holds a secret, of which the store has a hash. The range and the filters of the view are fixed when it is made.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from sojourn.core.goals import parse_name
from sojourn.stores.protocol import Store

from . import _filters, _overview, _panel_pages, _ranges
from ._moments import Moments
from ._panels import PANELS
from ._parameters import Parameters
from ._view import View, error_page
from ._web import Response, redirect
from .tokens import OF_ONE

KIND: Final = "share"
_MOST: Final = 100
_LONGEST: Final = 2_000
_ROWS: Final = 8
_SHOWN: Final = ("pages", "entries", "sources", "campaigns", "events", "browsers", "devices")


class _Stored(msgspec.Struct, frozen=True):
    hash: str
    created_at: int
    query: str


class SharedView(msgspec.Struct, frozen=True, kw_only=True):
    """A shared view by its name; `query` is that of the overview's address."""

    name: str
    created_at: int
    query: str


_stored: Final = msgspec.json.Decoder(_Stored)


def make(store: Store, name: str, address: str, moments: Moments) -> str:
    """Share the view of an address; return the secret of its link. Raises `ValueError` with the fix."""
    name = parse_name(name)
    query = urlsplit(address.strip()).query
    if len(query) > _LONGEST:
        msg = f"the address is longer than {_LONGEST:,} characters; use fewer filters"
        raise ValueError(msg)
    parameters = Parameters.of_query(query)
    _filters.parse_filter(parameters, moments)
    if problems := parameters.problems():
        msg = f"{problems[0].parameter}: {problems[0].message}"
        raise ValueError(msg)
    if any(key.rstrip("!~") in OF_ONE for key, _ in parse_qsl(query)):
        msg = "a shared view shows figures, not people; leave out the filters of a user, a visitor or a session"
        raise ValueError(msg)
    shared = listed(store)
    if any(each.name == name for each in shared) or len(shared) >= _MOST:
        msg = f"there is a link of the name {name}, or there are {_MOST}; withdraw one first"
        raise ValueError(msg)
    secret = secrets.token_urlsafe(32)
    text = msgspec.json.encode(_Stored(_hashed(secret), moments.now, query)).decode()
    store.definitions.set(KIND, name, text)
    return secret


def listed(store: Store) -> list[SharedView]:
    """All shared views by name."""
    return [SharedView(name=name, created_at=each.created_at, query=each.query) for name, each in _all(store)]


def page(view: View, secret: str) -> Response:
    """The shared view, whoever asks; 404 where the link was withdrawn."""
    hashed = _hashed(secret)
    found = next(((name, each) for name, each in _all(view.store) if each.hash == hashed), None)
    if found is None:
        return error_page(view, 404, "No such link", "This link was withdrawn, or is not complete.")
    name, stored = found
    which = _filters.parse_filter(Parameters.of_query(stored.query), view.moments)
    range_ = which.range or _ranges.preset(_overview.DEFAULT, view.moments)
    panels = [PANELS[each] for each in _SHOWN if each in PANELS]
    data = _panel_pages.load(view, range_.span, panels, which.filter)
    figures = _overview.load(view, range_, which.filter)
    return view.html(
        "share.html",
        name=name,
        range=range_,
        chips=which.chips,
        cards=_overview.cards(figures),
        data=figures,
        panels=[(panel, panel.lines(data)[:_ROWS]) for panel in panels],
    )


def add(view: View) -> Response:
    """Share a view, and show its link this once."""
    if not view.may_write:
        return error_page(
            view, 403, "Not allowed", "Only a reader who logged in with the report's password shares views."
        )
    form = view.request.form
    try:
        secret = make(view.store, form.get("name", ""), form.get("address", ""), view.moments)
    except ValueError as error:
        text = str(error)
        return error_page(view, 400, "Not shared", f"{text[:1].upper()}{text[1:]}. Go back and try again.")
    return shares(view, link=view.request.url(f"/share/{secret}"))


def withdraw(view: View) -> Response:
    if not view.may_write:
        return error_page(
            view, 403, "Not allowed", "Only a reader who logged in with the report's password withdraws links."
        )
    view.store.definitions.remove(KIND, view.request.form.get("name", ""))
    return redirect(view.request.url("/shares"))


def shares(view: View, *, link: str | None = None) -> Response:
    """The page of shared views."""
    context: dict[str, Any] = {"shared": listed(view.store), "link": link}
    return view.html("shares.html", **context)


def _all(store: Store) -> list[tuple[str, _Stored]]:
    return [(each.name, _stored.decode(each.text)) for each in store.definitions.of(KIND)]


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
