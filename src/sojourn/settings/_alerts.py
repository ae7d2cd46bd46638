"""Settings of alerts: thresholds, and where notices go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from sojourn.core.alerts import NAMES, NOTHING, SPIKE, Thresholds

from ._kinds import SPAN, is_nothing, listing
from ._table import Kind

_SEPARATOR: Final = re.compile(r"[;,\n]")
_PERCENT: Final = 100.0
_HINT: Final = (
    'give thresholds such as {"spike": 3, "drop": 0.3, "errors": "5%", "nothing": "2h"}, in text "spike=3; nothing=2h"'
)


def _parse_thresholds(value: object) -> Thresholds | None:
    if value is None or is_nothing(value):
        return None
    if isinstance(value, Thresholds):
        return value
    if isinstance(value, str):
        pairs = [part.partition("=")[::2] for part in _SEPARATOR.split(value) if part.strip()]
        value = {name.strip(): text.strip() for name, text in pairs}
    if not isinstance(value, Mapping):
        raise ValueError(_HINT)
    found: dict[str, object] = {}
    for name, each in value.items():
        if name not in NAMES:
            msg = f"{str(name)[:40]!r} cannot be watched; use {', '.join(NAMES)}"
            raise ValueError(msg)
        found[name] = _silence(each) if name == NOTHING else _factor(str(name), each)
    return Thresholds(**found)  # type: ignore[arg-type]


def _silence(value: object) -> int:
    span = SPAN.parse(value)
    if not isinstance(span, timedelta) or not timedelta(minutes=1) <= span <= timedelta(days=30):
        msg = "nothing: give a time of 1 minute to 30 days"
        raise ValueError(msg)
    return round(span.total_seconds() * 1000)


def _factor(name: str, value: object) -> float:
    text = value.strip() if isinstance(value, str) else value
    try:
        if isinstance(text, bool) or not isinstance(text, str | int | float):
            raise ValueError
        factor = float(text[:-1]) / _PERCENT if isinstance(text, str) and text.endswith("%") else float(text)
    except ValueError:
        raise ValueError(_HINT) from None
    low, high = (1.0, 1000.0) if name == SPIKE else (0.0, 1.0)
    if not low < factor < high:
        msg = f"{name}: give a number between {low:g} and {high:g}, or a percentage; got {factor:g}"
        raise ValueError(msg)
    return factor


def _parse_target(value: object) -> tuple[object, ...]:
    if not isinstance(value, str) or not value.strip().startswith(("mailto:", "webhook+http://", "webhook+https://")):
        raise ValueError(_TARGETS_HINT)
    return (value.strip(),)


_TARGETS_HINT: Final = (
    'give thresholds such as {"spike": 3, "drop": 0.3, "errors": "5%", "nothing": "2h"}, '
    'in text "spike=3; drop=30%; errors=5%; nothing=2h"'
)

THRESHOLDS: Final = Kind(_parse_thresholds)
TARGETS: Final = listing(_parse_target, _TARGETS_HINT, lambda _value: "<hidden>")
