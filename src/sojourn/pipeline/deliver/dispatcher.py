"""A dispatcher: sends the event log to a backend, batch by batch from the backend's cursor. One per backend, by lease.

It claims events in the store before it sends them (from then on an end cannot be withdrawn), holds no transaction while the
backend works, and moves the cursor by its lease's token. If its lease ran out meanwhile, another dispatcher has taken over
and sends the batch again; nothing is lost.

See P21 and P22 in docs/internals.md.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from sojourn.backends.protocol import Backend
from sojourn.core.events import OPT_OUT, SESSION_START, Event
from sojourn.core.threads import RLock
from sojourn.pipeline.leadership import LEASE_MS
from sojourn.stores.model import BackendState, Lease, LeaseLost, Resettled, Settled, dispatcher_lease
from sojourn.stores.protocol import DeliveryQueue

from . import retry, shedding
from .sender import Outcome, Sender

log = logging.getLogger("sojourn")

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one step did. `is_idle`: nothing is due now; `retry_at` (ms): when something will be.

    `more`: further events wait than the step took.
    """

    delivered: int = 0
    is_idle: bool = True
    retry_at: int | None = None
    more: bool = False


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
        self._sender = Sender(backend, queue, now=now, chance=chance, hidden=hidden)
        self._wants_context = bool(getattr(backend, "wants_context", False))
        self._wants_elapsed = bool(getattr(backend, "wants_elapsed", False))
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
            name,
            lease,
            until=now + LEASE_MS,
            limit=limit,
            now=now,
            with_contexts=self._wants_context,
            with_batches=self._sender.has_batches,
            with_previous=self._wants_elapsed,
        )
        events = claim.events if claim.in_flight else _whole(claim.events, limit)
        if not events:
            if claim.upto is not None:  # all that these batches held was erased
                self._queue.settle(name, lease, Settled(upto=claim.upto), now=self._now())
                return Delivery(is_idle=False)
            return Delivery()
        sheds = shedding.level(state.backlog, self._outbox_max)
        sent_before = claim.in_flight.event_ids
        accepted: list[Event] = []
        shed: list[Event] = []
        expired: list[Event] = []
        withheld = set(claim.withheld)
        for event in events:
            if self._sender.accepts(event, claim):
                if self._sender.expiry.has_expired(event, now, withheld):
                    expired.append(event)
                    withheld |= {event.session_key} if event.name == SESSION_START else set()
                    continue
                is_shed = shedding.rank(event.name) <= sheds and event.id not in sent_before
                (shed if is_shed else accepted).append(event)
        outcome = self._sender.send(lease, accepted, claim, state.failures)
        # From the front: what comes behind an event that is left waits with it.
        left = outcome.left[0].id if outcome.left else None
        passed = list(takewhile(lambda event: event.id != left, events))
        passed_ids = {event.id for event in passed}
        dropped = sum(event.id in passed_ids for event in shed)
        expired = [event for event in expired if event.id in passed_ids]
        self._warn_of(expired)
        not_sent = claim.barred.union(event.id for event in expired)
        delivered = sum(event.id in passed_ids for event in outcome.taken)
        dead = [letter for letter in outcome.dead if letter[0].id in passed_ids]
        settled = Settled(
            upto=passed[-1].position if passed else None,
            withheld=[event.session_key for event in passed if event.name == SESSION_START and event.id in not_sent],
            delivered=delivered,
            skipped=len(passed) - dropped - len(expired) - delivered - len(dead),
            dropped=dropped,
            expired=len(expired),
            dead=dead,
            in_flight=outcome.in_flight(passed_ids),
            retried=min(1, outcome.failures),
            retry_at=outcome.retry_at,
            failures=outcome.failures,
            problem=outcome.problem,
        )
        self._queue.settle(name, lease, settled, now=self._now())
        return _delivery(outcome, delivered, more=state.backlog > len(events))

    def _resend(self, lease: Lease, state: BackendState, now: int) -> Delivery:
        """Send dead letters that an operator put back in the queue."""
        name = self.backend.name
        limit = retry.size(state.failures, _BATCH)
        claim = self._queue.claim_requeued(
            name, lease, until=now + LEASE_MS, limit=limit, now=now, with_contexts=self._wants_context
        )
        accepted = [event for event in claim.events if self._sender.accepts(event, claim)]
        expired = [event for event in accepted if self._sender.expiry.has_expired(event, now)]
        self._warn_of(expired)
        expired_ids = {event.id for event in expired}
        accepted = [event for event in accepted if event.id not in expired_ids]
        outcome = self._sender.resend(accepted, claim, state.failures)
        accepted_ids = {event.id for event in accepted}
        settled = Resettled(
            delivered=[event.id for event in outcome.taken],
            skipped=[event.id for event in claim.events if event.id not in accepted_ids | expired_ids],
            expired=list(expired_ids),
            dead=outcome.dead,
            retried=min(1, outcome.failures),
            retry_at=outcome.retry_at,
            failures=outcome.failures,
            problem=outcome.problem,
        )
        self._queue.settle_requeued(name, lease, settled, now=self._now())
        return _delivery(outcome, len(outcome.taken))

    def _warn_of(self, expired: Sequence[Event]) -> None:
        if expired:
            log.warning(
                "Backend %s: %s events have expired, because its receiver accepts none that are older than %s s",
                self.backend.name,
                len(expired),
                (self._sender.expiry.oldest or 0) // 1000,
            )


def _whole(events: Sequence[Event], limit: int) -> Sequence[Event]:
    """Leave an opt-out at the end of a full claim for the next: the end of its session follows it in the log."""
    return events[:-1] if 1 < len(events) == limit and events[-1].name == OPT_OUT else events


def _delivery(outcome: Outcome, delivered: int, *, more: bool = False) -> Delivery:
    return Delivery(delivered, outcome.retry_at is not None, outcome.retry_at, more)
