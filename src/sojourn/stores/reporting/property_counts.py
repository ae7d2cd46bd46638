"""Counts what the events of one name carry: the values of their properties, and what these add up to. Pure.

Names and values are chosen by an application, and often by its visitors: there may be thousands of either, of any length. So
much is kept of them, and the rest is a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Final

import msgspec

from sojourn.core.properties import EVENT_PREFIX

KEPT_PROPERTIES: Final = 100
KEPT_VALUES: Final = 1_000
"""Of a property."""
_KEPT_IN_ALL: Final = 20_000
LONGEST: Final = 200
"""Longer values count as one if they begin alike."""


class ValueCount(msgspec.Struct, frozen=True, kw_only=True):
    """A value as text. `is_cut`: `text` is how it begins."""

    text: str
    events: int
    sessions: int
    is_cut: bool = False


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """What the values of a property come to, where all of them are numbers. `total`: `None` if that is beyond a float."""

    total: float | None
    median: float
    least: float
    greatest: float


class PropertyFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One property, without its prefix. `values`: the most frequent first; `others`: events with another value than these."""

    name: str
    events: int
    sessions: int
    values: tuple[ValueCount, ...]
    others: int = 0
    numbers: Numbers | None = None


class EventFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The events of one name in a span. `unlisted`: how often they carry a property beyond those that are kept."""

    events: int
    sessions: int
    properties: tuple[PropertyFigures, ...] = ()
    unlisted: int = 0
    is_sampled: bool = False
    """Counted in a sample: show the numbers as "about"."""


class _Count:
    """Events, and sessions as far as the events of each come in one go."""

    __slots__ = ("events", "latest", "sessions")

    def __init__(self) -> None:
        self.events = self.sessions = 0
        self.latest = ""

    def add(self, session_key: str) -> None:
        self.events += 1
        if session_key != self.latest:
            self.sessions += 1
            self.latest = session_key


class _Property(_Count):
    __slots__ = ("is_numeric", "numbers", "others", "values")

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[tuple[str, bool], _Count] = {}
        self.others = 0
        self.numbers: list[float] = []
        self.is_numeric = True


class PropertyCounter:
    """Takes events, those of a session one after the other."""

    def __init__(self) -> None:
        self._properties: dict[str, _Property] = {}
        self._all = _Count()
        self._unlisted = 0
        self._kept = 0
        self.seen: int = 0
        """How many values were looked at."""

    @property
    def events(self) -> int:
        return self._all.events

    def add(self, session_key: str, attributes: Mapping[str, object]) -> None:
        self._all.add(session_key)
        for name, value in attributes.items():
            if value is None or not name.startswith(EVENT_PREFIX):
                continue
            self.seen += 1
            known = self._properties.get(name)
            if known is None:
                if len(self._properties) >= KEPT_PROPERTIES:
                    self._unlisted += 1
                    continue
                known = self._properties[name] = _Property()
            known.add(session_key)
            self._add_value(known, session_key, value)

    def _add_value(self, known: _Property, session_key: str, value: object) -> None:
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
            known.numbers.append(value)
        else:
            known.is_numeric = False
        text = text_of(value)
        key = text[:LONGEST], len(text) > LONGEST
        count = known.values.get(key)
        if count is None:
            if len(known.values) >= KEPT_VALUES or self._kept >= _KEPT_IN_ALL:
                known.others += 1
                return
            self._kept += 1
            count = known.values[key] = _Count()
        count.add(session_key)

    def figures(self, factor: float = 1.0, *, is_sampled: bool = False) -> EventFigures:
        """What was counted, the most frequent properties and values first. `factor`: one event stands for so many."""

        def scaled(number: int) -> int:
            return round(number * factor)

        listed = sorted(self._properties.items(), key=lambda item: (-item[1].events, item[0]))
        return EventFigures(
            events=scaled(self._all.events),
            sessions=scaled(self._all.sessions),
            properties=tuple(
                PropertyFigures(
                    name=name.removeprefix(EVENT_PREFIX),
                    events=scaled(each.events),
                    sessions=scaled(each.sessions),
                    values=tuple(
                        ValueCount(
                            text=text, events=scaled(count.events), sessions=scaled(count.sessions), is_cut=is_cut
                        )
                        for (text, is_cut), count in sorted(
                            each.values.items(), key=lambda item: (-item[1].events, item[0])
                        )
                    ),
                    others=scaled(each.others),
                    numbers=_numbers(each.numbers, factor) if each.is_numeric else None,
                )
                for name, each in listed
            ),
            unlisted=scaled(self._unlisted),
            is_sampled=is_sampled,
        )


def text_of(value: object) -> str:
    """A value as a filter finds it: whole numbers without a fraction, what is nested as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    return msgspec.json.encode(value).decode()


def _numbers(numbers: list[float], factor: float) -> Numbers | None:
    if not numbers:
        return None
    total = sum(numbers) * factor
    ordered = sorted(numbers)
    below, above = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return Numbers(
        total=total if isfinite(total) else None,
        median=below if below == above else below / 2 + above / 2,  # their sum may be beyond a float
        least=ordered[0],
        greatest=ordered[-1],
    )
