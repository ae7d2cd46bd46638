"""The values that an app may give a property, and what each is kept as. Pure.

See S12 in docs/internals.md.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Final
from uuid import UUID

from .events import Scalar

PropertyValue = str | int | float | bool | Decimal | UUID | date | time | timedelta | Enum
"""What the helpers take. A `datetime` is a `date` too."""

ACCEPTED: Final = "text, a number, a bool, a UUID, a date or time, a timedelta, or an enum of these"


def kept_as(value: object, *, is_text: bool = False) -> Scalar | None:
    """The string, number or bool that a value is kept as; `None` for a value of any other type.

    A `Decimal` becomes the nearest float, so that sums work everywhere; with `is_text` all its digits, as text.
    """
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, Decimal):
        return Decimal.__str__(value) if is_text else _as_float(value)
    if isinstance(value, UUID):
        return UUID.__str__(value)
    # A time without a zone gets none: whether it is local or UTC, only the app knows.
    if isinstance(value, datetime):
        return datetime.isoformat(value)
    if isinstance(value, date):
        return date.isoformat(value)
    if isinstance(value, time):
        return time.isoformat(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Enum):
        return kept_as(value._value_, is_text=is_text)
    return None


def _as_float(value: Decimal) -> float:
    try:
        return Decimal.__float__(value)
    except ValueError:  # a signalling NaN
        return float("nan")
