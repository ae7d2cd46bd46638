"""The store's port for what is recomputed. See `protocol`."""

from __future__ import annotations

from typing import Protocol

from sojourn.core.events import Position


class Recomputing(Protocol):
    """What a recomputation asks a store; it writes as the recorder does (`Batch.is_local`)."""

    def visitors(self, *, after: str, since: int, until: int, limit: int) -> list[str]:
        """Return the visitors above `after` with a session that started in a span, in order."""
        ...

    def settled(self) -> Position | None:
        """Return up to where each backend is done with the log; `None` without a backend."""
        ...
