"""Apply the app's `scrub(event) -> Event | None` to each event before it is stored, and hold what it must not change.

See S13 in docs/internals.md.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from sojourn.core.events import LOGOUTS, Event, Scalar

log = logging.getLogger("sojourn")

Scrub = Callable[[Event], Event | None]
_NEEDED: Final = ("session.id", "visitor.id", LOGOUTS)


class Scrubber:
    """Calls the app for every event. An event on which the call fails is dropped: it was to be made harmless first."""

    def __init__(self, scrub: Scrub) -> None:
        self._scrub = scrub
        self._has_failed = False

    def scrubbed(self, events: Iterable[Event], counts: Counter[str]) -> list[Event]:
        """Return the events that are kept, and count the others."""
        kept: list[Event] = []
        for event in events:
            try:
                result = self._scrub(event)
                changed = None if result is None else _changed(event, result)
            except Exception as error:  # noqa: BLE001 - the app's own callable
                counts["events.scrub_failed"] += 1
                self._say(error)
                continue
            if changed is None:
                counts["events.scrubbed"] += 1
            else:
                kept.append(changed)
        return kept

    def _say(self, error: Exception) -> None:
        if not self._has_failed:
            self._has_failed = True
            log.warning("scrub failed and its event was dropped: %s (said once; counted)", type(error).__name__)


def _changed(event: Event, result: Event) -> Event:
    """Return the event with the attributes of the result. What it is and whose it is cannot be changed."""
    if result is event:
        return event
    attributes: dict[str, Scalar] = {name: value for name, value in result.attributes.items() if _is_scalar(value)}
    attributes |= {name: event.attributes[name] for name in _NEEDED if name in event.attributes}
    user = attributes.get("user.id")
    return msgspec.structs.replace(event, attributes=attributes, user_id=user if isinstance(user, str) else None)


def _is_scalar(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | bool) or (isinstance(value, int) and -(2**63) <= value < 2**63)
