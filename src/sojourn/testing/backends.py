"""A backend in memory, for tests: it keeps the events, and fails on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from sojourn.backends.protocol import Receipt, Rejection
from sojourn.core.events import Event


class MemoryBackend:
    """Keeps accepted events in `events`, in the order of delivery, and the size of every batch in `sizes`.

    `reject`: returns whether to refuse an event for good. `accepts`: returns whether the backend gets an event at all. With
    `third_party=False`, the default, events of visitors who send `Sec-GPC` arrive too. With `wants_context=True` each event
    has the `context` of its session, with `wants_elapsed=True` its `elapsed_ms`. Events older than `oldest_accepted` are
    counted as expired.
    """

    def __init__(
        self,
        *,
        name: str = "memory",
        third_party: bool = False,
        wants_context: bool = False,
        wants_elapsed: bool = False,
        oldest_accepted: timedelta | None = None,
        reject: Callable[[Event], bool] | None = None,
        accepts: Callable[[Event], bool] | None = None,
    ) -> None:
        self.name = name
        self.third_party = third_party
        self.wants_context = wants_context
        self.wants_elapsed = wants_elapsed
        self.oldest_accepted = oldest_accepted
        self.events: list[Event] = []
        self.sizes: list[int] = []
        self.is_closed = False
        self._reject = reject
        self._accepts = accepts
        self._failures = 0
        self._taken_before_failure = 0
        self._error: Exception | None = None
        self._retry_after: float | None = None
        self._pause: str | None = None

    def fail(
        self, times: int = 1, *, after: int = 0, retry_after: float | None = None, error: Exception | None = None
    ) -> None:
        """Fail the next `times` sends: raise `error`, or accept the first `after` events and ask for the rest later."""
        self._failures = times
        self._taken_before_failure = after
        self._retry_after = retry_after
        self._error = error

    def pause(self, reason: str = "the key is wrong; check it") -> None:
        """Refuse everything until `resume()`, as a vendor does with a wrong key."""
        self._pause = reason

    def resume(self) -> None:
        self._pause = None

    def clear(self) -> None:
        """Forget all events and sizes."""
        self.events.clear()
        self.sizes.clear()

    def named(self, name: str) -> list[Event]:
        """Return the events of one name, as in `named("session.end")`."""
        return [event for event in self.events if event.name == name]

    def accepts(self, event: Event) -> bool:
        return self._accepts is None or self._accepts(event)

    def send(self, batch: Sequence[Event]) -> Receipt:
        self.sizes.append(len(batch))
        if self._pause is not None:
            return Receipt(delivered=0, pause=self._pause)
        if self._failures > 0:
            self._failures -= 1
            if self._error is not None:
                raise self._error
            settled = self._take(batch[: self._taken_before_failure])
            return Receipt(delivered=settled.delivered, rejected=settled.rejected, retry_after=self._retry_after)
        return self._take(batch)

    def close(self) -> None:
        self.is_closed = True

    def _take(self, batch: Sequence[Event]) -> Receipt:
        rejected = tuple(
            Rejection(event_id=event.id, reason="the test rejects it")
            for event in batch
            if self._reject is not None and self._reject(event)
        )
        refused = {rejection.event_id for rejection in rejected}
        taken = [event for event in batch if event.id not in refused]
        self.events += taken
        return Receipt(delivered=len(taken), rejected=rejected)
