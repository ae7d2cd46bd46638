"""The values that an app may give a property, and what each is kept as. Pure.

See S12 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final, cast
from uuid import UUID

from .events import Scalar

PropertyValue = str | int | float | bool | Decimal | UUID | date | time | timedelta | Enum
"""What the helpers take. A `datetime` is a `date` too."""

ACCEPTED: Final = "text, a number, a bool, a UUID, a date or time, a timedelta, or an enum of these"


def kept_as(value: object, *, is_text: bool = False) -> Scalar | None:
    """The plain string, number or bool that a value is kept as; `None` for a value of any other type.

    A `Decimal` becomes the nearest float, so that sums work everywhere; with `is_text` all its digits, as text. The value
    is read by the methods of the built-in types, not by those of an app's subclass. What an app's `tzinfo` raises passes on.
    """
    kind = type(value)  # its own class: `isinstance` would ask a lazy proxy for its `__class__`, and make it run
    if kind is str or kind is int or kind is float or kind is bool:
        return cast("Scalar", value)
    if issubclass(kind, Enum):
        if not issubclass(kind, str | int | float):
            return kept_as(cast("Enum", value)._value_, is_text=is_text)
    elif issubclass(kind, Decimal):
        return Decimal.__str__(cast("Decimal", value)) if is_text else _as_float(cast("Decimal", value))
    return next((read(value) for type_, read in _READERS if issubclass(kind, type_)), None)


# A `datetime` is a `date`, so it stands before. A time without a zone gets none: only the app knows whether it is local.
_READERS: Final[tuple[tuple[type, Callable[[Any], Scalar]], ...]] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (UUID, UUID.__str__),
    (datetime, datetime.isoformat),
    (date, date.isoformat),
    (time, time.isoformat),
    (timedelta, timedelta.total_seconds),
)


def _as_float(value: Decimal) -> float:
    try:
        return Decimal.__float__(value)
    except ValueError:  # a signalling NaN
        return float("nan")
