"""The list that a URL asks for, and the URLs next to it: another sort, one filter less. Pure."""

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

_LONGEST: Final = 5_000
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """An active filter: its label and value, and the URL parameters without it."""

    label: str
    value: str
    without: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionQuery:
    """A parsed URL of the session list. `params`: its valid parameters, except for the cursor."""

    filter: Filter
    sort: Sort
    is_ascending: bool
    cursor: Cursor | None
    range: _ranges.Range | None
    params: Mapping[str, str]

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


def parse_query(query: Mapping[str, str], moments: Moments) -> SessionQuery:
    """Parse a URL's parameters; invalid ones are ignored."""
    params = {name: value for name in FIELDS if (value := _clean(query, name).strip())}
    range_ = _ranges.from_query(query, moments)
    if params.get("state") != "open":
        params.pop("state", None)
    if params.get("errors") != "1":
        params.pop("errors", None)
    if params.get("reason") not in set(EndReason):
        params.pop("reason", None)
    # A property without a value filters by the empty text.
    value = _clean(query, "value")
    if "prop" in params:
        params["value"] = value
    if range_ is not None:
        params.update(range_.query)
    sort = _sort(query.get("sort", ""))
    is_ascending = query.get("dir") == "up"
    if sort is not Sort.STARTED:
        params["sort"] = sort.value
    if is_ascending:
        params["dir"] = "up"
    return SessionQuery(
        filter=Filter(
            span=range_.span if range_ is not None else None,
            is_open=True if "state" in params else None,
            person=_data_subject(params),
            entry_path=params.get("entry"),
            dimensions=tuple((name, params[name]) for name in NAMES if name in params),
            seen_path=params.get("path"),
            property=(_property_name(params["prop"]), value) if "prop" in params else None,
            has_errors="errors" in params,
            reason=EndReason(params["reason"]) if "reason" in params else None,
            text=params.get("q"),
        ),
        sort=sort,
        is_ascending=is_ascending,
        cursor=Cursor.from_text(query.get("at", "")),
        range=range_,
        params=params,
    )


def _clean(query: Mapping[str, str], name: str) -> str:
    """A parameter without control characters: stored text has none either."""
    return _CONTROL.sub("", query.get(name, "")[:_LONGEST])


def _sort(name: str) -> Sort:
    try:
        return Sort(name)
    except ValueError:
        return Sort.STARTED


def _data_subject(params: Mapping[str, str]) -> DataSubject | None:
    if "user" in params:
        return DataSubject(USER, params["user"])
    return DataSubject(VISITOR, params["visitor"]) if "visitor" in params else None


def _property_name(name: str) -> str:
    prefix = "session_properties."
    return name if name.startswith(prefix) else prefix + name
