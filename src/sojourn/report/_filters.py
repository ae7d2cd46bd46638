"""The filter that an address asks for: its conditions, the list it makes, and the addresses next to it.

Fields, operators and values are those of `stores.reporting.filters`; here they meet the parameters of an address.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sojourn.backends.campaigns import UTM
from sojourn.core.session import EndReason
from sojourn.stores.model import DataSubject
from sojourn.stores.reporting.filters import (
    FIELDS,
    Condition,
    InvalidFilterError,
    Operator,
    condition,
    first_conflict,
    is_filter,
)
from sojourn.stores.reporting.model import Cursor, Filter, Sort

from . import _ranges
from ._links import INTERVAL, RANGE, Params
from ._measures import MEASURES
from ._moments import Moments
from ._parameters import Parameters

REASONS: Final = {
    EndReason.IDLE_TIMEOUT: "Idle timeout",
    EndReason.MAX_DURATION: "Maximum duration",
    EndReason.ENDED: "Ended by the app",
    EndReason.RESTARTED: "Restarted",
    EndReason.USER_CHANGED: "User changed",
    EndReason.OPTED_OUT: "Opted out",
}
_EXPECTED: Final = tuple(name for name, field in FIELDS.items() if not field.has_detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """An active filter: its label, operator and value, and what the reader looks at without it."""

    label: str
    operator: str
    value: str
    without: Params


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What an address asks to look at: sessions, their range, and what the chart shows. `params`: its valid parameters.

    Every page takes all of it, so that the reader's choice survives the way through pages that have no chart, or a time of
    their own.
    """

    filter: Filter
    range: _ranges.Range | None
    params: Params

    @property
    def measure(self) -> str | None:
        return _one(self.params, "measure")

    @property
    def chips(self) -> list[Chip]:
        """One for each condition, and one for the text."""
        chips = []
        for each in self.filter.conditions:
            others = [other for other in self.filter.conditions if other is not each]
            if params_of([each]).keys() <= self.params.keys():  # not whom the page is about
                without = {**_beside_conditions(self.params), **params_of(others)}
                chips.append(Chip(label=each.label, operator=each.operator.words, value=_shown(each), without=without))
        if self.filter.text:
            without = {name: value for name, value in self.params.items() if name != "q"}
            chips.append(Chip(label="Search", operator="contains", value=self.filter.text, without=without))
        return chips

    @property
    def range_chip(self) -> list[Chip]:
        """One for the range, where a page has no other control for it."""
        if self.range is None:
            return []
        without = {name: value for name, value in self.params.items() if name not in RANGE}
        return [Chip(label="Started", operator="in", value=self.range.label, without=without)]

    @property
    def cleared(self) -> Params:
        """What is left without conditions and text."""
        return {name: value for name, value in self.params.items() if name in {*RANGE, "measure", INTERVAL}}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionQuery:
    """The list that an address asks for."""

    which: Selection
    sort: Sort
    is_ascending: bool
    cursor: Cursor | None

    @property
    def filter(self) -> Filter:
        return self.which.filter

    @property
    def own(self) -> Params:
        """The parameters of its order."""
        return _order(self.sort, is_ascending=self.is_ascending)

    def sorted_by(self, sort: Sort) -> Params:
        """Those of the list sorted by a column; by the current one, in the other direction."""
        return _order(sort, is_ascending=sort is self.sort and not self.is_ascending)


OFFERED: Final = tuple(FIELDS.values())
"""What the form offers to filter by."""


def params_of(conditions: Iterable[Condition]) -> Params:
    """The parameters of an address with these conditions."""
    values: dict[str, list[str]] = {}
    for each in conditions:
        values.setdefault(each.parameter, []).append(each.value)
    return {name: texts[0] if len(texts) == 1 else tuple(texts) for name, texts in values.items()}


