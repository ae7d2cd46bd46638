"""The state of sending one batch, and how many events the next send puts into one call. No HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sojourn.core.events import Event

from .protocol import Batch, BatchReceipt, Receipt, Rejection

NO_LIMIT: Final = 1 << 16

Units = Sequence[Event] | Sequence[Batch]


@dataclass(slots=True, kw_only=True)
class Sending:
    """The state of sending one batch."""

    began_at: float
    calls: int = 0
    has_stopped: bool = False
    is_late: bool = False
    problem: str = ""
    reason: str | None = None
    """Why the last call was not accepted, as it is shown beside the backend's name."""
    pause: str | None = None
    retry_after: float | None = None
    unsent: set[str] = field(default_factory=set)
    left: list[Batch] = field(default_factory=list)
    rejected: dict[str, Rejection] = field(default_factory=dict)
    largest_accepted: int = 0
    smallest_half: int | None = None
    is_too_large: bool = False

    def stop(
        self,
        problem: str,
        *,
        reason: str | None = None,
        retry_after: float | None = None,
        pause: str | None = None,
        is_late: bool = False,
    ) -> None:
        self.has_stopped = True
        self.reason = reason
        self.problem = "" if is_late else problem
        self.retry_after = retry_after
        self.pause = pause
        self.is_late = self.is_late or is_late

    def leave(self, units: Units) -> None:
        for unit in units:
            if isinstance(unit, Batch):
                self.left.append(unit)
                self.unsent.update(event.id for event in unit.events)
            else:
                self.unsent.add(unit.id)

    def reject(self, events: Iterable[Event], reason: str, status: int | None) -> None:
        for event in events:
            self.rejected[event.id] = Rejection(event_id=event.id, reason=reason, status=status)

    def divided(self, half: int, *, is_too_large: bool) -> None:
        self.smallest_half = half if self.smallest_half is None else min(half, self.smallest_half)
        self.is_too_large = self.is_too_large or is_too_large

    def batch_receipt(self, *, has_progress: bool) -> BatchReceipt:
        """Return what became of batches."""
        is_idle = self.retry_after == 0.0 and not has_progress
        return BatchReceipt(
            left=tuple(self.left),
            rejected=tuple(self.rejected.values()),
            retry_after=self.retry_after if self.left and not is_idle else None,
            pause=self.pause,
            problem=self.reason if self.left else None,
        )

    def receipt(self, batch: Sequence[Event]) -> Receipt:
        """Return the receipt for the front of the batch, up to the first event that has to be sent again."""
        delivered = 0
        rejected: list[Rejection] = []
        for event in batch:
            if rejection := self.rejected.get(event.id):
                rejected.append(rejection)
            elif event.id in self.unsent:
                break
            else:
                delivered += 1
        has_gap = delivered + len(rejected) < len(batch)
        # Going on at once is right only after progress; otherwise the dispatcher's own backoff applies.
        is_idle = self.retry_after == 0.0 and not delivered and not rejected
        return Receipt(
            delivered=delivered,
            rejected=tuple(rejected),
            retry_after=self.retry_after if has_gap and not is_idle else None,
            pause=self.pause,
            problem=self.reason if has_gap else None,
        )


def slices(units: Units, limit: int) -> Iterator[Units]:
    """Slice events, or batches by the events in them: each slice has as many as the limit allows, and at least one unit."""
    start = size = 0
    for index, unit in enumerate(units):
        events = len(unit.events) if isinstance(unit, Batch) else 1
        if size + events > limit and index > start:
            yield units[start:index]
            start, size = index, 0
        size += events
    if start < len(units):
        yield units[start:]


def next_limit(limit: int, sending: Sending, *, has_progress: bool) -> int:
    """Return how many events the next send puts into one call at first.

    Without it, a receiver so slow that the time runs out before a batch is small enough would get the same batch for ever,
    and a receiver with a small limit would refuse every batch once.
    """
    if sending.is_late and not has_progress:
        return sending.smallest_half or max(1, min(limit, 2 * sending.largest_accepted) // 2)
    if sending.is_too_large and sending.largest_accepted:
        return sending.largest_accepted
    return min(limit * 2, NO_LIMIT) if has_progress else limit
