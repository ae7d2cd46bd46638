"""The filter language of overview, lists, exports, API and command line: what a condition is, how it is read and printed. Pure.

A condition is a field, an operator and a value, written alike everywhere: `browser=Firefox` (is), `browser!=Firefox` (is not),
`entry~=/shop` (contains). In an address it is a parameter, whose name ends in the operator's sign. `FIELDS` has every field:
each dimension of `stores.dimensions` is one without further code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final

import msgspec

from sojourn.core.events import EXCEPTION, EXCEPTION_GROUP, PAGE_VIEW
from sojourn.core.session import EndReason
from sojourn.stores.dimensions import DIMENSIONS

NONE: Final = "(none)"
"""The value of sessions that have none: `referrer=(none)` are direct visits."""


class InvalidFilterError(ValueError):
    """What is wrong with a condition, and what to write instead. `parameter`: its name in an address."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


class Operator(StrEnum):
    """`IS` and `IS_NOT` take `*` at the end of a text for any rest; upper and lower case differ. `CONTAINS` takes
    ASCII letters of either case."""

    IS = "is"
    IS_NOT = "is_not"
    CONTAINS = "contains"

    @property
    def sign(self) -> str:
        """What stands between a field's name and `=`."""
        return _SIGNS[self]

    @property
    def words(self) -> str:
        return self.value.replace("_", " ")


_SIGNS: Final = {Operator.IS: "", Operator.IS_NOT: "!", Operator.CONTAINS: "~"}
_OPERATORS: Final = {sign: operator for operator, sign in _SIGNS.items() if sign}


