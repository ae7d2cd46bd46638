"""A dispatcher: sends the event log to a backend, batch by batch from the backend's cursor. One per backend, by lease.

It claims events in the store before it sends them (from then on an end cannot be withdrawn), holds no transaction while the
backend works, and moves the cursor by its lease's token. If its lease ran out meanwhile, another dispatcher has taken over
and sends the batch again; nothing is lost.

See P21 and P22 in docs/internals.md.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

import msgspec

from sojourn.backends.protocol import Backend, Receipt
from sojourn.core.events import OPT_OUT, SESSION_END, SESSION_START, Event, Scalar
from sojourn.core.threads import RLock
from sojourn.pipeline.leadership import LEASE_MS
from sojourn.stores.model import BackendState, Claim, Lease, LeaseLost, Resettled, Settled, dispatcher_lease
from sojourn.stores.protocol import DeliveryQueue

from . import retry, shedding

log = logging.getLogger("sojourn")

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one step did. `is_idle`: nothing is due now; `retry_at` (ms): when something will be."""

    delivered: int = 0
    is_idle: bool = True
    retry_at: int | None = None


@dataclass(slots=True, kw_only=True)
class _Outcome:
    """What became of the events of a call: `left` are those that are sent again, at `retry_at`."""

    taken: Sequence[Event]
    dead: Sequence[tuple[Event, str, int | None]]
    left: Sequence[Event]
    failures: int = 0
    retry_at: int | None = None
    problem: str | None = None

    def delivery(self) -> Delivery:
        return Delivery(len(self.taken), self.retry_at is not None, self.retry_at)


