"""Saved views: what a reader looks at, kept under a name. `?view=name` stands for all that the view has.

What else an address has is put over the view: a parameter replaces that of the same name, an empty one takes it away, any other
is added. A range of any kind replaces the view's range and interval. Nothing here knows of pages.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Final
from urllib.parse import urlencode

import msgspec

from sojourn.core.saved_views import NamedQuery, parse_query
from sojourn.errors import SettingsError
from sojourn.stores.definitions import VIEW, StoredView, view_of
from sojourn.stores.protocol import Store
from sojourn.stores.reporting.filters import canonical_name

from . import _filters
from ._filters import Selection
from ._links import INTERVAL, RANGE, Params
from ._moments import Moments
from ._parameters import Parameters

MOST: Final = 100
PARAMETER: Final = "view"


@dataclass(frozen=True, kw_only=True)
class SavedView:
    """A view by its name. One of the settings cannot be changed on a page."""

    name: str
    id: str
    query: str
    is_setting: bool = False
    now: int = 0

    @cached_property
    def _read(self) -> tuple[Selection, Parameters]:
        parameters = Parameters.of_query(self.query)
        return _filters.parse_filter(parameters, Moments(self.now)), parameters

    @property
    def selection(self) -> Selection:
        return self._read[0]

    @property
    def problem(self) -> str | None:
        """What this version cannot read of it."""
        self._read  # noqa: B018 - the problems are those of what was read
        problems = self._read[1].problems()
        return f"{problems[0].parameter}: {problems[0].message}" if problems else None


def all_of(store: Store, settings: Sequence[NamedQuery], now: int) -> list[SavedView]:
    """The views of the settings, then those of the store that have other names."""
    found = [
        SavedView(name=each.name, id=f"setting:{each.name}", query=each.query, is_setting=True, now=now)
        for each in settings
    ]
    names = {each.name for each in settings}
    for each in store.definitions.of(VIEW):
        if each.name not in names:
            stored = view_of(each)
            found.append(SavedView(name=each.name, id=stored.id, query=stored.query, now=now))
    return found


def text_of(query: str, *, own_id: str | None = None) -> str:
    """What the store keeps. `own_id`: of the view that changes; else it is a new one."""
    return msgspec.json.encode(StoredView(own_id or secrets.token_hex(16), query)).decode()


def parse(address: str, views: Callable[[], Sequence[SavedView]], moments: Moments) -> str:
    """The query to keep of an address. Raises `ValueError` with the fix."""
    parameters, _ = opened(parse_query(address), views)
    which = _filters.parse_filter(parameters, moments)
    if problems := parameters.problems():
        msg = f"{problems[0].parameter}: {problems[0].message}"
        raise ValueError(msg)
    if not which.params:
        msg = "choose a filter, a range or a measure first: this address shows everything"
        raise ValueError(msg)
    return parse_query(urlencode(which.params, doseq=True))


def check(settings: Iterable[NamedQuery], moments: Moments) -> None:
    """Raise `SettingsError` for a view of the settings that no page could show."""
    for each in settings:
        try:
            parse(f"?{each.query}", tuple, moments)
        except ValueError as error:
            msg = f"saved_views: {each.name}: {error}"
            raise SettingsError(msg) from None


def opened(query: str, views: Callable[[], Sequence[SavedView]]) -> tuple[Parameters, SavedView | None]:
    """The parameters of an address, those of the view that it names included; and that view."""
    parameters = Parameters.of_query(query)
    name = parameters.first(PARAMETER)
    if not name:
        return parameters, None
    every = views()
    saved = next((each for each in every if each.name == name), None)
    if saved is None:
        near = get_close_matches(name, [each.name for each in every], 1)
        fix = f"did you mean {near[0]}?" if near else "it may have been renamed or deleted"
        parameters.reject(PARAMETER, f"there is no saved view of this name; {fix}")
        return parameters, None
    if saved.problem is not None:
        parameters.reject(PARAMETER, f"a part of it cannot be read: {saved.problem}")
    parameters.put_under(remaining(saved.selection.params, parameters.given))
    return parameters, saved


def remaining(params: Params, given: Iterable[str]) -> Params:
    """What a view adds to an address that has these names."""
    names = {canonical_name(name) for name in given}
    if names & {*RANGE}:
        names |= {*RANGE, INTERVAL}
    return {name: value for name, value in params.items() if name not in names}


def beside(saved: Params, wanted: Params) -> Params:
    """What an address must have beside the view to mean `wanted`: the way back from `remaining`."""
    changed = {name for name, value in wanted.items() if saved.get(name) != value}
    gone = saved.keys() - wanted.keys()
    if (changed | gone) & {*RANGE}:
        changed |= {*RANGE, INTERVAL} & wanted.keys()
        gone -= {INTERVAL} | (set(RANGE) if wanted.keys() & {*RANGE} else set())
    return {name: value for name, value in wanted.items() if name in changed} | dict.fromkeys(sorted(gone), ("",))
