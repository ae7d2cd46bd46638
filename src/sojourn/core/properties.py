"""Declared properties: their type, which value is kept, what a name may look like.

See S12 in docs/internals.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from .events import Scalar
from .property_values import ACCEPTED, kept_as

SESSION_PREFIX: Final = "session_properties."
EVENT_PREFIX: Final = "event_properties."
MAX_NAME_LENGTH: Final = 100
MAX_DECLARED: Final = 50
MAX_PROPERTIES: Final = 50
MAX_TEXT_LENGTH: Final = 5_000
MAX_TOTAL_BYTES: Final = 24 * 1024
"""The texts of one call, in UTF-8. An event of at most 32 KiB holds more than these."""
CUT_MARK: Final = "\u2026"

PropertyType = type[str] | type[int] | type[float] | type[bool]
Keep = Literal["first", "last"]

_TYPES: Final = (str, int, float, bool)
_HOSTILE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_NAME: Final = re.compile(r"(?:[A-Za-z0-9]|_(?=[A-Za-z0-9])|\.(?=[A-Za-z]))+")


@dataclass(frozen=True, slots=True)
class Property:
    """One declared property: the type of its values, and whether the first or the last value of a session is kept.

    `case_insensitive` is about the name: other casings mean the same property, and the first casing is kept.
    """

    type: PropertyType
    keep: Keep = "last"
    case_insensitive: bool = False

    def __post_init__(self) -> None:
        if not any(self.type is allowed for allowed in _TYPES):
            msg = f"a Property's type must be str, int, float or bool, got {self.type!r}"
            raise ValueError(msg)
        if self.keep not in ("first", "last"):
            msg = f'a Property\'s keep must be "first" or "last", got {self.keep!r}'
            raise ValueError(msg)
        if self.case_insensitive not in (True, False):
            msg = f"a Property's case_insensitive must be True or False, got {self.case_insensitive!r}"
            raise ValueError(msg)


def full_name(name: str, prefix: str) -> str:
    """Add the prefix if it is missing; raise `ValueError` for a malformed name.

    The rule is the strictest of the vendors' that properties travel to, so that a name means the same everywhere.
    """
    full = name if name.startswith(prefix) else prefix + name
    if len(full) > MAX_NAME_LENGTH:
        msg = (
            f"the property name {name[:40]!r}... is longer than {MAX_NAME_LENGTH} characters with its prefix {prefix!r}"
        )
        raise ValueError(msg)
    if not _NAME.fullmatch(full):
        msg = (
            f"the property name {name!r} is malformed: use ASCII letters, digits, '_' and '.', "
            "each '.' followed by a letter, each '_' by a letter or digit"
        )
        raise ValueError(msg)
    return full


@dataclass(frozen=True, slots=True)
class Declared:
    """The properties that an app declared, by full name; `None`: it declared none, and any valid one is kept."""

    session: Mapping[str, Property] | None = None
    event: Mapping[str, Property] | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one property of a call: its kind, which is counted, and a text that names the property."""

    kind: str
    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name} {self.text}"

    @property
    def cause(self) -> str:
        """The property, if that is at fault; empty if the call as a whole has too much: then each name would be a warning."""
        return "" if self.kind in {"too_many", "too_large"} else self.name


_WHAT_IS_WRONG: Final = {
    "undeclared": "is not declared; it was dropped",
    "wrong_type": "is not of its declared type; it was dropped",
    "not_finite": "is no finite number; it was dropped",
    "too_large": "is too large; it was dropped",
    "too_many": f"is more than the {MAX_PROPERTIES} that are kept; it was dropped",
    "cut": f"has more than {MAX_TEXT_LENGTH} characters; it was cut",
    "control_characters": "has control characters; they were replaced",
}