class Dispatcher:
    """Delivers to one backend. Blocks up to the backend's deadline; a lock admits one thread at a time."""

    def __init__(
        self,
        backend: Backend,
        queue: DeliveryQueue,
        *,
        now: Callable[[], int],
        acquire: Callable[[str, int], Lease | None],
        chance: Callable[[], float] = random.random,
        hidden: frozenset[str] = frozenset(),
        outbox_max: int | None = None,
    ) -> None:
        self.backend = backend
        self._queue = queue
        self._now = now
        self._acquire = acquire
        self._chance = chance
        self._hidden = hidden
        self._wants_context = bool(getattr(backend, "wants_context", False))
        self._outbox_max = outbox_max
        self._lease: Lease | None = None
        self._lock = RLock()

    @property
    def lease_name(self) -> str:
        return dispatcher_lease(self.backend.name)

    def step(self) -> Delivery:
        """Send the next batch, if one is due and the lease can be had. Requeued dead letters go first."""
        with self._lock:
            name, now = self.backend.name, self._now()
            state = self._queue.state(name)
            if state.retry_at is not None and now < state.retry_at:
                return Delivery(retry_at=state.retry_at)
            is_requeued = self._queue.has_requeued(name)
            if (state.backlog == 0 and not is_requeued) or not self._holds(now):
                return Delivery()
            lease = self._lease
            if lease is None:
                return Delivery()
            try:
                return self._resend(lease, state, now) if is_requeued else self._send(lease, state, now)
            except LeaseLost:
                self._lease = None
                return Delivery()

    def release(self) -> None:
        """Forget the lease: it was given back."""
        with self._lock:
            self._lease = None

    def _holds(self, now: int) -> bool:
        if self._lease is None or self._lease.until - now < LEASE_MS // 2:
            self._lease = self._acquire(self.lease_name, now)
        return self._lease is not None

    def _send(self, lease: Lease, state: BackendState, now: int) -> Delivery:
        """Send the next events of the log, and move the cursor past those that are settled, from the front."""
        name = self.backend.name
        limit = retry.size(state.failures, _BATCH)
        claim = self._queue.claim(
            name, lease, until=now + LEASE_MS, limit=limit, now=now, with_contexts=self._wants_context
        )
        if not claim.events:
            return Delivery()
        sheds = shedding.level(state.backlog, self._outbox_max)
        accepted: list[Event] = []
        shed: list[Event] = []
        for event in claim.events:
            if self._accepts(event, claim):
                (shed if shedding.rank(event.name) <= sheds else accepted).append(event)
        outcome = self._call(accepted, claim, state.failures)
        # From the front: what comes behind an event that is left waits with it.
        left = outcome.left[0].id if outcome.left else None
        passed = list(takewhile(lambda event: event.id != left, claim.events))
        passed_ids = {event.id for event in passed}
        dropped = sum(event.id in passed_ids for event in shed)
        settled = Settled(
            upto=passed[-1].position if passed else None,
            withheld=[
                event.session_key for event in passed if event.name == SESSION_START and event.id in claim.barred
            ],
            delivered=len(outcome.taken),
            skipped=len(passed) - dropped - len(outcome.taken) - len(outcome.dead),
            dropped=dropped,
            dead=outcome.dead,
            retried=len(outcome.left),
            retry_at=outcome.retry_at,
            failures=outcome.failures,
            problem=outcome.problem,
        )
        self._queue.settle(name, lease, settled, now=self._now())
        return outcome.delivery()

    def _resend(self, lease: Lease, state: BackendState, now: int) -> Delivery:
        """Send dead letters that an operator put back in the queue."""
        name = self.backend.name
        limit = retry.size(state.failures, _BATCH)
        claim = self._queue.claim_requeued(
            name, lease, until=now + LEASE_MS, limit=limit, now=now, with_contexts=self._wants_context
        )
        accepted = [event for event in claim.events if self._accepts(event, claim)]
        outcome = self._call(accepted, claim, state.failures)
        accepted_ids = {event.id for event in accepted}
        settled = Resettled(
            delivered=[event.id for event in outcome.taken],
            skipped=[event.id for event in claim.events if event.id not in accepted_ids],
            dead=outcome.dead,
            retried=len(outcome.left),
            retry_at=outcome.retry_at,
            failures=outcome.failures,
            problem=outcome.problem,
        )
        self._queue.settle_requeued(name, lease, settled, now=self._now())
        return outcome.delivery()

    def _call(self, batch: Sequence[Event], claim: Claim, failures: int) -> _Outcome:
        """Call the backend with these events, and return what became of them."""
        problem: str | None = None
        try:
            receipt = (
                self.backend.send([self._as_sent(event, claim) for event in batch]) if batch else Receipt(delivered=0)
            )
        except Exception as error:  # noqa: BLE001 - a backend's fault is a retry
            problem = f"{type(error).__name__} in send()"
            log.warning("Backend %s failed and is tried again: %s", self.backend.name, type(error).__name__)
            receipt = Receipt(delivered=0)
        rejected = {rejection.event_id: rejection for rejection in receipt.rejected}
        done = min(len(batch), max(0, receipt.delivered) + len(rejected))
        outcome = _Outcome(
            taken=[event for event in batch[:done] if event.id not in rejected],
            dead=[
                (event, rejected[event.id].reason, rejected[event.id].status)
                for event in batch[:done]
                if event.id in rejected
            ],
            left=batch[done:],
            problem=problem,
        )
        if outcome.left:
            failed = failures + 1 if done == 0 else 1
            pause = retry.PAUSE if receipt.pause is not None else 0
            outcome.failures = failed
            outcome.retry_at = self._now() + max(
                pause, retry.wait(failed, self._chance(), retry_after=receipt.retry_after)
            )
            outcome.problem = receipt.pause or problem or "the backend did not take all events"
        return outcome

    def _as_sent(self, event: Event, claim: Claim) -> Event:
        """Return the event with its session's context, and without the attributes that this backend must not see."""
        context = claim.contexts.get(event.session_key, {})
        if self._hidden.isdisjoint(event.attributes) and not context:
            return event
        return msgspec.structs.replace(event, attributes=self._shown(event.attributes), context=self._shown(context))

    def _shown(self, attributes: Mapping[str, Scalar]) -> Mapping[str, Scalar]:
        if self._hidden.isdisjoint(attributes):
            return attributes
        return {name: value for name, value in attributes.items() if name not in self._hidden}

    def _accepts(self, event: Event, claim: Claim) -> bool:
        if self.backend.third_party and event.id in claim.no_forward:
            return False
        if event.id in claim.barred and not self._may_still_send(event, claim):
            return False
        return self.backend.accepts(event)

    def _may_still_send(self, event: Event, claim: Claim) -> bool:
        """After an opt-out or erasure only the opt-out itself, and the end of a session whose start this backend got."""
        if event.name == OPT_OUT:
            return True
        start = claim.started.get(event.session_key)
        return event.name == SESSION_END and start is not None and self.backend.accepts(start)
