"""What a filter of sessions is, the list that an address asks for, and the addresses next to it. Pure.

`_LABELS` names every filter; a dimension of `stores.dimensions` is one without further code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sojourn.core.session import EndReason
from sojourn.stores.dimensions import DIMENSIONS, NAMES
from sojourn.stores.model import USER, VISITOR, DataSubject
from sojourn.stores.reporting.model import Cursor, Filter, Sort

from . import _ranges
from ._moments import Moments
from ._parameters import Parameters

_PREFIX: Final = "session_properties."
_PROPERTY: Final = re.compile(r"[A-Za-z0-9_.]{1,200}")
REASONS: Final = {
    EndReason.IDLE_TIMEOUT: "Idle timeout",
    EndReason.MAX_DURATION: "Maximum duration",
    EndReason.ENDED: "Ended by the app",
    EndReason.RESTARTED: "Restarted",
    EndReason.USER_CHANGED: "User changed",
    EndReason.OPTED_OUT: "Opted out",
}
_LABELS: Final = {
    "q": "Search",
    "state": "State",
    "user": "User",
    "visitor": "Visitor",
    "entry": "Entry page",
    "path": "Viewed page",
    "prop": "Property",
    "errors": "With",
    "reason": "End reason",
    **{dimension.name: dimension.label for dimension in DIMENSIONS if dimension.name != "entry_path"},
}
FIELDS: Final = tuple(_LABELS)
_CHOICES: Final = {"state": ("open",), "errors": ("1",), "reason": tuple(reason.value for reason in EndReason)}
"""Filters with a closed set of values."""
_ALTERNATIVES: Final = ((USER, VISITOR), ("entry", "entry_path"))
"""Two filters of which one at most can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """An active filter: its label and value, and the URL parameters without it."""

    label: str
    value: str
    without: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """The sessions that an address asks for. `params`: its valid parameters."""

    filter: Filter
    range: _ranges.Range | None
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionQuery:
    """The list that an address asks for. `params`: its valid parameters, except for the cursor."""

    filter: Filter
    sort: Sort
    is_ascending: bool
    cursor: Cursor | None
    range: _ranges.Range | None
    params: Mapping[str, str]
    filter_params: Mapping[str, str]
    """Those that choose sessions, without their order."""

    @property
    def chips(self) -> list[Chip]:
        chips = []
        for name, label in _LABELS.items():
            if name not in self.params:
                continue
            without = {key: value for key, value in self.params.items() if key != name}
            value = self.params[name]
            match name:
                case "errors":
                    value = "errors"
                case "reason":
                    value = REASONS[EndReason(value)]
                case "prop":
                    value = f"{value} = {self.params.get('value', '')}"
                    without.pop("value", None)
            chips.append(Chip(label=label, value=value, without=without))
        if self.range is not None:
            without = {key: value for key, value in self.params.items() if key not in self.range.query}
            chips.append(Chip(label="Started", value=self.range.label, without=without))
        return chips

    def sorted_by(self, sort: Sort) -> Mapping[str, str]:
        """The parameters of this list sorted by a column; by the current one, in the other direction."""
        params = {name: value for name, value in self.params.items() if name not in {"sort", "dir"}}
        if sort is not Sort.STARTED:
            params["sort"] = sort.value
        if sort is self.sort and not self.is_ascending:
            params["dir"] = "up"
        return params


def parse_filter(parameters: Parameters, moments: Moments, *, subject: DataSubject | None = None) -> SessionFilter:
    """Read which sessions an address asks for. `subject`: the page is about this person; the address names no other."""
    params: dict[str, str] = {}
    for name in FIELDS:
        if subject is not None and name in {USER, VISITOR}:
            continue
        choices = _CHOICES.get(name)
        text = parameters.text(name) if choices is None else parameters.one_of(name, choices)
        if text:
            params[name] = text
    property_ = _property(parameters, params)
    for name, other in _ALTERNATIVES:
        if name in params and other in params:
            parameters.reject(other, f"cannot be combined with {name}; give one of them")
            del params[other]
    range_ = _ranges.from_query(parameters, moments)
    if range_ is not None:
        params.update(range_.query)
    return SessionFilter(
        filter=Filter(
            span=range_.span if range_ is not None else None,
            is_open=True if "state" in params else None,
            person=subject or _data_subject(params),
            entry_path=params.get("entry"),
            dimensions=tuple((name, params[name]) for name in NAMES if name in params),
            seen_path=params.get("path"),
            property=property_,
            has_errors="errors" in params,
            reason=EndReason(params["reason"]) if "reason" in params else None,
            text=params.get("q"),
        ),
        range=range_,
        params=params,
    )


def parse_query(parameters: Parameters, moments: Moments, *, subject: DataSubject | None = None) -> SessionQuery:
    """Read the list that an address asks for."""
    which = parse_filter(parameters, moments, subject=subject)
    params = dict(which.params)
    sort = Sort(parameters.one_of("sort", [each.value for each in Sort]) or Sort.STARTED)
    is_ascending = parameters.one_of("dir", ["up"]) == "up"
    if sort is not Sort.STARTED:
        params["sort"] = sort.value
    if is_ascending:
        params["dir"] = "up"
    return SessionQuery(
        filter=which.filter,
        sort=sort,
        is_ascending=is_ascending,
        cursor=parameters.parsed("at", Cursor.from_text, "take the link to another page of the list, or leave it out"),
        range=which.range,
        params=params,
        filter_params=which.params,
    )


def _property(parameters: Parameters, params: dict[str, str]) -> tuple[str, str] | None:
    """The property and its value; without a value it is the empty text."""
    value = parameters.exact("value")
    name = params.get("prop")
    if name is None:
        if value:
            parameters.reject("value", "needs the name of a property; add prop")
        return None
    full = name if name.startswith(_PREFIX) else _PREFIX + name
    if not _PROPERTY.fullmatch(full):
        parameters.reject("prop", "no property can have this name; use letters, digits, _ and .")
        del params["prop"]
        return None
    params["value"] = value
    return full, value


def _data_subject(params: Mapping[str, str]) -> DataSubject | None:
    if USER in params:
        return DataSubject(USER, params[USER])
    return DataSubject(VISITOR, params[VISITOR]) if VISITOR in params else None
