"""What reports, exports and the command line read from a store. Never called by a request; may block."""

from __future__ import annotations

from typing import Protocol

import msgspec

from sojourn.core.events import Event

from .rows import SessionRow


class DeadLetter(msgspec.Struct, frozen=True, array_like=True):
    """An event that a backend will never take, why, and when that was known."""

    backend: str
    reason: str
    status: int | None
    at: int
    event: Event


class Queries(Protocol):
    """Each call is one short read of one moment, at most `limit` rows of it; ask again from the last one for more."""

    def sessions(self, *, limit: int, started_before: int | None = None) -> list[SessionRow]:
        """The latest sessions first, those that started at or before this time."""
        ...

    def events_of(self, session_key: str, *, limit: int = ...) -> list[Event]:
        """The events of a session, in the order of the log."""
        ...

    def events_after(self, seq: int, *, limit: int) -> list[Event]:
        """The log from behind this place on."""
        ...

    def dead_letters(self, backend: str, *, limit: int) -> list[DeadLetter]:
        """What a backend refused for good, oldest first."""
        ...
