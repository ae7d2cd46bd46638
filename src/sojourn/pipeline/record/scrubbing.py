"""The app's last word on an event before it is kept: `scrub(event) -> Event | None`, and what holds whatever it answers.

See S13 in docs/internals.md.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from sojourn.core.events import Event, Scalar

log = logging.getLogger("sojourn")

Scrub = Callable[[Event], Event | None]
_NEEDED: Final = ("session.id", "visitor.id")


class Scrubber:
    """Asks for every event. One that the callable fails on is not kept: it was to be made harmless first."""

    def __init__(self, scrub: Scrub) -> None:
        self._scrub = scrub
        self._has_failed = False

    def scrubbed(self, events: Iterable[Event], counts: Counter[str]) -> list[Event]:
        """What is left of the events; `counts` learns of the others."""
        kept: list[Event] = []
        for event in events:
            try:
                answer = self._scrub(event)
                changed = None if answer is None else _changed(event, answer)
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


def _changed(event: Event, answer: Event) -> Event:
    """The event with the attributes of the answer: what it is and whose, the answer cannot change."""
    if answer is event:
        return event
    told: dict[str, Scalar] = {name: value for name, value in answer.attributes.items() if _is_scalar(value)}
    for name in _NEEDED:
        told[name] = event.attributes[name]
    user = told.get("user.id")
    return msgspec.structs.replace(event, attributes=told, user_id=user if isinstance(user, str) else None)


def _is_scalar(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | bool) or (isinstance(value, int) and -(2**63) <= value < 2**63)
