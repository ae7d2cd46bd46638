"""The page of saved views, and the forms that save, change, rename and delete one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sojourn.core.goals import parse_name
from sojourn.stores.definitions import VIEW

from . import _saved_views, shares
from ._filters import Chip
from ._saved_views import SavedView
from ._view import View, error_page, form_error
from ._web import Response, redirect

_READ_ONLY: Final = (
    "Only a reader who logged in with the report's password can save, rename, delete and share views. "
    "Or define views in the settings."
)
_PAGES: Final = re.compile(r"/(|sessions|goals|funnels|retention|panels/[a-z_]{1,40})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A view as the page lists it. `refusal`: why no link can show it; `links`: how many do."""

    saved: SavedView
    chips: list[Chip]
    measure: str | None
    refusal: str | None
    links: int


def views(view: View, *, link: str | None = None) -> Response:
    """The saved views, and the links that show one without a log-in. `link`: the one that was just made."""
    links = shares.listed(view.store)
    rows = []
    for saved in view.saved_views:
        which = saved.selection
        rows.append(
            Row(
                saved=saved,
                chips=which.chips + which.range_chip,
                measure=which.measure,
                refusal=shares.refusal(which),
                links=sum(each.view_id == saved.id for each in links),
            )
        )
    names = {each.id: each.name for each in view.saved_views}
    return view.html(
        "views.html",
        rows=rows,
        shared=links,
        names=names,
        link=link,
        durations=shares.DURATIONS,
        full_link=view.request.site + (link or ""),
        has_links=view.has_links,
    )


def add(view: View) -> Response:
    """Save what the reader looks at, and open it."""
    if not view.may_write:
        return error_page(view, 403, "Not allowed", _READ_ONLY)
    form = view.request.form
    try:
        name = parse_name(form.get("name", ""))
        query = _saved_views.parse(form.get("address", ""), lambda: view.saved_views, view.moments)
    except ValueError as error:
        return _not_saved(view, 400, str(error))
    if any(each.name == name for each in view.saved_views):
        return _not_saved(
            view, 409, f"there is a view named {name}; open it and save its changes, or choose another name"
        )
    if len(view.saved_views) >= _saved_views.MOST:
        return _not_saved(view, 409, f"there are {_saved_views.MOST} views already; delete one first")
    if not view.store.definitions.add(VIEW, name, _saved_views.text_of(query)):
        return _not_saved(view, 409, f"there is a view named {name}; choose another name")
    return _opened(view, name)


def change(view: View) -> Response:
    """Let a view be what the reader looks at now. Its links go on, and show the change."""
    saved = _changeable(view)
    if isinstance(saved, Response):
        return saved
    try:
        query = _saved_views.parse(view.request.form.get("address", ""), lambda: view.saved_views, view.moments)
    except ValueError as error:
        return _not_saved(view, 400, str(error))
    if not view.store.definitions.change(VIEW, saved.name, _saved_views.text_of(query, own_id=saved.id)):
        return _gone(view)
    return _opened(view, saved.name)


def rename(view: View) -> Response:
    saved = _changeable(view)
    if isinstance(saved, Response):
        return saved
    try:
        name = parse_name(view.request.form.get("to", ""))
    except ValueError as error:
        return _not_saved(view, 400, str(error))
    if name != saved.name:
        if any(each.name == name for each in view.saved_views):
            return _not_saved(view, 409, f"there is a view named {name}; choose another name")
        if not view.store.definitions.rename(VIEW, saved.name, name):
            return _gone(view)
    return redirect(view.request.url("/views"))


def remove(view: View) -> Response:
    """Delete a view. Links that show it stay in the list, and show nothing."""
    saved = _changeable(view)
    if isinstance(saved, Response):
        return saved
    view.store.definitions.remove(VIEW, saved.name)
    return redirect(view.request.url("/views"))


def share(view: View) -> Response:
    """Make a link that shows a view, and show it this once."""
    if not view.may_write:
        return error_page(view, 403, "Not allowed", _READ_ONLY)
    form = view.request.form
    saved = _named(view, form.get("view", ""))
    if saved is None:
        return _gone(view)
    lasts_ms = shares.DURATIONS.get(form.get("for", ""), (None, ""))[0]
    try:
        secret = shares.make(view.store, saved, form.get("name", "") or saved.name, now=view.now, lasts_ms=lasts_ms)
    except ValueError as error:
        return form_error(view, 400, "Not shared", str(error))
    return views(view, link=view.request.url(f"/share/{secret}"))


def revoke(view: View) -> Response:
    if not view.may_write:
        return error_page(view, 403, "Not allowed", _READ_ONLY)
    shares.revoke(view.store, view.request.form.get("name", ""))
    return redirect(view.request.url("/views"))


def _changeable(view: View) -> SavedView | Response:
    """The view that a form means, if this reader may change it; else why not."""
    if not view.may_write:
        return error_page(view, 403, "Not allowed", _READ_ONLY)
    saved = _named(view, view.request.form.get("name", ""))
    if saved is None:
        return _gone(view)
    if saved.is_setting:
        return _not_saved(view, 409, f"{saved.name} is defined in the settings; change it there")
    return saved


def _named(view: View, name: str) -> SavedView | None:
    return next((each for each in view.saved_views if each.name == name), None)


def _opened(view: View, name: str) -> Response:
    page = view.request.form.get("page", "")
    return redirect(view.request.url(page if _PAGES.fullmatch(page) else "/", view=name))


def _gone(view: View) -> Response:
    return error_page(
        view, 404, "No such view", "It may have been renamed or deleted meanwhile. Go back and reload the page."
    )


def _not_saved(view: View, status: int, text: str) -> Response:
    return form_error(view, status, "Not saved", text)
