"""A dispatcher: the event log from a backend's cursor, batch by batch, to the backend. One per backend, by lease.

It says in the store what it is about to send before it sends (from then on an end cannot be withdrawn), holds no
transaction while the backend works, and moves the cursor by its lease's token: if it overslept, another dispatcher has taken
over, and what it did is repeated there, never lost.

See P21 and P22 in docs/internals.md.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

import msgspec

from sojourn.backends.protocol import Backend, Receipt
from sojourn.core.events import OPT_OUT, SESSION_END, SESSION_START, Event
from sojourn.core.threads import RLock
from sojourn.pipeline.leadership import LEASE_MS
from sojourn.stores.model import BackendState, Claim, Lease, LeaseLost, Resettled, Settled, dispatcher_lease
from sojourn.stores.protocol import DeliveryQueue

from . import retry, shedding

log = logging.getLogger("sojourn")

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one step did. `is_idle`: nothing is due now; `retry_at` (ms) when something will be."""

    delivered: int = 0
    is_idle: bool = True
    retry_at: int | None = None


@dataclass(slots=True, kw_only=True)
class _Outcome:
    """What became of events that were offered: `left` are those that go again, at `retry_at`."""

    taken: Sequence[Event]
    dead: Sequence[tuple[Event, str, int | None]]
    left: Sequence[Event]
    failures: int = 0
    retry_at: int | None = None
    problem: str | None = None

    def delivery(self) -> Delivery:
        return Delivery(len(self.taken), self.retry_at is not None, self.retry_at)


class Dispatcher:
    """Delivers to one backend. Called by one thread at a time (a lock sees to it); blocks up to the backend's deadline."""

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
        self._outbox_max = outbox_max
        self._lease: Lease | None = None
        self._lock = RLock()

    @property
    def lease_name(self) -> str:
        return dispatcher_lease(self.backend.name)

    def step(self) -> Delivery:
        """Send the next batch, if one is due and the lease is ours. What was put back in the queue goes first."""
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
        """The lease was given back for this holder."""
        with self._lock:
            self._lease = None

    def _holds(self, now: int) -> bool:
        if self._lease is None or self._lease.until - now < LEASE_MS // 2:
            self._lease = self._acquire(self.lease_name, now)
        return self._lease is not None

    def _send(self, lease: Lease, state: BackendState, now: int) -> Delivery:
        """The next events of the log; the cursor moves past what is settled, from the front."""
        name = self.backend.name
        limit = retry.size(state.failures, _BATCH)
        claim = self._queue.claim(name, lease, until=now + LEASE_MS, limit=limit, now=now)
        if not claim.events:
            return Delivery()
        sheds = shedding.level(state.backlog, self._outbox_max)
        wanted: list[Event] = []
        shed: list[Event] = []
        for event in claim.events:
            if self._wants(event, claim):
                (shed if shedding.rank(event.name) <= sheds else wanted).append(event)
        outcome = self._offered(wanted, state.failures)
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
        """Dead letters that an operator put back in the queue."""
        name = self.backend.name
        limit = retry.size(state.failures, _BATCH)
        claim = self._queue.claim_requeued(name, lease, until=now + LEASE_MS, limit=limit, now=now)
        wanted = [event for event in claim.events if self._wants(event, claim)]
        outcome = self._offered(wanted, state.failures)
        taken_on = {event.id for event in wanted}
        settled = Resettled(
            delivered=[event.id for event in outcome.taken],
            skipped=[event.id for event in claim.events if event.id not in taken_on],
            dead=outcome.dead,
            retried=len(outcome.left),
            retry_at=outcome.retry_at,
            failures=outcome.failures,
            problem=outcome.problem,
        )
        self._queue.settle_requeued(name, lease, settled, now=self._now())
        return outcome.delivery()

    def _offered(self, wanted: Sequence[Event], failures: int) -> _Outcome:
        """Give events to the backend, and say what became of them."""
        problem: str | None = None
        try:
            receipt = self.backend.send([self._shown(event) for event in wanted]) if wanted else Receipt(delivered=0)
        except Exception as error:  # noqa: BLE001 - the worker's guard: a backend's fault is a retry
            problem = f"{type(error).__name__} in send()"
            log.warning("backend %s failed and will be tried again: %s", self.backend.name, type(error).__name__)
            receipt = Receipt(delivered=0)
        rejected = {rejection.event_id: rejection for rejection in receipt.rejected}
        done = min(len(wanted), max(0, receipt.delivered) + len(rejected))
        outcome = _Outcome(
            taken=[event for event in wanted[:done] if event.id not in rejected],
            dead=[
                (event, rejected[event.id].reason, rejected[event.id].status)
                for event in wanted[:done]
                if event.id in rejected
            ],
            left=wanted[done:],
            problem=problem,
        )
        if outcome.left:
            failed = failures + 1 if done == 0 else 1
            pause = retry.PAUSE if receipt.pause is not None else 0
            outcome.failures = failed
            outcome.retry_at = self._now() + max(pause, retry.wait(failed, self._chance(), asked=receipt.retry_after))
            outcome.problem = receipt.pause or problem or "not all was taken"
        return outcome

    def _shown(self, event: Event) -> Event:
        """The event without what this backend is not to see."""
        if self._hidden.isdisjoint(event.attributes):
            return event
        shown = {name: value for name, value in event.attributes.items() if name not in self._hidden}
        return msgspec.structs.replace(event, attributes=shown)

    def _wants(self, event: Event, claim: Claim) -> bool:
        if self.backend.third_party and event.id in claim.no_forward:
            return False
        if event.id in claim.barred and not self._may_part(event, claim):
            return False
        return self.backend.accepts(event)

    def _may_part(self, event: Event, claim: Claim) -> bool:
        """Of somebody who left: that they did, and the end of a session whose start this backend was given."""
        if event.name == OPT_OUT:
            return True
        start = claim.started.get(event.session_key)
        return event.name == SESSION_END and start is not None and self.backend.accepts(start)
