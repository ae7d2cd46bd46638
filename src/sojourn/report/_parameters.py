"""The parameters of an address: the one place that reads them, and that says what is wrong with one.

A page shows the problems as a notice and leaves those parameters out; for JSON and CSV they are an error. A parameter that no
reader asked for is a problem too, so that a misspelt filter never shows everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Self, TypeVar
from urllib.parse import parse_qsl

from sojourn.backends.campaigns import CLICK_IDS, UTM

Value = TypeVar("Value")

_LONGEST: Final = 5_000
_LONGEST_SHOWN: Final = 40
_MOST: Final = 500
_MOST_PROBLEMS: Final = 5
_DIGITS: Final = 15
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_OF_LINKS: Final = CLICK_IDS | {"_ga", "_gl", "_hsenc", "_hsmi", "mc_eid", "mkt_tok", "srsltid", "yclid", "key"}
"""What newsletters and advertisements append to any link, and the used key of a one-time link: not meant for this page."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a parameter, and what to write instead."""

    parameter: str
    message: str


class Parameters:
    """The parameters of one request. Each method reads one by its name; what cannot be read counts as absent."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        self._problems: dict[str, str] = {}
        self._read: set[str] = set()
        self._expected: dict[str, None] = {}
        """The names to suggest."""
        self._repeatable: set[str] = set()
        self._blank: set[str] = set()
        """The names of empty values: they take away what a saved view has."""
        self._of_view: set[str] = set()
        for name, value in pairs:
            if value:
                self._values.setdefault(name, []).append(value)
            else:
                self._blank.add(name)

    @classmethod
    def of_query(cls, query: str) -> Self:
        """Read a query string."""
        try:
            return cls(parse_qsl(query, keep_blank_values=True, errors="replace", max_num_fields=_MOST))
        except ValueError:
            parameters = cls(())
            parameters.reject("?", f"more than {_MOST} parameters; none of them was read")
            return parameters

    @classmethod
    def of(cls, values: Mapping[str, str | tuple[str, ...]]) -> Self:
        """Parameters of these values; of a tuple, one for each."""
        texts = ((name, (value,) if isinstance(value, str) else value) for name, value in values.items())
        return cls([(name, text) for name, each in texts for text in each])

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the address has, each once."""
        return tuple(self._values)

    @property
    def given(self) -> set[str]:
        """The names that the address has, those with an empty value included, without what links append to any address."""
        return {name for name in {*self._values, *self._blank} if not _is_of_links(name)}

    def first(self, name: str) -> str:
        """The text of a parameter, which stays unread: it is a problem still if no reader asks for it."""
        return _CONTROL.sub("", next(iter(self._values.get(name, ())), "")[:_LONGEST]).strip()

    def put_under(self, values: Mapping[str, str | tuple[str, ...]]) -> None:
        """Add the parameters of a saved view. A page that has no use for one leaves it aside, and it is no problem."""
        self._of_view |= values.keys()
        for name, value in values.items():
            self._values[name] = [value] if isinstance(value, str) else list(value)

    def expect(self, names: Iterable[str]) -> None:
        """Say that these may be there too, so that a misspelt one is explained."""
        self._expected.update(dict.fromkeys(names))

    def all(self, name: str) -> list[str]:
        """All values of a parameter that may be given several times, blanks at their ends included."""
        self._repeatable.add(name)
        return [self._cleaned(name, text) for text in self._values.get(name, ())]

    def text(self, name: str) -> str:
        """The text without control characters (stored text has none either); empty if it is absent or blank."""
        return self._clean(name).strip()

    def exact(self, name: str) -> str:
        """The same, with the blanks at its ends."""
        return self._clean(name)

    def one_of(self, name: str, choices: Iterable[str]) -> str | None:
        """One of these values."""
        allowed = list(choices)
        fix = f"use {_listed(allowed)}" if allowed else "leave it out"
        return self.parsed(name, lambda text: text if text in allowed else None, fix)

    def number(self, name: str) -> int | None:
        """A whole number, 0 or more."""
        return self.parsed(name, _number, f"give a whole number of at most {_DIGITS} digits")

    def parsed(self, name: str, parse: Callable[[str], Value | None], fix: str) -> Value | None:
        """What `parse` makes of the text. It returns `None` for what it cannot read; `fix` says what to write instead."""
        text = self.text(name)
        if not text:
            return None
        value = parse(text)
        if value is None:
            self.reject(name, f"unknown value {_quoted(text)}; {fix}")
        return value

    def reject(self, name: str, message: str) -> None:
        """Say what else is wrong with a parameter; only the first problem of each is kept."""
        self._problems.setdefault(name, message)

    def has_problem(self, *names: str) -> bool:
        """Whether something is wrong with one of these."""
        return any(name in self._problems for name in names)

    def problems(self) -> list[Problem]:
        """What is wrong, once everything is read that the page reads: with values, repetitions and unknown names."""
        found = dict(self._problems)
        for name in self._values:
            if name in self._read:
                if len(self._values[name]) > 1 and name not in self._repeatable:
                    found.setdefault(name, "given several times; give it once")
            elif name not in self._of_view and not _is_of_links(name):
                found.setdefault(name, self._unknown(name))
        return [Problem(_shown(name), message) for name, message in found.items()][:_MOST_PROBLEMS]

    def _unknown(self, name: str) -> str:
        near = get_close_matches(name[:_LONGEST_SHOWN], self._expected, 1)
        if near:
            return f"unknown parameter; did you mean {near[0]}?"
        names = self._expected
        return f"unknown parameter; use {_listed(names)}" if names else "unknown parameter; leave it out"

    def _clean(self, name: str) -> str:
        self._expected[name] = None
        return self._cleaned(name, next(iter(self._values.get(name, ())), ""))

    def _cleaned(self, name: str, text: str) -> str:
        self._read.add(name)
        if len(text) > _LONGEST:
            self.reject(name, f"longer than {_LONGEST:,} characters; shorten it")
            return ""
        return _CONTROL.sub("", text)


def _is_of_links(name: str) -> bool:
    return name.lower().startswith(UTM) or name.lower() in _OF_LINKS


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= _DIGITS else None


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def _quoted(text: str) -> str:
    return f'"{_shown(text)}"'


def _shown(text: str) -> str:
    clean = _CONTROL.sub("", text)
    return clean if len(clean) <= _LONGEST_SHOWN else f"{clean[: _LONGEST_SHOWN - 1]}…"
