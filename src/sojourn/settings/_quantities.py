"""Durations and sizes as people write them: `30m`, `1h30m`, `64MiB`. Pure."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from decimal import Decimal
from typing import Final

LONGEST: Final = timedelta(days=36_500)

_UNITS: Final = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
    "us": timedelta(microseconds=1),
}
_ORDER: Final = tuple(_UNITS)
_NUMBER: Final = r"[0-9]{1,18}(?:\.[0-9]{1,9})?"
_PART: Final = re.compile(rf"({_NUMBER})\s*(us|ms|w|d|h|m|s)\s*")
_PLAIN: Final = re.compile(_NUMBER)
_DURATION_HINT: Final = 'give seconds, a timedelta, or text such as "30m", "1h30m" or "250ms"'

_BYTES: Final = {
    "b": 1,
    "k": 1000,
    "kb": 1000,
    "m": 1000**2,
    "mb": 1000**2,
    "g": 1000**3,
    "gb": 1000**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
}
_SIZE: Final = re.compile(rf"({_NUMBER})\s*([A-Za-z]*)")
_SIZE_HINT: Final = 'give a number of bytes, or text such as "64MiB", "10MB" or "500k"'
_LARGEST: Final = 2**50


def parse_duration(value: object) -> timedelta:
    """Read seconds, a timedelta or text; raise `ValueError` for anything else, and outside 0 to 100 years."""
    try:
        span = _span(value)
    except OverflowError:
        span = timedelta.max
    if not timedelta(0) <= span <= LONGEST:
        msg = f"a duration must lie between 0 and {LONGEST.days} days; {_DURATION_HINT}"
        raise ValueError(msg)
    return span


def _span(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ValueError(_DURATION_HINT)
        return timedelta(seconds=value)
    if not isinstance(value, str):
        raise ValueError(_DURATION_HINT)
    text = value.strip().lower()
    if _PLAIN.fullmatch(text):
        return _times(text, "s")
    total, end, last = timedelta(0), 0, -1
    while match := _PART.match(text, end):
        number, unit = match.groups()
        # Each unit once and from the largest down: "30m1h" is more often a slip than meant.
        if _ORDER.index(unit) <= last:
            raise ValueError(_DURATION_HINT)
        total, end, last = total + _times(number, unit), match.end(), _ORDER.index(unit)
    if not text or end != len(text):
        raise ValueError(_DURATION_HINT)
    return total


def _times(number: str, unit: str) -> timedelta:
    # By whole microseconds: floats would make "0.1s" and "100ms" differ for some numbers.
    return timedelta(microseconds=round(Decimal(number) * (_UNITS[unit] // _UNITS["us"])))


def format_duration(span: timedelta) -> str:
    """Write a duration so that `parse_duration` reads the same one back."""
    parts: list[str] = []
    for unit in ("d", "h", "m", "s", "ms", "us"):
        count, span = divmod(span, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_size(value: object) -> int:
    """Read a number of bytes; raise `ValueError` for anything else, and for what is negative or not whole."""
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        number, unit = match.groups()
        if (unit.lower() or "b") not in _BYTES:
            raise ValueError(_SIZE_HINT)
        exact = Decimal(number) * _BYTES[unit.lower() or "b"]
        size = int(exact)
        if size != exact:
            raise ValueError(_SIZE_HINT)
    else:
        raise ValueError(_SIZE_HINT)
    if not 0 <= size <= _LARGEST:
        raise ValueError(_SIZE_HINT)
    return size


def format_size(size: int) -> str:
    """Write a size so that `parse_size` reads the same one back."""
    for unit in ("GiB", "MiB", "KiB"):
        if size and size % _BYTES[unit.lower()] == 0:
            return f"{size // _BYTES[unit.lower()]}{unit}"
    return f"{size}B"
