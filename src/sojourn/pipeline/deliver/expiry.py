"""Which claimed events a receiver would drop for their age. Pure: time is an argument, in milliseconds.

See P32 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import msgspec

from sojourn.backends.cloudevents import rfc3339
from sojourn.core.events import SESSION_END, Event

TRUE_TIME: Final = "sojourn.time"
IS_MOVED: Final = "sojourn.time_moved"

_MARGIN_MS: Final = 60_000
"""A call may take 15 s, and clocks differ by some more."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """The limit of one backend. `oldest` (ms): the greatest age that its receiver accepts; `None`: any."""

    oldest: int | None = None
    moves_ends: bool = False

    def has_expired(self, event: Event, now: int, withheld: Collection[str] = ()) -> bool:
        """Return whether an event is too old to be sent. `withheld`: sessions whose start was not sent either."""
        if not self._is_too_old(event, now):
            return False
        return not (self.moves_ends and event.name == SESSION_END and event.session_key not in withheld)

    def dated(self, event: Event, now: int) -> Event:
        """Return the end of a session with the oldest date that arrives, and its true time beside it."""
        if not (self.moves_ends and event.name == SESSION_END and self._is_too_old(event, now)):
            return event
        attributes = {**event.attributes, TRUE_TIME: rfc3339(event.time), IS_MOVED: True}
        return msgspec.structs.replace(event, time=self._limit(now), attributes=attributes)

    def _is_too_old(self, event: Event, now: int) -> bool:
        return self.oldest is not None and event.time < self._limit(now)

    def _limit(self, now: int) -> int:
        oldest = self.oldest or 0
        return now - oldest + min(_MARGIN_MS, oldest // 10)
