"""Batches for receivers that drop a batch that comes again, by its id.

Such an id helps only if the batch comes again with exactly its boundaries. So what was sent and not confirmed is noted, and
repeated first and unchanged; only what was never sent is divided anew. Members that are gone (erased, say) are left out, and
the id stays. See P29 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sojourn.core.events import Event
from sojourn.core.in_flight import InFlight, SentBatch

from .protocol import Batch, BatchReceipt, Receipt

Divide = Callable[[Sequence[Event]], Sequence[Batch]]


def to_send(events: Sequence[Event], in_flight: InFlight, divide: Divide) -> list[Batch]:
    """Return the batches of these events: those in flight as they were, then the others as `divide` makes them."""
    by_id = {event.id: event for event in events}
    members = set(in_flight.confirmed)
    batches: list[Batch] = []
    for sent in in_flight.batches:
        members.update(sent.event_ids)
        kept = tuple(by_id[event_id] for event_id in sent.event_ids if event_id in by_id)
        if kept:
            batches.append(Batch(sent.id, kept))
    unsent = [event for event in events if event.id not in members]
    return [*batches, *divide(unsent)] if unsent else batches


def noted(batches: Iterable[Batch], confirmed: Iterable[str] = ()) -> InFlight:
    """Return what to note of batches that are sent, or were sent and not confirmed."""
    sent = tuple(SentBatch(batch.id, tuple(event.id for event in batch.events)) for batch in batches)
    return InFlight(sent, tuple(confirmed))


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of events that went out in batches."""

    confirmed: frozenset[str]
    """Ids of the events that were delivered, now or by earlier sends."""
    left: tuple[Batch, ...]

    @classmethod
    def of(cls, batches: Iterable[Batch], receipt: BatchReceipt, in_flight: InFlight) -> Sent:
        left = {event.id for batch in receipt.left for event in batch.events}
        left.update(rejection.event_id for rejection in receipt.rejected)
        done = {event.id for batch in batches for event in batch.events} - left
        return cls(frozenset(done.union(in_flight.confirmed)), tuple(receipt.left))

    def in_flight(self, passed: frozenset[str] | set[str]) -> InFlight:
        """Return what to note for the next send, when these events are done for good."""
        return noted(self.left, sorted(self.confirmed - passed)) if self.left else InFlight()


def front(events: Sequence[Event], sent: Sent, receipt: BatchReceipt) -> Receipt:
    """Return the receipt for the front of the events, up to the first that has to be sent again."""
    reasons = {rejection.event_id: rejection for rejection in receipt.rejected}
    delivered, rejected = 0, []
    for event in events:
        if event.id in sent.confirmed:
            delivered += 1
        elif event.id in reasons:
            rejected.append(reasons[event.id])
        else:
            break
    return Receipt(
        delivered=delivered,
        rejected=tuple(rejected),
        retry_after=receipt.retry_after,
        pause=receipt.pause,
        problem=receipt.problem,
    )
