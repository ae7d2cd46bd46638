"""Sends claimed events to a backend, and says what became of them.

A backend whose receiver drops repeated batches gets batches. They are noted in the store before they are sent, so that
whatever happens (a lost response, a killed process, another dispatcher) they are repeated with exactly their boundaries.

See P22 and P29 in docs/internals.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from sojourn.backends.ages import moves_old_ends, oldest_accepted_ms
from sojourn.backends.batches import Sent, noted, to_send
from sojourn.backends.protocol import Backend, Batch, BatchBackend, BatchReceipt, Receipt, Rejection
from sojourn.core.events import APART, OPT_OUT, SESSION_END, Event, Scalar
from sojourn.core.in_flight import InFlight
from sojourn.stores.model import Claim, Lease
from sojourn.stores.protocol import DeliveryQueue

from . import retry
from .expiry import Expiry

log = logging.getLogger("sojourn")


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of events. `left`: those that are sent again, at `retry_at`. In batches, others behind them may be taken."""

    taken: Sequence[Event]
    dead: Sequence[tuple[Event, str, int | None]]
    left: Sequence[Event]
    sent: Sent | None = None
    failures: int = 0
    retry_at: int | None = None
    problem: str | None = None

    def in_flight(self, passed: set[str]) -> InFlight:
        """Return the batches to repeat, when the cursor has passed these events."""
        return InFlight() if self.sent is None else self.sent.in_flight(passed)