class Kind(Enum):
    """What the values of a field are, and where they stand."""

    TEXT = auto()
    """Of a column, which may be empty."""
    CHOICE = auto()
    """One of a few words."""
    NUMBER = auto()
    """A whole number, or a range of them: `3`, `3..`, `..3`, `2..5`."""
    DURATION = auto()
    """Likewise, with units: `30s`, `10m..`, `1h..2h`."""
    SEEN = auto()
    """An attribute of any event of one name, such as the path of a page view. A session may have many."""
    EVENT = auto()
    """The name of any event. A session may have many."""
    EVENT_PROPERTY = auto()
    """A property of the event that `event=` names; the condition's `detail` is its name."""
    PROPERTY = auto()
    """A session property; the condition's `detail` is its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """`source`: the column, or for `SEEN` the attribute of the events named `event`."""

    name: str
    label: str
    meaning: str
    kind: Kind
    source: str = ""
    event: str = ""
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()

    @property
    def operators(self) -> tuple[Operator, ...]:
        if self.kind in {Kind.CHOICE, Kind.NUMBER, Kind.DURATION}:
            return (Operator.IS, Operator.IS_NOT)
        return tuple(Operator)

    @property
    def has_many(self) -> bool:
        """Whether a session can have several values of it."""
        return self.kind in {Kind.SEEN, Kind.EVENT}

    @property
    def has_detail(self) -> bool:
        return self.kind in {Kind.PROPERTY, Kind.EVENT_PROPERTY}


def _choice(name: str, label: str, meaning: str, *choices: str) -> Field:
    return Field(name=name, label=label, meaning=meaning, kind=Kind.CHOICE, choices=choices)


def _seen(name: str, label: str, meaning: str, *, event: str, attribute: str) -> Field:
    return Field(name=name, label=label, meaning=meaning, kind=Kind.SEEN, event=event, source=attribute)


_ALL: Final = (
    _choice("state", "State", "`open` or `closed`", "open", "closed"),
    _choice("identified", "Identified", "`yes` or `no`: whether a user is known", "yes", "no"),
    Field(
        name="user",
        label="User",
        meaning="the user's id; with `~`, also part of the name",
        kind=Kind.TEXT,
        source="user_id",
    ),
    Field(name="visitor", label="Visitor", meaning="the browser's `visitor.id`", kind=Kind.TEXT, source="visitor_id"),
    *(
        Field(
            name=each.filter_name or each.name,
            label=each.label,
            meaning=each.meaning,
            kind=Kind.TEXT,
            source=each.name,
            aliases=(each.name,) if each.filter_name else (),
        )
        for each in DIMENSIONS
    ),
    _seen("path", "Viewed page", "the path of any page view", event=PAGE_VIEW, attribute="url.path"),
    _seen("route", "Viewed route", "the route of any page view", event=PAGE_VIEW, attribute="http.route"),
    _seen(
        "error",
        "Error",
        "type and place of any exception, as in `KeyError at shop/cart.py in pay`",
        event=EXCEPTION,
        attribute=EXCEPTION_GROUP,
    ),
    Field(name="event", label="Event", meaning="the name of any event", kind=Kind.EVENT),
    Field(
        name="event.",
        label="Event property",
        meaning="a property of the event that `event=` names, as in `event.currency=EUR`",
        kind=Kind.EVENT_PROPERTY,
    ),
    Field(name="prop.", label="Property", meaning="a session property, as in `prop.plan=pro`", kind=Kind.PROPERTY),
    Field(
        name="duration",
        label="Duration",
        meaning="from the start to the last activity: `30s..`, `..10m`, `1m..5m`",
        kind=Kind.DURATION,
        source="(s.last_seen_at - s.started_at)",
    ),
    Field(name="pages", label="Page views", meaning="how many: `1`, `5..`", kind=Kind.NUMBER, source="s.page_views"),
    Field(
        name="events",
        label="Tracked events",
        meaning="how many by `track()`: `0`, `1..`",
        kind=Kind.NUMBER,
        source="s.tracked_events",
    ),
    Field(name="errors", label="Errors", meaning="how many: `0`, `1..`", kind=Kind.NUMBER, source="s.errors"),
    _choice("reason", "End reason", "why it ended", *(reason.value for reason in EndReason)),
)
FIELDS: Final = {field.name: field for field in _ALL}
"""By name, in the order of the report."""
_BY_NAME: Final = FIELDS | {alias: field for field in _ALL for alias in field.aliases}


class Condition(msgspec.Struct, frozen=True):
    """What must hold for a session. `detail`: the name of a property, without its prefix."""

    field: str
    operator: Operator
    value: str
    detail: str = ""

    @property
    def definition(self) -> Field:
        return FIELDS[self.field]

    @property
    def name(self) -> str:
        """The name without the operator."""
        return f"{self.field}{self.detail}"

    @property
    def parameter(self) -> str:
        """The name in an address."""
        return f"{self.name}{self.operator.sign}"

    @property
    def text(self) -> str:
        """As it is written on a command line. `parse_condition` reads it."""
        return f"{self.parameter}={self.value}"

    @property
    def label(self) -> str:
        label = self.definition.label
        return f"{label} {self.detail}" if self.detail else label


def condition(parameter: str, value: str) -> Condition:
    """Make a condition of a parameter's name, operator included, and its value. Raises `InvalidFilterError`."""
    name, operator = parameter, Operator.IS
    if parameter[-1:] in _OPERATORS:
        name, operator = parameter[:-1], _OPERATORS[parameter[-1:]]
    field, detail = _field(name)
    if field is None:
        from difflib import get_close_matches  # only for an error: no request waits for the import

        near = get_close_matches(name, _BY_NAME, 1)
        fix = f"did you mean {near[0]}?" if near else f"use {', '.join(FIELDS)}"
        raise InvalidFilterError(parameter, f"unknown filter; {fix}")
    if operator not in field.operators:
        raise InvalidFilterError(parameter, f"has no operator {operator.sign}=; use {field.name}= or {field.name}!=")
    if field.has_detail and not _DETAIL.fullmatch(detail):
        raise InvalidFilterError(parameter, "no property can have this name; use letters, digits, _ and .")
    text = value if field.has_detail else value.strip()
    _check(field, parameter, text)
    return Condition(field.name, operator, text, detail)


def parse_condition(text: str) -> Condition:
    """Read a condition as a command line has it. Raises `InvalidFilterError`."""
    parameter, is_pair, value = text.partition("=")
    if not is_pair:
        raise InvalidFilterError(text, "give NAME=VALUE, NAME!=VALUE or NAME~=VALUE")
    return condition(parameter.strip(), value)


