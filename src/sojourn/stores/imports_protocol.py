"""The store's port for imports. See `protocol`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import msgspec


class ImportedSession(msgspec.Struct, frozen=True, array_like=True):
    """A session that was imported; the order of the query's columns. Times in ms."""

    key: str
    visitor_id: str
    started_at: int
    last_seen_at: int


class Imports(Protocol):
    """What an import asks a store; it writes as the recorder does (`Batch.is_local`)."""

    def visitor_key(self) -> bytes:
        """Return the key by which visitors and lines are hashed: the store's own, which never leaves it."""
        ...

    def sessions_of(self, visitors: Collection[str], *, since: int, until: int) -> list[ImportedSession]:
        """Return the imported sessions of these visitors that overlap a span, by their start."""
        ...

    def lines(self, hours: Collection[int]) -> dict[int, list[str]]:
        """Return what was added of each of these hours, as `Batch.imported` has it."""
        ...

    def has(self, *, since: int, until: int) -> bool:
        """Whether an imported session started in a span; cheap where nothing was imported of it."""
        ...

    def first_recorded(self) -> int | None:
        """Return when the first session started that was not imported; `None` if there is none."""
        ...
