"""Which sessions a URL asks for, and the URLs of what is next to it: another sort, one filter less. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sojourn.core.session import EndReason
from sojourn.stores.reporting.model import Cursor, Filter, Sort
from sojourn.stores.tombstones import USER, VISITOR, DataSubject

from . import _ranges
from ._moments import Moments

_LONGEST: Final = 5_000
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
REASONS: Final = {
    EndReason.IDLE_TIMEOUT: "fell silent",
    EndReason.MAX_DURATION: "got too long",
    EndReason.ENDED: "ended by the app",
    EndReason.RESTARTED: "restarted",
    EndReason.USER_CHANGED: "another user came",
    EndReason.OPTED_OUT: "opted out",
}
_LABELS: Final = {
    "q": "Contains",
    "state": "State",
    "user": "User",
    "visitor": "Visitor",
    "entry": "Entered at",
    "path": "Saw",
    "prop": "Property",
    "errors": "Only with",
    "reason": "Ended because",
}
FIELDS: Final = tuple(_LABELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A filter that is on: what it says, and the query without it."""

    label: str
    value: str
    without: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The list that a URL asks for. `given` is what of the URL counts, without the place in the list."""

    filter: Filter
    sort: Sort
    is_ascending: bool
    cursor: Cursor | None
    range: _ranges.Range | None
    given: Mapping[str, str]

    @property
    def chips(self) -> list[Chip]:
        chips = []
        for name, label in _LABELS.items():
            if name not in self.given:
                continue
            without = {key: value for key, value in self.given.items() if key != name}
            value = self.given[name]
            match name:
                case "state":
                    value = "online or open"
                case "errors":
                    value = "errors"
                case "reason":
                    value = REASONS[EndReason(value)]
                case "prop":
                    value = f"{value} = {self.given.get('value', '')}"
                    without.pop("value", None)
            chips.append(Chip(label=label, value=value, without=without))
        if self.range is not None:
            without = {key: value for key, value in self.given.items() if key not in self.range.query}
            chips.append(Chip(label="Started", value=self.range.label, without=without))
        return chips

    def sorted_by(self, sort: Sort) -> Mapping[str, str]:
        """The query of this list sorted so; a second time, the other way round."""
        kept = {name: value for name, value in self.given.items() if name not in {"sort", "dir"}}
        if sort is not Sort.STARTED:
            kept["sort"] = sort.value
        if sort is self.sort and not self.is_ascending:
            kept["dir"] = "up"
        return kept


def wanted(query: Mapping[str, str], moments: Moments) -> Wanted:
    """Read it; what makes no sense counts as not given."""
    given = {name: value for name in FIELDS if (value := _typed(query, name).strip())}
    found = _ranges.chosen(query, moments)
    if given.get("state") != "open":
        given.pop("state", None)
    if given.get("errors") != "1":
        given.pop("errors", None)
    if given.get("reason") not in set(EndReason):
        given.pop("reason", None)
    # A property's name alone finds nothing; its value may be empty text.
    value = _typed(query, "value")
    if "prop" in given:
        given["value"] = value
    if found is not None:
        given.update(found.query)
    sort = _sort(query.get("sort", ""))
    is_ascending = query.get("dir") == "up"
    if sort is not Sort.STARTED:
        given["sort"] = sort.value
    if is_ascending:
        given["dir"] = "up"
    return Wanted(
        filter=Filter(
            span=found.span if found is not None else None,
            is_open=True if "state" in given else None,
            person=_person(given),
            entry_path=given.get("entry"),
            seen_path=given.get("path"),
            property=(_property(given["prop"]), value) if "prop" in given else None,
            has_errors="errors" in given,
            reason=EndReason(given["reason"]) if "reason" in given else None,
            text=given.get("q"),
        ),
        sort=sort,
        is_ascending=is_ascending,
        cursor=Cursor.from_text(query.get("at", "")),
        range=found,
        given=given,
    )


def _typed(query: Mapping[str, str], name: str) -> str:
    """What somebody typed: no control characters, for the store has none either."""
    return _CONTROL.sub("", query.get(name, "")[:_LONGEST])


def _sort(name: str) -> Sort:
    try:
        return Sort(name)
    except ValueError:
        return Sort.STARTED


def _person(given: Mapping[str, str]) -> DataSubject | None:
    if "user" in given:
        return DataSubject(USER, given["user"])
    return DataSubject(VISITOR, given["visitor"]) if "visitor" in given else None


def _property(name: str) -> str:
    prefix = "session_properties."
    return name if name.startswith(prefix) else prefix + name
