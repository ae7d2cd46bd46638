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
        self._values: dict[str, str] = {}
        self._problems: dict[str, str] = {}
        self._read: dict[str, None] = {}
        repeated: set[str] = set()
        for name, value in pairs:
            if name in self._values:
                repeated.add(name)
            self._values.setdefault(name, value)
        self._repeated = repeated

    @classmethod
    def of_query(cls, query: str) -> Self:
        """Read a query string."""
        try:
            return cls(parse_qsl(query, errors="replace", max_num_fields=_MOST))
        except ValueError:
            parameters = cls(())
            parameters.reject("?", f"more than {_MOST} parameters; none of them was read")
            return parameters

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Self:
        """Parameters of these values."""
        return cls(tuple(values.items()))

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

    def problems(self) -> list[Problem]:
        """What is wrong, once everything is read that the page reads: with values, repetitions and unknown names."""
        found = dict(self._problems)
        for name in self._values:
            if name in self._read:
                if name in self._repeated:
                    found.setdefault(name, "given several times; give it once")
            elif not name.lower().startswith(UTM) and name.lower() not in _OF_LINKS:
                found.setdefault(name, self._unknown(name))
        return [Problem(_shown(name), message) for name, message in found.items()][:_MOST_PROBLEMS]

    def _unknown(self, name: str) -> str:
        near = get_close_matches(name[:_LONGEST_SHOWN], self._read, 1)
        if near:
            return f"unknown parameter; did you mean {near[0]}?"
        return f"unknown parameter; use {_listed(self._read)}" if self._read else "unknown parameter; leave it out"

    def _clean(self, name: str) -> str:
        self._read[name] = None
        text = self._values.get(name, "")
        if len(text) > _LONGEST:
            self.reject(name, f"longer than {_LONGEST:,} characters; shorten it")
            return ""
        return _CONTROL.sub("", text)


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
