"""What this process remembers of visitors for the app's views: how sessions began, and the app's own events. Bounded; no I/O.

Each worker remembers what it saw itself, so another one may know nothing of it, and a restart forgets. An event is
remembered for one person: the visitor, between two logouts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sojourn.core.bounded import Bounded
from sojourn.core.events import Scalar
from sojourn.core.history import PastEvent
from sojourn.core.properties import EVENT_PREFIX
from sojourn.core.records import Origin
from sojourn.core.session import SessionState

_SESSIONS: Final = 2_500
_EVENTS: Final = 5_000
_LONGEST: Final = 1_000
"""Characters of an event's properties together; a longer event is not remembered, and one before it is forgotten."""
_KEPT: Final = ("url.path", "url.query", "http.request.header.referer", "session.internal_referrer")

_Key = tuple[str, int, str]


class Memory:
    """One per tracker; any thread."""

    __slots__ = ("_events", "_origins")

    def __init__(self) -> None:
        self._origins: Bounded[str, Origin] = Bounded(_SESSIONS)
        self._events: Bounded[_Key, tuple[int, Mapping[str, Scalar]]] = Bounded(_EVENTS)
        """Time and properties, as they are recorded: what an app is shown is made when it asks."""

    def begin(self, state: SessionState, origin: Origin) -> None:
        """Remember how a session began."""
        self._origins[state.key] = {name: origin[name] for name in _KEPT if name in origin}

    def origin(self, state: SessionState) -> Origin | None:
        """How the session began; `None` where that is not known here."""
        return self._origins.get(state.key)

    def note(self, state: SessionState, name: str, at: int, properties: Mapping[str, Scalar]) -> None:
        """Remember the last event of this name. `properties`: by their full names."""
        key = (state.visitor_id, state.logouts, name)
        if sum(len(str(value)) for value in properties.values()) > _LONGEST:
            self._events.discard(key)
            return
        self._events[key] = (at, properties)

    def last(self, state: SessionState, name: str) -> PastEvent | None:
        """The last event of this name and this person, as far as it is known here."""
        event = self._events.get((state.visitor_id, state.logouts, name))
        if event is None:
            return None
        at, properties = event
        own = {full.removeprefix(EVENT_PREFIX): value for full, value in properties.items()}
        return PastEvent(name=name, at=at, properties=own)

    def forget(self, visitor_id: str) -> None:
        """The visitor opted out."""
        self._events.drop(lambda key: key[0] == visitor_id)
