"""The port through which events leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sojourn.core.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """One event that the backend will never accept, and why. It becomes a dead letter."""

    event_id: str
    reason: str
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The result of sending a batch.

    The first `delivered + len(rejected)` events of the batch are done (the rejected ones are among them); the rest is sent
    again after `retry_after` seconds (`None`: after the dispatcher's own backoff). `pause` is the reason why sending is useless
    until the operator acts (a wrong key, an unknown address): the dispatcher then pauses for long and logs the reason.
    `problem` is why the rest was not accepted, as `sojourn status` and the report show it: no payload, no secret.
    """

    delivered: int
    rejected: tuple[Rejection, ...] = ()
    retry_after: float | None = None
    pause: str | None = None
    problem: str | None = None


@runtime_checkable
class Backend(Protocol):
    """Receives finished events, in the order of the log. Called by one thread; may block for 15 s; may get an event twice.

    `name` is unique among the backends of an engine. `third_party` says whether the data leaves the team's hands, so that
    `Sec-GPC` and consent hold events back. If `send` raises an exception, the whole batch is sent again later.

    A backend may also set `oldest_accepted` (a `timedelta`, or seconds) if its receiver drops older events: they are counted as
    expired instead of sent. With `wants_context = True` each event that it is sent has the `context` of its session,
    with `wants_elapsed = True` the `elapsed_ms` since the session's preceding event.
    """

    name: str
    third_party: bool

    def accepts(self, event: Event) -> bool:
        """Return whether to send this event; must always return the same for the same event."""

    def send(self, batch: Sequence[Event]) -> Receipt:
        """Send a batch of accepted events."""

    def close(self) -> None:
        """Release what is open. May be called more than once."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that a receiver takes as one, under an id by which it drops the batch if it comes again."""

    id: str
    events: Sequence[Event]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReceipt:
    """The result of sending batches. All events are done but those of the batches `left`, which are sent again unchanged.

    A backend may have divided a batch that was refused; then its parts are left. The other fields are those of `Receipt`.
    """

    left: Sequence[Batch] = ()
    rejected: tuple[Rejection, ...] = ()
    retry_after: float | None = None
    pause: str | None = None
    problem: str | None = None


@runtime_checkable
class BatchBackend(Protocol):
    """A backend whose receiver drops a repeated batch by its id. The dispatcher notes the batches before it sends them."""

    def divide(self, events: Sequence[Event]) -> Sequence[Batch]:
        """Divide events into batches, each event in one; the same events give the same batches."""

    def send_batches(self, batches: Sequence[Batch]) -> BatchReceipt:
        """Send batches with the ids that they have. Some may lack members that had been sent with them before."""