class Sender:
    """Sends to one backend."""

    def __init__(
        self,
        backend: Backend,
        queue: DeliveryQueue,
        *,
        now: Callable[[], int],
        chance: Callable[[], float],
        hidden: frozenset[str],
    ) -> None:
        self._backend = backend
        self._batching = backend if isinstance(backend, BatchBackend) else None
        self._queue = queue
        self._now = now
        self._chance = chance
        self._hidden = hidden
        self.expiry = Expiry(oldest_accepted_ms(backend), moves_ends=moves_old_ends(backend))

    @property
    def has_batches(self) -> bool:
        """Whether the backend's receiver drops repeated batches."""
        return self._batching is not None

    def accepts(self, event: Event, claim: Claim) -> bool:
        """Return whether the backend gets a claimed event."""
        if self._backend.third_party and event.id in claim.no_forward:
            return False
        if event.id in claim.barred and not self._may_still_send(event, claim):
            return False
        return self._backend.accepts(event)

    def send(self, lease: Lease, events: Sequence[Event], claim: Claim, failures: int) -> Outcome:
        """Send claimed events; those that wait in batches first, and with their boundaries. Raises `LeaseLost`."""
        backend = self._batching
        shown = [self._as_sent(event, claim) for event in self._timed(events, claim)]
        if backend is None:
            return self._plainly(events, shown, failures)
        batches = to_send(shown, claim.in_flight, backend.divide)
        noting = noted(batches, claim.in_flight.confirmed)
        if batches and noting != claim.in_flight:
            self._queue.note_batches(self._backend.name, lease, noting, upto=claim.upto or events[-1].position)
        return self._in_batches(backend, events, batches, claim.in_flight, failures)

    def resend(self, events: Sequence[Event], claim: Claim, failures: int) -> Outcome:
        """Send dead letters again. In a batch each, so its boundaries do not depend on what else was requeued."""
        backend = self._batching
        shown = [self._as_sent(event, claim) for event in events]
        if backend is None:
            return self._plainly(events, shown, failures)
        batches = [batch for event in shown for batch in backend.divide([event])]
        return self._in_batches(backend, events, batches, InFlight(), failures)

    def _plainly(self, events: Sequence[Event], shown: Sequence[Event], failures: int) -> Outcome:
        problem = ""
        try:
            receipt = self._backend.send(shown) if shown else Receipt(delivered=0)
        except Exception as error:  # noqa: BLE001 - a backend's fault is a retry
            problem, receipt = self._raised(error, "send"), Receipt(delivered=0)
        rejected = {rejection.event_id: rejection for rejection in receipt.rejected}
        done = min(len(events), max(0, receipt.delivered) + len(rejected))
        outcome = Outcome(
            taken=[event for event in events[:done] if event.id not in rejected],
            dead=_letters(events[:done], rejected),
            left=events[done:],
        )
        return self._judged(outcome, receipt, problem, failures, has_progress=done > 0)

    def _in_batches(
        self,
        backend: BatchBackend,
        events: Sequence[Event],
        batches: Sequence[Batch],
        in_flight: InFlight,
        failures: int,
    ) -> Outcome:
        problem = ""
        try:
            receipt = backend.send_batches(batches) if batches else BatchReceipt()
        except Exception as error:  # noqa: BLE001 - a backend's fault is a retry
            problem, receipt = self._raised(error, "send_batches"), BatchReceipt(left=batches)
        sent = Sent.of(batches, receipt, in_flight)
        waiting = {event.id for batch in sent.left for event in batch.events}
        rejected = {each.event_id: each for each in receipt.rejected if each.event_id not in waiting}
        outcome = Outcome(
            taken=[event for event in events if event.id in sent.confirmed],
            dead=_letters(events, rejected),
            left=[event for event in events if event.id in waiting],
            sent=sent,
        )
        has_progress = bool(outcome.dead) or len(sent.confirmed) > len(in_flight.confirmed)
        return self._judged(outcome, receipt, problem, failures, has_progress=has_progress)

    def _raised(self, error: Exception, method: str) -> str:
        log.warning("Backend %s failed and is tried again: %s", self._backend.name, type(error).__name__)
        reason = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
        return f"{type(error).__name__} in {method}(){reason}"

    def _judged(
        self, outcome: Outcome, receipt: Receipt | BatchReceipt, problem: str, failures: int, *, has_progress: bool
    ) -> Outcome:
        """Decide when what is left is sent again."""
        goes_on = has_progress and receipt.retry_after == 0  # it accepts events, only not so many within its time
        if outcome.left and not goes_on:
            failed = 1 if has_progress else failures + 1
            pause = retry.PAUSE if receipt.pause is not None else 0
            outcome.failures = failed
            outcome.retry_at = self._now() + max(
                pause, retry.wait(failed, self._chance(), retry_after=receipt.retry_after)
            )
            reason = receipt.pause or receipt.problem or problem
            outcome.problem = reason or "it did not accept all events, and gave no reason"
        return outcome

    def _timed(self, events: Sequence[Event], claim: Claim) -> Sequence[Event]:
        """Return the events with the time since the session's preceding event, whether or not the backend accepts that one."""
        if not getattr(self._backend, "wants_elapsed", False):
            return events
        latest = dict(claim.previous)
        elapsed: dict[str, int] = {}
        for event in claim.events:
            if event.name in APART or "session.late" in event.attributes:
                continue
            before = latest.get(event.session_key, event.session_started_at)
            elapsed[event.id] = max(0, event.time - before)
            latest[event.session_key] = max(before, event.time)
        return [msgspec.structs.replace(event, elapsed_ms=elapsed.get(event.id, 0)) for event in events]

    def _as_sent(self, event: Event, claim: Claim) -> Event:
        """Return the event with its session's context, a date that arrives, and no attribute that the backend must not see."""
        event = self.expiry.dated(event, self._now())
        context = claim.contexts.get(event.session_key, {})
        if self._hidden.isdisjoint(event.attributes) and not context:
            return event
        return msgspec.structs.replace(event, attributes=self._shown(event.attributes), context=self._shown(context))

    def _shown(self, attributes: Mapping[str, Scalar]) -> Mapping[str, Scalar]:
        if self._hidden.isdisjoint(attributes):
            return attributes
        return {name: value for name, value in attributes.items() if name not in self._hidden}

    def _may_still_send(self, event: Event, claim: Claim) -> bool:
        """After an opt-out or erasure only the opt-out itself, and the end of a session whose start this backend got."""
        if event.name == OPT_OUT:
            return True
        start = claim.started.get(event.session_key)
        return event.name == SESSION_END and start is not None and self._backend.accepts(start)


def _letters(events: Sequence[Event], rejected: Mapping[str, Rejection]) -> list[tuple[Event, str, int | None]]:
    return [(event, rejected[event.id].reason, rejected[event.id].status) for event in events if event.id in rejected]