def parse_filter(parameters: Parameters, moments: Moments, *, subject: DataSubject | None = None) -> Selection:
    """Read what an address asks to look at. `subject`: the page is about this person; the address names no other."""
    parameters.text("view")  # it stands for what it has, which is read here
    text = parameters.text("q")
    conditions = _conditions(parameters, without=() if subject is None else ("user", "visitor"))
    params: dict[str, str | tuple[str, ...]] = {**({"q": text} if text else {}), **params_of(conditions)}
    range_ = _ranges.from_query(parameters, moments)
    if range_ is not None:
        params.update(range_.query)
    for name, choices in (("measure", MEASURES), (INTERVAL, _ranges.INTERVALS)):
        if (choice := parameters.one_of(name, choices)) is not None:
            params[name] = choice
    if subject is not None:
        conditions += (Condition(subject.kind, Operator.IS, subject.id),)
    return Selection(
        filter=Filter(span=range_.span if range_ is not None else None, conditions=conditions, text=text or None),
        range=range_,
        params=params,
    )


def parse_query(parameters: Parameters, moments: Moments, *, subject: DataSubject | None = None) -> SessionQuery:
    """Read the list that an address asks for."""
    return SessionQuery(
        which=parse_filter(parameters, moments, subject=subject),
        sort=Sort(parameters.one_of("sort", [each.value for each in Sort]) or Sort.STARTED),
        is_ascending=parameters.one_of("dir", ["up"]) == "up",
        cursor=parameters.parsed("at", Cursor.from_text, "take the link to another page of the list, or leave it out"),
    )


def _conditions(parameters: Parameters, *, without: tuple[str, ...]) -> tuple[Condition, ...]:
    parameters.expect(name for name in _EXPECTED if name not in without)
    conditions: list[Condition] = []
    for name in parameters.names:
        if name.lower().startswith(UTM) or not is_filter(name):
            continue
        for value in parameters.all(name):
            try:
                made = condition(name, value) if value.strip() or name.startswith(("prop.", "event.")) else None
            except InvalidFilterError as error:
                parameters.reject(name, str(error))
                continue
            if made is not None and made.field in without:
                parameters.reject(name, "this page is about one person; leave it out")
            elif made is not None:
                conditions.append(made)
    conditions += _property(parameters) + _added(parameters)
    while (conflict := first_conflict(conditions)) is not None:
        parameters.reject(conflict.parameter, str(conflict))
        last = max(place for place, each in enumerate(conditions) if each.parameter == conflict.parameter)
        del conditions[last]
    return tuple(conditions)


def _property(parameters: Parameters) -> list[Condition]:
    """The property of a form that has a field for its name and one for its value."""
    name, value = parameters.text("prop"), parameters.exact("value")
    if not name:
        if value:
            parameters.reject("value", "needs the name of a property; add prop")
        return []
    if not value:  # in an address an empty value takes a filter away
        parameters.reject("prop", "needs its value; add value")
        return []
    try:
        return [condition(f"prop.{name}", value)]
    except InvalidFilterError as error:
        parameters.reject("prop", str(error))
        return []


def _added(parameters: Parameters) -> list[Condition]:
    """The condition of a form that adds one. That of a property has its name before the value: `plan=pro`."""
    name = parameters.one_of("field", FIELDS)
    operator = parameters.one_of("op", [each.value for each in Operator])
    value = parameters.exact("is")
    if name is None:
        return []
    detail = ""
    if FIELDS[name].has_detail:
        detail, _, value = value.partition("=")
        if not value:
            parameters.reject("is", "needs the property's value, as in plan=pro")
            return []
    try:
        return [condition(f"{name}{detail.strip()}{Operator(operator or Operator.IS).sign}", value)]
    except InvalidFilterError as error:
        parameters.reject("is", str(error))
        return []


def _beside_conditions(params: Params) -> Params:
    return {name: value for name, value in params.items() if not is_filter(name)}


def _order(sort: Sort, *, is_ascending: bool) -> Params:
    return {"sort": "" if sort is Sort.STARTED else sort.value, "dir": "up" if is_ascending else ""}


def is_about_one(where: Filter) -> bool:
    """Whether a filter can find one person, or one session: its figures are not aggregates."""
    return bool(where.text) or any(each.field in {"user", "visitor"} for each in where.conditions)


def _one(params: Params, name: str) -> str | None:
    value = params.get(name)
    return value if isinstance(value, str) else None


def _shown(each: Condition) -> str:
    return REASONS[EndReason(each.value)] if each.field == "reason" else each.value
