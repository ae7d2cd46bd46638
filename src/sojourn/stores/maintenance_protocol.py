"""The store's port to its own upkeep. See `protocol`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Maintenance(Protocol):
    """What the recorder does from time to time to keep the store small and its report quick."""

    def expire(self, *, older_than: int, limit: int, now: int) -> int:
        """Delete closed sessions last seen, and events made, before this time; return how many rows.

        Keeps open sessions, and events that a backend in use has not read.
        """
        ...

    def roll_up(self, *, finished_before: int, limit: int) -> int:
        """Roll up hours and days that were over by then and have changed since; return how many.

        Fewer than `limit`: the rest is being changed, or there is none. Any process may call it at any time, and may be
        interrupted; no lock is held while it counts.
        """
        ...

    def checkpoint(self) -> bool:
        """Compact the database's own log after large deletions; False if another reader prevents it."""
        ...

    def replicas(self) -> Sequence[str]:
        """The places beside the database where other software is seen to keep copies of its rows."""
        ...
