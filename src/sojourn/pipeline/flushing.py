"""What `flush` does: apply what this process appended so far, and deliver what is due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sojourn.stores.protocol import Store

from .deliver.dispatcher import Dispatcher
from .journal import Journal
from .leadership import Leadership
from .record.recorder import Recorder
from .scheduling import Scheduler
from .store_time import StoreTime

_PAUSE_S: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushReport:
    """What a flush did.

    `recorded` records were applied and `delivered` events sent by it; `waiting` events are still to be sent; `done`: all
    that was due is.
    """

    recorded: int
    delivered: int
    waiting: int
    done: bool


class Flusher:
    """Works beside the steps of the background; raises `StoreError`. Deadlines are the scheduler's."""

    def __init__(
        self,
        store: Store,
        *,
        recorder: Recorder,
        dispatchers: Sequence[Dispatcher],
        leadership: Leadership,
        time: StoreTime,
        scheduler: Scheduler,
        may_record: bool,
        waits_for_others: bool,
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._dispatchers = dispatchers
        self._leadership = leadership
        self._time = time
        self._scheduler = scheduler
        self._may_record = may_record
        self._waits_for_others = waits_for_others

    def flush(self, journal: Journal, deadline: float) -> FlushReport:
        recorded, is_recorded = self.apply(journal, deadline)
        delivered, waiting, is_delivered = self._deliver(deadline)
        return FlushReport(recorded=recorded, delivered=delivered, waiting=waiting, done=is_recorded and is_delivered)

    def apply(self, journal: Journal, deadline: float) -> tuple[int, bool]:
        """Bring what the journal accepted so far into the store: (records applied here, whether all are applied).

        If another process is the recorder, wait until it has passed them.
        """
        accepted = journal.stats().accepted
        recorded = 0
        if accepted == 0 and not self._may_record:
            return 0, True
        while True:
            now = self._time.now()
            if self._leadership.stand(now):
                applied, is_more = self._recorder.step(now)
                recorded += applied
                if not is_more:
                    return recorded, True
                if not applied:
                    self._scheduler.pause(_PAUSE_S)
            elif self._is_passed(journal.id, accepted):
                return recorded, True
            else:
                self._scheduler.pause(_PAUSE_S)
            if self._is_over(deadline):
                return recorded, False

    def _is_passed(self, journal: str, accepted: int) -> bool:
        mark = self._store.records.marks().get(journal)
        return accepted == 0 or (mark is not None and mark.totals.get("records.accepted", 0) >= accepted)

    def _deliver(self, deadline: float) -> tuple[int, int, bool]:
        """Deliver what is due: (events delivered here, events that wait, whether none of them is due)."""
        delivered, waiting, is_done = 0, 0, True
        head, has_passed = self._store.log.head(), self._store.log.has_passed
        for dispatcher in self._dispatchers:
            name = dispatcher.backend.name
            while True:
                step = dispatcher.step()
                delivered += step.delivered
                if not step.is_idle:
                    continue
                state = self._store.delivery.state(name)
                if step.retry_at is not None or has_passed(state.cursor, head) or self._is_over(deadline):
                    break
                if not self._waits_for_others:
                    break
                self._scheduler.pause(_PAUSE_S)
            state = self._store.delivery.state(name)
            waiting += state.backlog
            is_done = is_done and (has_passed(state.cursor, head) or step.retry_at is not None)
        return delivered, waiting, is_done

    def _is_over(self, deadline: float) -> bool:
        return self._scheduler.monotonic() >= deadline
