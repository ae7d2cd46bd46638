"""The state of sending one batch, and how many events the next send puts into one call. No HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sojourn.core.events import Event

from .protocol import Receipt, Rejection

NO_LIMIT: Final = 1 << 16


@dataclass(slots=True, kw_only=True)
class Sending:
    """The state of sending one batch."""

    began_at: float
    calls: int = 0
    has_stopped: bool = False
    is_late: bool = False
    problem: str = ""
    pause: str | None = None
    retry_after: float | None = None
    unsent: set[str] = field(default_factory=set)
    rejected: dict[str, Rejection] = field(default_factory=dict)
    largest_accepted: int = 0
    smallest_half: int | None = None
    is_too_large: bool = False

    def stop(
        self, problem: str, *, retry_after: float | None = None, pause: str | None = None, is_late: bool = False
    ) -> None:
        self.has_stopped = True
        self.problem = "" if is_late else problem
        self.retry_after = retry_after
        self.pause = pause
        self.is_late = self.is_late or is_late

    def leave(self, events: Iterable[Event]) -> None:
        self.unsent.update(event.id for event in events)

    def reject(self, events: Iterable[Event], reason: str, status: int | None) -> None:
        for event in events:
            self.rejected[event.id] = Rejection(event_id=event.id, reason=reason, status=status)

    def divided(self, half: int, *, is_too_large: bool) -> None:
        self.smallest_half = half if self.smallest_half is None else min(half, self.smallest_half)
        self.is_too_large = self.is_too_large or is_too_large

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
        )


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
