"""The one place that makes SQL of a filter: conditions over a session AS s, for both databases. Values are parameters.

The cheap conditions stand first: those on events are looked up session by session.
"""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from sojourn.core.events import EXCEPTION, RESERVED_NAMES
from sojourn.stores import wire
from sojourn.stores.dialect import Dialect

from .filters import NONE, Condition, Kind, Operator, bounds

_TEXTS: Final = ("user_id", "user_name", "visitor_id", "session_id", "entry_path", "referrer")
_LONGEST_NUMBER: Final = 25
_LIKE: Final = re.compile(r"([\\%_])")
_CHOICES: Final = {
    ("state", "open"): "s.end_reason IS NULL",
    ("state", "closed"): "s.end_reason > ''",
    ("identified", "yes"): "s.user_id IS NOT NULL",
    ("identified", "no"): "s.user_id IS NULL",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """SQL conditions that all must hold, and the values of their parameters."""

    parts: tuple[str, ...]
    values: Mapping[str, object]
    reads_events: bool = False

    @property
    def sql(self) -> str:
        """One condition."""
        return " AND ".join(self.parts) or "1 = 1"


def sessions_where(d: Dialect, conditions: Iterable[Condition], text: str | None = None) -> Conditions:
    """The conditions of a filter over a session AS s. `text` is looked for in its ids, names and addresses."""
    return _Compiler(d).compile(tuple(conditions), text)


@dataclass(slots=True)
class _Compiler:
    d: Dialect
    values: dict[str, object] = field(default_factory=dict)

    def compile(self, conditions: tuple[Condition, ...], text: str | None) -> Conditions:
        cheap: list[str] = []
        dear: list[str] = []
        named = [each for each in conditions if each.definition.kind is Kind.EVENT]
        details = [each for each in conditions if each.definition.kind is Kind.EVENT_PROPERTY]
        for each in conditions:
            match each.definition.kind:
                case Kind.TEXT:
                    cheap.append(self._negated(each, self._column(each)))
                case Kind.CHOICE:
                    cheap.append(self._negated(each, self._choice(each)))
                case Kind.NUMBER | Kind.DURATION:
                    cheap.append(self._negated(each, self._range(each)))
                case Kind.PROPERTY:
                    cheap.append(self._negated(each, self._property(each)))
                case Kind.SEEN:
                    attribute = self.d.field.format("e.data", each.definition.source)
                    name = f"e.name = '{each.definition.event}'"
                    found = self._found(name, self._matches(attribute, each))
                    if each.definition.event == EXCEPTION:  # few sessions have one: their events alone are looked up
                        found = f"(s.errors > 0 AND {found})"
                    dear.append(f"NOT {found}" if each.operator is Operator.IS_NOT else found)
                case Kind.EVENT if each.operator is Operator.IS_NOT:
                    dear.append(self._exists(each, self._matches("e.name", each)))
                case Kind.EVENT | Kind.EVENT_PROPERTY:
                    pass
        positive = [each for each in named if each.operator is not Operator.IS_NOT]
        if details:
            tests = [self._negated(each, self._event_property(each)) for each in details]
            dear.append(self._found(*(self._matches("e.name", each) for each in positive), *tests))
            cheap += self._tracked(positive)
        else:
            dear += [self._found(self._matches("e.name", each)) for each in positive]
            cheap += self._tracked(positive)
        if text:
            cheap.append(self._text_in(text))
        return Conditions(parts=(*cheap, *dear), values=self.values, reads_events=bool(dear))

    def _value(self, value: object) -> str:
        name = f"f{len(self.values)}"
        self.values[name] = wire.clean(value) if isinstance(value, str) else value
        return self.d[name]

    @staticmethod
    def _negated(each: Condition, positive: str) -> str:
        # A session without a value is not of this value.
        return f"({positive}) IS NOT TRUE" if each.operator is Operator.IS_NOT else positive

    @staticmethod
    def _tracked(events: Iterable[Condition]) -> list[str]:
        """A cheap condition that holds wherever these events are there, if one of them is the app's own."""
        names = [each.value for each in events if each.operator is Operator.IS and not each.value.endswith("*")]
        has_own = any(name not in RESERVED_NAMES for name in names)
        return ["s.tracked_events > 0"] if has_own else []

    def _exists(self, each: Condition, *tests: str) -> str:
        found = self._found(*tests)
        return f"NOT {found}" if each.operator is Operator.IS_NOT else found

    @staticmethod
    def _found(*tests: str) -> str:
        of_session = "e.session_key = s.key"
        return f"EXISTS (SELECT 1 FROM sojourn_events AS e WHERE {' AND '.join((of_session, *tests))})"

    def _column(self, each: Condition) -> str:
        column = f"s.{each.definition.source}"
        matches = self._matches(column, each)
        if each.operator is Operator.CONTAINS:
            also = f" OR {self._contains('s.user_name', each.value)}" if each.field == "user" else ""
            return f"({matches}{also})"
        return f"({column} IS NULL OR {matches})" if each.value == NONE else matches

    def _matches(self, column: str, each: Condition) -> str:
        """Whether a text is what a condition names, negated or not."""
        if each.operator is Operator.CONTAINS:
            return self._contains(column, each.value)
        if each.value.endswith("*"):
            # Not by LIKE, which ignores case in one database and not in the other.
            start = self._value(each.value[:-1])
            return f"substr({column}, 1, length({start})) = {start}"
        return f"{column} = {self._value(each.value)}"

    def _contains(self, column: str, value: str) -> str:
        return self.d.contains.format(column, self._value(lower(value)))

    def _choice(self, each: Condition) -> str:
        if each.field == "reason":
            return f"s.end_reason = {self._value(each.value)}"
        return _CHOICES[each.field, each.value]

    def _range(self, each: Condition) -> str:
        least, greatest = bounds(each.definition, each.value) or (None, None)
        column = each.definition.source
        tests = []
        if least is not None:
            tests.append(f"{column} >= {self._value(least)}")
        if greatest is not None:
            tests.append(f"{column} <= {self._value(greatest)}")
        return " AND ".join(tests)

    def _property(self, each: Condition) -> str:
        name = self._value(self.d.property_name.format(f"session_properties.{each.detail}"))
        return self._is_property(each, self.d.property_text.format(name))

    def _event_property(self, each: Condition) -> str:
        name = self._value(self.d.event_property_name.format(f"event_properties.{each.detail}"))
        return self._is_property(each, self.d.event_property_text.format(name))

    def _is_property(self, each: Condition, text: str) -> str:
        if each.operator is Operator.CONTAINS or each.value.endswith("*"):
            return self._matches(text, each)
        if each.value == NONE:
            return f"({text} IS NULL OR {text} = {self._value(each.value)})"
        return f"{text} IN ({', '.join(map(self._value, _texts(each.value)))})"

    def _text_in(self, text: str) -> str:
        """Whether a session has this text anywhere, with ASCII letters of either case."""
        escaped = _LIKE.sub(r"\\\1", wire.clean(text))
        like = f"{self.d.like} {self._value(f'%{escaped}%')} ESCAPE '\\'"
        return "(" + " OR ".join(f"s.{column} {like}" for column in _TEXTS) + ")"


_UPPER: Final = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def lower(text: str) -> str:
    """ASCII letters in lower case, as both databases do it."""
    return text.translate(_UPPER)


def _texts(text: str) -> list[str]:
    """Return a text, and if it is a number also as databases write the same one."""
    try:
        number = float(text) if len(text) <= _LONGEST_NUMBER else math.nan
    except (ValueError, OverflowError):
        return [text]
    if not math.isfinite(number):
        return [text]
    short = [f"{number:.{digits}g}" for digits in (15, 17)]  # by SQLite, old and new
    written = [repr(number), msgspec.json.encode(number).decode(), *short, *map(_with_fraction, short)]
    return list(dict.fromkeys((text, *written)))


def _with_fraction(text: str) -> str:
    mantissa, sign, exponent = text.partition("e")
    return text if "." in mantissa else f"{mantissa}.0{sign}{exponent}"
