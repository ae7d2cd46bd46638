"""Batches that were sent to a backend and not confirmed: their ids and boundaries, without their events. Plain data."""

from __future__ import annotations

import msgspec


class SentBatch(msgspec.Struct, frozen=True, array_like=True):
    """A batch that may have arrived: the id by which its receiver drops it if it comes again, and its events."""

    id: str
    event_ids: tuple[str, ...]


class InFlight(msgspec.Struct, frozen=True):
    """The batches to repeat, and the ids of events behind the cursor's place that other batches have delivered."""

    batches: tuple[SentBatch, ...] = ()
    confirmed: tuple[str, ...] = ()

    @property
    def event_ids(self) -> frozenset[str]:
        """The ids of all events that are in these batches, or were confirmed."""
        return frozenset(self.confirmed).union(*(batch.event_ids for batch in self.batches))

    def __bool__(self) -> bool:
        return bool(self.batches)