def cleaned(
    properties: Mapping[str, object], prefix: str, declared: Mapping[str, Property] | None = None
) -> tuple[dict[str, Scalar], list[Problem]]:
    """Return the valid properties by full name, and the problems with the others; `None` leaves a property out.

    Kinds of problems are `unsupported`, `unreadable` (it raised), `not_finite`, `too_large`, `too_many`, `undeclared` and
    `wrong_type` (dropped), `cut` and `control_characters` (kept, replaced). Raises `ValueError` for a malformed name and
    `TypeError` for what is no mapping of names: those are programming errors, and the same in every call.
    """
    try:
        items = list(properties.items()) if isinstance(properties, Mapping) else None
    except Exception as error:  # noqa: BLE001 - an app's mapping may do anything; the caller counts and logs it
        return {}, [_unreadable("properties", error)]
    if items is None:
        msg = f"properties must be a mapping of names to values, not {type(properties).__name__}"
        raise TypeError(msg)
    kept: dict[str, Scalar] = {}
    problems: list[Problem] = []
    size = 0
    for name, value in items:
        full = _named(name, prefix)
        if value is None:
            continue
        try:
            full, fit = _fitting(full, value, declared)
        except Exception as error:  # noqa: BLE001 - as above: an app's tzinfo
            fit = _unreadable(full, error)
        if isinstance(fit, Problem):
            problems.append(fit)
        elif len(kept) >= MAX_PROPERTIES and full not in kept:
            problems.append(_problem("too_many", full))
        elif isinstance(fit, str):
            text, found = _text(fit)
            problems += [_problem(kind, full) for kind in found]
            size += len(text.encode())
            if size > MAX_TOTAL_BYTES:
                problems.append(_problem("too_large", full))
            else:
                kept[full] = text
        elif (kind := _unfit(fit)) is not None:
            problems.append(_problem(kind, full))
        else:
            kept[full] = fit
    return kept, problems


def _fitting(full: str, value: object, declared: Mapping[str, Property] | None) -> tuple[str, Scalar | Problem]:
    """A value as it is kept, under the name that is declared."""
    own = None
    if declared is not None:
        declared_name = _declared_name(full, declared)
        if declared_name is None:
            return full, _problem("undeclared", full)
        full, own = declared_name, declared[declared_name]
    fit = kept_as(value, is_text=own is not None and own.type is str)
    if fit is None:
        text = f"is of the type {type(value).__name__!r}; it was dropped: a value is {ACCEPTED}"
        return full, Problem("unsupported", full, text)
    if own is not None and (fit := _as_declared(fit, own)) is None:
        return full, _problem("wrong_type", full)
    return full, fit


def _problem(kind: str, name: str) -> Problem:
    return Problem(kind, name, _WHAT_IS_WRONG[kind])


def _unreadable(name: str, error: Exception) -> Problem:
    # Not the error's text, which may hold the value.
    return Problem("unreadable", name, f"raised {type(error).__name__} when it was read; it was dropped")


def _named(name: object, prefix: str) -> str:
    if not isinstance(name, str):
        msg = f"a property name must be a str, not {type(name).__name__}"
        raise TypeError(msg)
    return full_name(str.__str__(name), prefix)


def _declared_name(full: str, declared: Mapping[str, Property]) -> str | None:
    if full in declared:
        return full
    low = full.lower()
    return next((name for name, own in declared.items() if own.case_insensitive and name.lower() == low), None)


def _as_declared(value: str | float, own: Property) -> str | float | None:
    """The value as its declared type; `None` if it has another. An int is also a float; nothing else converts."""
    if own.type is str:
        return value if isinstance(value, str) else None
    if own.type is bool:
        return value if isinstance(value, bool) else None
    if isinstance(value, bool | str):
        return None
    if own.type is int:
        return int(value) if isinstance(value, int) or value.is_integer() else None
    return float(value) if abs(value) < 2**1023 else None


def _text(value: str) -> tuple[str, list[str]]:
    """The text as it is kept, and the kinds of problems with it."""
    text, problems = value, []
    if len(text) > MAX_TEXT_LENGTH:
        problems.append("cut")
        text = text[: MAX_TEXT_LENGTH - 1] + CUT_MARK
    if _HOSTILE.search(text):
        problems.append("control_characters")
        text = _HOSTILE.sub("\ufffd", text)
    return text, problems


def _unfit(value: float) -> str | None:
    """Why stores and JSON cannot hold this number."""
    if isinstance(value, float):
        return None if math.isfinite(value) else "not_finite"
    return None if -(2**63) <= value < 2**63 else "too_large"
