"""Looks at a store and the journals of this machine, to tell how it all stands. Reads only; judges nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sojourn.core.clock import SystemClock

from .checks import Backlog, HealthSnapshot
from .journals import unapplied

if TYPE_CHECKING:
    from sojourn.stores.protocol import Store

_LOOKS = 5


def seen(store: Store, directory: Path | None, *, now: int | None = None) -> HealthSnapshot:
    """How it stands at `now` (a store with a clock of its own: by that).

    A recorder may be at work meanwhile: then it is looked at again, a few times.
    """
    marks = store.marks()
    for _ in range(_LOOKS):
        stats = store.stats()
        here = None if directory is None else unapplied(directory, marks)
        before, marks = marks, store.marks()
        positions = ({name: mark.position for name, mark in each.items()} for each in (before, marks))
        is_moving = len({tuple(sorted(each.items())) for each in positions}) > 1
        if not is_moving:
            break
    told = store.time()
    if told is not None or now is None:
        now = SystemClock.now() if told is None else told
    outboxes = {outbox.name: outbox for outbox in store.outboxes()}
    backlogs = tuple(
        Backlog(state=state, outbox=outbox, lag=_lag(state.backlog, outbox.oldest_at, now))
        for state in sorted(stats.backends, key=lambda state: state.name)
        if (outbox := outboxes.get(state.name)) is not None
    )
    return HealthSnapshot(
        now=now,
        stats=stats,
        backlogs=backlogs,
        leases=store.leases(),
        marks=marks,
        here=here,
        is_moving=is_moving and here is not None,
    )


def _lag(backlog: int, oldest_at: int | None, now: int) -> int | None:
    return None if not backlog or oldest_at is None else max(0, now - oldest_at)
