"""Warnings of settings that can be used and are rarely meant. Each points at the line of the app that built them."""

from __future__ import annotations

import re
import sys
import warnings
from datetime import timedelta
from typing import Final

_DIGITS: Final = re.compile(r"\s*[0-9.]+\s*")
_SHORT: Final = timedelta(seconds=60)


def warn(text: str) -> None:
    """Issue a `UserWarning` for the caller outside of Sojourn; Python shows it once for each place."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "sojourn":
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level)


def warn_of_minutes(name: str, value: object, span: timedelta) -> None:
    """Warn of a number below 60: elsewhere it is minutes. One that has a unit, or is a timedelta, says what it means."""
    is_bare = isinstance(value, int | float) or (isinstance(value, str) and _DIGITS.fullmatch(value))
    if is_bare and span < _SHORT:
        number = f"{value}".strip()
        warn(f'{name}={number} means {number} seconds; write "{number}m" for minutes, or "{number}s" if that is meant')
