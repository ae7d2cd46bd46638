"""What an operator does to the outbox, and what dispatchers then do with dead letters. Knows no SQL and no dispatcher.

A dead letter that is put back in the queue stays counted as dead until it is delivered (or skipped); refused once more
it is a dead letter as before, with the new reason. So at every moment recorded = delivered + dead + skipped + dropped +
backlog.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec

from sojourn.core.events import Event

if TYPE_CHECKING:
    from .protocol import Claim, Lease


def dispatcher_lease(backend: str) -> str:
    """The name of the lease under which a backend is delivered to."""
    return f"dispatcher:{backend}"


class Letter(msgspec.Struct, frozen=True, array_like=True):
    """A dead letter in its place. `requeued_at` (ms): when it was put back in the queue; `None`: it was not."""

    number: int
    backend: str
    reason: str
    status: int | None
    at: int
    requeued_at: int | None
    event: Event


class Outbox(msgspec.Struct, frozen=True, array_like=True):
    """How the queue of a backend stands, beside its `BackendState`. `letters` are those that are kept still.

    `oldest_at` (ms): when the oldest event that waits was made; `None`: none waits, or only ends of sessions, which are
    dated back to the last activity and tell nothing.
    """

    name: str
    oldest_at: int | None
    letters: int
    requeued: int
    in_use_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resettled:
    """What became of requeued letters that were claimed, by event id. Those not named stay in the queue."""

    delivered: Collection[str] = ()
    skipped: Collection[str] = ()
    """Not to be sent any more: of somebody who left meanwhile, say. The letter goes."""
    dead: Sequence[tuple[Event, str, int | None]] = ()
    """Refused once more: why, and the status."""
    retried: int = 0
    retry_at: int | None = None
    failures: int = 0
    problem: str | None = None


class Requeues(Protocol):
    """What dispatchers need to send dead letters once more. As with the log: nothing is open while the backend works."""

    def has_requeued(self, name: str) -> bool:
        """Whether there is anything to claim; cheap."""
        ...

    def claim_requeued(self, name: str, lease: Lease, *, until: int, limit: int, now: int) -> Claim:
        """The oldest requeued letters of a backend; renews the lease like `claim`. Raises `LeaseLost`.

        Of those that are `barred` only `opt_out` may go: `started` is empty.
        """
        ...

    def settle_requeued(self, name: str, lease: Lease, settled: Resettled, *, now: int) -> None:
        """Count, and let go of what is settled; raises `LeaseLost`, and then nothing is written."""
        ...


class Operating(Protocol):
    """What an operator decides. Each call is one short transaction of at most `limit` rows; ask again for more."""

    def requeue(self, name: str, *, event_ids: Collection[str] | None, limit: int, now: int) -> int:
        """Put back what was refused until now, these letters or (`None`) all: how many.

        Clears retry time, failures and problem; so with no ids at all the backend is merely tried now. Raises
        `StoreError` for a backend that is not known.
        """
        ...

    def skip_waiting(self, name: str, *, upto: int, limit: int) -> int:
        """Move the cursor past what waits, up to this `seq`, counted as skipped: how many.

        Whoever holds the dispatcher's lease is fenced off: what it has in its hands it cannot settle any more.
        """
        ...

    def skip_letters(self, name: str, *, event_ids: Collection[str] | None, limit: int) -> int:
        """Let go of dead letters, these or (`None`) all, requeued ones too: skipped instead of dead. Fences likewise."""
        ...


class OperatorQueries(Protocol):
    """What an operator looks at. Each call is one short read of one moment."""

    def outboxes(self) -> tuple[Outbox, ...]: ...

    def leases(self) -> tuple[Lease, ...]:
        """All that are held, by name; those that are over among them."""
        ...

    def letters(self, name: str | None, *, after: int, limit: int) -> list[Letter]:
        """Dead letters of a backend, or (`None`) of all, behind this number, oldest first."""
        ...