def is_filter(parameter: str) -> bool:
    """Whether a parameter's name is that of a filter, operator included or not."""
    name = parameter[:-1] if parameter[-1:] in _OPERATORS else parameter
    return _field(name)[0] is not None


def canonical_name(parameter: str) -> str:
    """The name that a filter's parameter has in an address that we make; any other name stays as it is."""
    sign = parameter[-1:] if parameter[-1:] in _OPERATORS else ""
    field, detail = _field(parameter.removesuffix(sign) if sign else parameter)
    return parameter if field is None else f"{field.name}{detail}{sign}"


def first_conflict(conditions: Iterable[Condition]) -> InvalidFilterError | None:
    """What is wrong with conditions that are each right: no session could match them, or one lacks another."""
    singles: set[str] = set()
    events = 0
    lonely: Condition | None = None
    for each in conditions:
        field = each.definition
        if field.kind is Kind.EVENT and each.operator is not Operator.IS_NOT:
            events += 1
        if field.kind is Kind.EVENT_PROPERTY:
            lonely = lonely or each
        if each.operator is Operator.IS and not field.has_many:
            if each.name in singles:
                return InvalidFilterError(each.parameter, "a session has one value of it; give it once")
            singles.add(each.name)
    if lonely is not None and events != 1:
        fix = (
            "needs the event that it belongs to; add event=" if not events else "belongs to one event; give one event="
        )
        return InvalidFilterError(lonely.parameter, fix)
    return None


def bounds(field: Field, value: str) -> tuple[int | None, int | None] | None:
    """The least and the greatest number that match, in ms for a duration; `None` if the text is no range."""
    low, is_range, high = value.partition("..")
    read = _milliseconds if field.kind is Kind.DURATION else _whole
    least, greatest = read(low), read(high)
    if not is_range:
        return None if least is None else (least, least if field.kind is Kind.NUMBER else _within(low, least))
    if (low and least is None) or (high and greatest is None) or not (low or high):
        return None
    if least is not None and greatest is not None and least > greatest:
        return None
    return least, greatest


# A closed range of durations ends with its unit: what lasted 1.4 s is shown as 1 s, and is in `1s`.
def _within(text: str, at: int) -> int:
    return at + _UNITS[_DURATION_TEXT.fullmatch(text.strip())[2]] - 1  # type: ignore[index]


def _check(field: Field, parameter: str, value: str) -> None:
    match field.kind:
        case Kind.CHOICE if value not in field.choices:
            raise InvalidFilterError(parameter, f'unknown value "{value[:40]}"; use {_listed(field.choices)}')
        case Kind.NUMBER if bounds(field, value) is None:
            raise InvalidFilterError(
                parameter, f'unknown value "{value[:40]}"; give a number or a range such as 3, 3.., ..3 or 2..5'
            )
        case Kind.DURATION if bounds(field, value) is None:
            raise InvalidFilterError(
                parameter, f'unknown value "{value[:40]}"; give a range of durations such as 30s.., ..10m or 1m..1h'
            )
        case Kind.TEXT | Kind.SEEN | Kind.EVENT if not value:
            raise InvalidFilterError(parameter, f"needs a value; {NONE} is that of sessions without one")


def _field(name: str) -> tuple[Field | None, str]:
    field = _BY_NAME.get(name)
    if field is not None and not field.has_detail:
        return field, ""
    first, dot, detail = name.partition(".")
    field = _BY_NAME.get(first + dot) if dot else None
    if field is None:
        return None, ""
    prefix = "session_properties." if field.kind is Kind.PROPERTY else "event_properties."
    return field, detail.removeprefix(prefix)


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


_DETAIL: Final = re.compile(r"[A-Za-z0-9_.]{1,200}")
_DURATION_TEXT: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else None


def _milliseconds(text: str) -> int | None:
    parts = _DURATION_TEXT.fullmatch(text.strip())
    return int(parts[1]) * _UNITS[parts[2]] if parts else None


def names() -> Iterator[str]:
    """The names of all fields, as a list of them shows them."""
    return (f"{field.name}NAME" if field.has_detail else field.name for field in FIELDS.values())
