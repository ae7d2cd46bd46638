"""Reads the health of recording and delivery from a store and the journals of this machine. Changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sojourn.core.clock import SystemClock

from .checks import Backlog, HealthSnapshot
from .journals import unapplied

if TYPE_CHECKING:
    from sojourn.stores.protocol import Store

_MAX_READS = 5


def snapshot(store: Store, directory: Path | None, *, now: int | None = None) -> HealthSnapshot:
    """Read the health at `now` (ms); a store with its own clock overrides that. Raises `StoreError`.

    While a recorder is at work, counters and journals are read again, up to five times, until they agree.
    """
    marks = store.records.marks()
    for _ in range(_MAX_READS):
        stats = store.stats()
        here = None if directory is None else unapplied(directory, marks)
        before, marks = marks, store.records.marks()
        positions = ({name: mark.position for name, mark in each.items()} for each in (before, marks))
        is_moving = len({tuple(sorted(each.items())) for each in positions}) > 1
        if not is_moving:
            break
    store_time = store.time()
    if store_time is not None or now is None:
        now = SystemClock.now() if store_time is None else store_time
    outboxes = {outbox.name: outbox for outbox in store.outbox.states()}
    backlogs = tuple(
        Backlog(state=state, outbox=outbox, lag=_lag(state.backlog, outbox.oldest_at, now))
        for state in sorted(stats.backends, key=lambda state: state.name)
        if (outbox := outboxes.get(state.name)) is not None
    )
    return HealthSnapshot(
        now=now,
        stats=stats,
        backlogs=backlogs,
        leases=store.leases.held(),
        marks=marks,
        here=here,
        is_moving=is_moving and here is not None,
        long_visits=store.report.long_visits(),
        alerts=tuple(store.alerts.states()),
        notices=tuple(store.alerts.unsent()),
    )


def _lag(backlog: int, oldest_at: int | None, now: int) -> int | None:
    return None if not backlog or oldest_at is None else max(0, now - oldest_at)
