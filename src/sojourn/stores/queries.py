"""What reports, exports and the command line read from a store. Never called by a request; may block."""

from __future__ import annotations

from typing import Protocol

import msgspec

from sojourn.core.events import Event

from .rows import SessionRow
from .tombstones import DataSubject


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

    def events_of(self, session_key: str, *, limit: int = ..., after: int = ...) -> list[Event]:
        """The events of a session behind the `seq` `after`, in the order of the log."""
        ...

    def events_after(self, seq: int, *, limit: int) -> list[Event]:
        """The log from behind this place on."""
        ...

    def dead_letters(self, backend: str, *, limit: int) -> list[DeadLetter]:
        """What a backend refused for good, oldest first."""
        ...


class PersonQueries(Protocol):
    """What an export reads. The last two look through all there is, a part at a time: ask again from the last number.

    A person's events beyond their sessions: of a session that went to another user (`on_user_change="keep"`), or whose
    row is gone.
    """

    def sessions_of(self, person: DataSubject, *, after: str, limit: int) -> list[SessionRow]:
        """The sessions of a visitor or a user, by key, behind this one."""
        ...

    def events_naming(self, person: DataSubject, *, after: int, limit: int) -> tuple[list[Event], int | None]:
        """Of the next `limit` events of the log those that name the person but lie in no session of theirs."""
        ...

    def letters_naming(self, person: DataSubject, *, after: int, limit: int) -> tuple[list[DeadLetter], int | None]:
        """Of the next `limit` dead letters those that name the person."""
        ...
