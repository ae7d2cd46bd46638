"""The recorder's port of a store: transactions that record, notes for other hosts, and how far each journal is applied.

Every method may block. `now` and times are milliseconds since the epoch; see `protocol`.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Protocol

from .model import Batch, DataSubject, InboxRow, Loaded, Mark, SessionNote


class Recording(Protocol):
    """One writing transaction of the recorder or the sweeper. Each method is a constant number of statements."""

    def load(
        self,
        keys: Collection[str],
        *,
        successors_of: Collection[str] = (),
        people: Collection[DataSubject] = (),
        reads_aliases: bool = False,
    ) -> Loaded:
        """Return the rows with these keys, all rows that follow `successors_of`, and the tombstones of these people.

        `reads_aliases`: also which of these keys stand for another session.

        A row follows if a chain of previous sessions, of any length, leads from it to one of those keys.
        """
        ...

    def silent(
        self, *, seen_before: int, started_before: int | None, limit: int, manual_seen_before: int | None = None
    ) -> Loaded:
        """Return open sessions last seen, or started, at or before these times; the longest silent first.

        With `manual_seen_before`, manual sessions are returned only if last seen at or before that time. Else those that
        may be silent for longer would use up the limit again and again.
        """
        ...

    def in_progress(self, visitors: Collection[str]) -> dict[str, str]:
        """Return the key of the open session of each of these visitors that has one; of several, the one that started last.

        Nothing is locked: load it, and look again.
        """
        ...

    def agent_pages(self, hours: Collection[int]) -> dict[int, set[tuple[str, str]]]:
        """Return the agents and paths that have a row in each of these hours."""
        ...

    def inbox(self, *, after: str, limit: int) -> list[InboxRow]:
        """Return visible rows of the inbox with ids above `after`, by id, but those that another recorder has now."""
        ...

    def save(self, batch: Batch) -> None:
        """Write the batch and end the transaction. Raises `PositionMoved` if the store has another position for a mark."""
        ...


class RecordStore(Protocol):
    """The recorder's port: sessions as they are folded, and how far each journal has been applied."""

    def recording(self) -> AbstractContextManager[Recording]:
        """Open a writing transaction: committed by the end of the block, rolled back if it raises before `save` returns."""
        ...

    def marks(self) -> dict[str, Mark]:
        """Return the marks of all journals, by journal."""
        ...

    def notes(
        self, *, seen_after: int, heard_since: int, besides: Collection[str], limit: int
    ) -> list[SessionNote] | None:
        """Return what the rows of sessions last seen after this time say, the latest first, if other hosts write too.

        `None` if they do not: no journal but those `besides` was heard of since `heard_since`. `limit`: of open and of
        closed sessions each.
        """
        ...

    def has_inbox(self) -> bool:
        """Whether the inbox has a visible row; cheap."""
        ...

    def forget_journals(self, journals: Collection[str]) -> None:
        """Drop the marks of journals that are fully applied and whose files are deleted."""
        ...

    def recorded_until(self, *, now: int, silent_after: int) -> int | None:
        """Return the least `recorded_until` of journals heard of within `silent_after` ms; `None` if there is none."""
        ...
