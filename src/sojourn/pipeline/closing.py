"""What a process does last: record what is left in the journals of its host, deliver what is due, give its leases back.

The leases decide who does it, and no process waits for another one. A process that leaves has appended its records before it
asks for a lease, and looks again after it gave its leases back. So of several that leave together the last one finds
what the others left.

See P2 and P8 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sojourn.stores.protocol import Store

from .deliver.dispatcher import Dispatcher
from .leadership import Leadership
from .record.recorder import Recorder
from .scheduling import Scheduler
from .store_time import StoreTime

_PAUSE_S: Final = 0.02


class LastPass:
    """The last pass of one process, until `deadline` (of the scheduler). Raises `StoreError`."""

    def __init__(
        self,
        store: Store,
        *,
        recorder: Recorder,
        dispatchers: Sequence[Dispatcher],
        leadership: Leadership,
        time: StoreTime,
        scheduler: Scheduler,
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._dispatchers = dispatchers
        self._leadership = leadership
        self._time = time
        self._scheduler = scheduler
        self.deadline = 0.0
        self.is_recorded = False
        """Set when no more will be recorded by this pass: from then on a dispatcher that is idle has ended."""
        self.is_done = False

    def record(self, open_store: Callable[[], None]) -> None:
        """Record what is in the journals, unless another process does."""
        try:
            open_store()
            self._record()
        finally:
            self.is_recorded = True

    def deliver(self, dispatcher: Dispatcher, is_open: Callable[[], bool]) -> None:
        """Deliver what is due, beside the recording. For the dispatcher's own thread: one backend must not delay another."""
        while not (self.is_done or self._is_over()):
            is_recorded = self.is_recorded  # before the step, which then sees all of it
            if is_open() and not dispatcher.step().is_idle:
                continue
            if is_recorded:
                return
            self._scheduler.pause(_PAUSE_S)

    def hand_over(self) -> None:
        """Give the leases back, and do what another process may have left meanwhile because this one held them.

        Call it when `record` and `deliver` have ended. What is left of the leases after the deadline runs out by itself.
        """
        try:
            while not self._is_over():
                self._leadership.step_down()
                for dispatcher in self._dispatchers:
                    dispatcher.release()
                if not (self._is_work_left() and self._record() + self._deliver()):
                    return
        finally:
            self.is_done = True

    def _record(self) -> int:
        """Return how many records were recorded."""
        recorded = 0
        while not self._is_over() and self._leadership.stand(now := self._time.now()):
            applied, is_more = self._recorder.step(now)
            recorded += applied
            if not is_more:
                break
            if not applied:
                self._scheduler.pause(_PAUSE_S)
        return recorded

    def _deliver(self) -> int:
        """Return how many events were delivered."""
        delivered = 0
        for dispatcher in self._dispatchers:
            while not self._is_over():
                step = dispatcher.step()
                delivered += step.delivered
                if step.is_idle:
                    break
        return delivered

    def _is_work_left(self) -> bool:
        now = self._time.now()
        states = [self._store.delivery.state(dispatcher.backend.name) for dispatcher in self._dispatchers]
        is_due = any(state.backlog and (state.retry_at is None or state.retry_at <= now) for state in states)
        return is_due or self._recorder.has_unapplied()

    def _is_over(self) -> bool:
        return self._scheduler.monotonic() >= self.deadline
