"""What a backend is: the port through which events leave. Knows no vendor and no transport."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sojourn.core.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """One event that the backend will never take, and why. It becomes a dead letter."""

    event_id: str
    reason: str
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a batch.

    The first `delivered + len(rejected)` events of the batch are settled (the rejected are among them); the rest is
    sent again after `retry_after` seconds (`None`: the dispatcher's own backoff). `pause` says in words why sending more
    is useless until somebody acts (a wrong key, an unknown address): the dispatcher then waits long and says so.
    """

    delivered: int
    rejected: tuple[Rejection, ...] = ()
    retry_after: float | None = None
    pause: str | None = None


@runtime_checkable
class Backend(Protocol):
    """Takes finished events, in the order of the log. Called by one thread; may block up to 15 s; may see an event twice.

    `name` is unique among the backends of an engine. `third_party` says whether the data leaves the team's hands
    (it decides what `Sec-GPC` and consent hold back). An exception from `send` means: all of it again, later.
    """

    name: str
    third_party: bool

    def accepts(self, event: Event) -> bool: ...

    def send(self, batch: Sequence[Event]) -> Receipt: ...

    def close(self) -> None: ...
