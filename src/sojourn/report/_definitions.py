"""Goals and funnels on pages: which ones there are, and who may define one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

from sojourn.core.goals import Funnel, Goal, parse_name
from sojourn.stores.definitions import FUNNEL, GOAL, funnels_of, goals_of

from ._view import View, error_page, form_error
from ._web import Response, redirect

MOST: Final = 100
"""How many of a kind may be defined on a page."""
_READ_ONLY: Final = (
    "Only a reader who logged in with the report's password can define goals and funnels. "
    "Or define them in the settings."
)

Defined = TypeVar("Defined", Goal, Funnel)


@dataclass(frozen=True, slots=True)
class Definition(Generic[Defined]):
    """A goal or a funnel. One of the settings cannot be changed on a page."""

    value: Defined
    is_setting: bool


def goals(view: View) -> list[Definition[Goal]]:
    """All goals, those of the settings first."""
    merged = goals_of(view.stored_goals, view.source.goals)
    return [Definition(each, is_setting=each in view.source.goals) for each in merged]


def funnels(view: View) -> list[Definition[Funnel]]:
    """All funnels likewise."""
    merged = funnels_of(view.store.definitions.of(FUNNEL), view.source.funnels)
    return [Definition(each, is_setting=each in view.source.funnels) for each in merged]


def add(view: View, kind: str, path: str, field: str, parse: Callable[[str], str]) -> Response:
    """Define what a form says, and show it; or say what is wrong with it. `parse` returns the text to keep."""
    if not view.may_write:
        return error_page(view, 403, "Not allowed", _READ_ONLY)
    form = view.request.form
    try:
        name = parse_name(form.get("name", ""))
        text = parse(form.get(field, ""))
    except ValueError as error:
        return form_error(view, 400, "Not saved", str(error))
    settings = view.source.goals if kind == GOAL else view.source.funnels
    if any(name == each.name for each in settings):
        return error_page(view, 409, "Not saved", f"{name} is defined in the settings. Choose another name.")
    stored = view.store.definitions.of(kind)
    if len(stored) >= MOST and all(name != each.name for each in stored):
        return error_page(view, 409, "Not saved", f"There are {MOST} already. Remove one first.")
    view.store.definitions.set(kind, name, text)
    return redirect(f"{view.request.url(path)}?{urlencode({kind: name}, errors='replace')}")


def remove(view: View, kind: str, path: str) -> Response:
    """Remove what was defined on a page."""
    if not view.may_write:
        return error_page(view, 403, "Not allowed", _READ_ONLY)
    view.store.definitions.remove(kind, view.request.form.get("name", ""))
    return redirect(view.request.url(path))
