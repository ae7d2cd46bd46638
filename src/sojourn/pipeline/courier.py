"""A courier: the event log from a backend's cursor, batch by batch, to the backend. One per backend, by lease.

It says in the store what it is about to send before it sends (from then on an end cannot be withdrawn), holds no
transaction while the backend works, and moves the cursor by its lease's token: if it overslept, another courier has taken
over, and what it did is repeated there, never lost.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import RLock
from typing import Final, Protocol

import msgspec

from sojourn.backends.protocol import Backend, Receipt
from sojourn.core.events import OPT_OUT, SESSION_END, SESSION_START, Event
from sojourn.stores.protocol import BackendState, Claim, EventLog, Lease, LeaseLost, Leases, Settled

from . import retry, shedding

log = logging.getLogger("sojourn")

LEASE_MS: Final = 30_000
_BATCH: Final = 500


class CourierStore(EventLog, Leases, Protocol):
    """What a courier needs of the store."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one step did. `is_idle`: nothing is due now; `retry_at` (ms) when something will be."""

    delivered: int = 0
    is_idle: bool = True
    retry_at: int | None = None


class Courier:
    """Delivers to one backend. Called by one thread at a time (a lock sees to it); blocks up to the backend's deadline."""

    def __init__(
        self,
        backend: Backend,
        store: CourierStore,
        *,
        holder: str,
        now: Callable[[], int],
        dead_holders: Callable[[str], frozenset[str]],
        chance: Callable[[], float] = random.random,
        hidden: frozenset[str] = frozenset(),
        outbox_max: int | None = None,
    ) -> None:
        self.backend = backend
        self._store = store
        self._holder = holder
        self._now = now
        self._dead_holders = dead_holders
        self._chance = chance
        self._hidden = hidden
        self._outbox_max = outbox_max
        self._lease: Lease | None = None
        self._lock = RLock()

    @property
    def lease_name(self) -> str:
        return f"courier:{self.backend.name}"

    def step(self) -> Delivery:
        """Send the next batch, if one is due and the lease is ours."""
        with self._lock:
            name, now = self.backend.name, self._now()
            state = self._store.backend(name)
            if state.retry_at is not None and now < state.retry_at:
                return Delivery(retry_at=state.retry_at)
            if state.backlog == 0 or not self._holds(now):
                return Delivery()
            lease = self._lease
            if lease is None:
                return Delivery()
            try:
                limit = retry.size(state.failures, _BATCH)
                claim = self._store.claim(name, lease, until=now + LEASE_MS, limit=limit, now=now)
                if not claim.events:
                    return Delivery()
                settled = self._sent(claim, state)
                self._store.settle(name, lease, settled, now=self._now())
            except LeaseLost:
                self._lease = None
                return Delivery()
            is_stuck = settled.retry_at is not None
            return Delivery(settled.delivered, is_stuck, settled.retry_at)

    def release(self) -> None:
        """The lease was given back for this holder."""
        with self._lock:
            self._lease = None

    def _holds(self, now: int) -> bool:
        if self._lease is None or self._lease.until - now < LEASE_MS // 2:
            self._lease = self._store.acquire(
                self.lease_name,
                self._holder,
                now=now,
                until=now + LEASE_MS,
                dead=self._dead_holders(self.lease_name),
            )
        return self._lease is not None

    def _sent(self, claim: Claim, state: BackendState) -> Settled:
        sheds = shedding.level(state.backlog, self._outbox_max)
        wanted: list[Event] = []
        shed: list[Event] = []
        for event in claim.events:
            if self._wants(event, claim):
                (shed if shedding.rank(event.name) <= sheds else wanted).append(event)
        problem: str | None = None
        try:
            receipt = self.backend.send([self._shown(event) for event in wanted]) if wanted else Receipt(delivered=0)
        except Exception as error:  # noqa: BLE001 - the worker's guard: a backend's fault is a retry
            problem = f"{type(error).__name__} in send()"
            log.warning("backend %s failed and will be tried again: %s", self.backend.name, type(error).__name__)
            receipt = Receipt(delivered=0)
        settled = self._settled(claim, wanted, receipt, state.failures, problem)
        dropped = sum(event.seq <= settled.upto for event in shed)
        return replace(settled, dropped=dropped, skipped=settled.skipped - dropped)

    def _settled(
        self, claim: Claim, wanted: list[Event], receipt: Receipt, failures: int, problem: str | None
    ) -> Settled:
        rejected = {rejection.event_id: rejection for rejection in receipt.rejected}
        done = min(len(wanted), max(0, receipt.delivered) + len(rejected))
        upto = claim.events[-1].seq if done == len(wanted) else wanted[done].seq - 1
        taken = {event.id for event in wanted}
        skipped = sum(1 for event in claim.events if event.seq <= upto and event.id not in taken)
        dead = [
            (event, rejected[event.id].reason, rejected[event.id].status)
            for event in wanted[:done]
            if event.id in rejected
        ]
        retry_at: int | None = None
        failed = 0
        if done < len(wanted):
            failed = failures + 1 if done == 0 else 1
            pause = retry.PAUSE if receipt.pause is not None else 0
            retry_at = self._now() + max(pause, retry.wait(failed, self._chance(), asked=receipt.retry_after))
            problem = receipt.pause or problem or "not all was taken"
        return Settled(
            upto=max(upto, 0),
            withheld=[
                event.session_key
                for event in claim.events
                if event.name == SESSION_START and event.id in claim.barred and event.seq <= upto
            ],
            delivered=done - len(dead),
            skipped=skipped,
            dead=dead,
            retried=len(wanted) - done,
            retry_at=retry_at,
            failures=failed,
            problem=problem,
        )

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
