"""What is due every `sweep_interval` beside recording: end idle sessions, sum up hours for the report, apply retention.

See P19 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sojourn.stores.maintenance_protocol import Maintenance
from sojourn.stores.model import Lease

from .record.recorder import Recorder

_LEASE: Final = "sweeper"
_EXPIRE_EVERY_S: Final = 3600.0
_EXPIRE_ROWS: Final = 500
_ROLL_UP_EVERY_S: Final = 300.0
_ROLLED_UP_AT_ONCE: Final = 48
_UNSETTLED_MS: Final = 3 * 3_600_000
"""The latest hours are not summed up: their sessions still change."""


class Sweeper:
    """Called by the recorder's step only; blocks. Only one host sweeps at a time. Raises `StoreError`."""

    def __init__(
        self,
        store: Maintenance,
        recorder: Recorder,
        *,
        acquire: Callable[[str, int], Lease | None],
        monotonic: Callable[[], float],
        is_stopping: Callable[[], bool],
        interval: int,
        retention: int,
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._acquire = acquire
        self._monotonic = monotonic
        self._is_stopping = is_stopping
        self._interval_s = interval / 1000
        self._retention = retention
        self._swept_at = self._expired_at = monotonic()
        self._rolled_up_at = float("-inf")

    def turn(self, now: int) -> None:
        """Sweep if it is time to."""
        tick = self._monotonic()
        if tick - self._swept_at >= self._interval_s:
            self._swept_at = tick
            self.sweep(now)

    def sweep(self, now: int) -> None:
        """End what is over, unless another host is at it; report in any case how far this host has recorded."""
        if self._acquire(_LEASE, now) is None:
            self._recorder.step(now, must_mark=True)
            return
        self._recorder.sweep(now)
        tick = self._monotonic()
        if tick - self._rolled_up_at >= _ROLL_UP_EVERY_S:
            hours = self._store.roll_up(finished_before=now - _UNSETTLED_MS, limit=_ROLLED_UP_AT_ONCE)
            if hours < _ROLLED_UP_AT_ONCE:  # else there is more, and the next sweep goes on with it
                self._rolled_up_at = tick
        if tick - self._expired_at >= _EXPIRE_EVERY_S:
            self._expired_at = tick
            self.expire(now)

    def expire(self, now: int) -> None:
        """Delete what is older than the retention, in short transactions."""
        older_than = now - self._retention
        self._recorder.expire(older_than)
        while self._store.expire(older_than=older_than, limit=_EXPIRE_ROWS, now=now) >= _EXPIRE_ROWS:
            if self._is_stopping():
                return
        self._store.checkpoint()
