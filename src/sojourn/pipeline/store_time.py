"""The time that leases, retry times and watermarks go by: the store's own, where several hosts share it.

See P20 in docs/internals.md.
"""

from __future__ import annotations

from typing import Final

from sojourn.core.clock import Clock
from sojourn.errors import StoreError
from sojourn.stores.protocol import Store

_LOOK_EVERY_S: Final = 10.0


class StoreTime:
    """Between two looks at the store's clock this machine's monotonic one tells how much later it is.

    So hosts whose clocks differ by minutes agree on who holds a lease, and a clock that is set back moves nothing. A
    store of one host has no clock of its own, and a clock that tests move is everybody's.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._is_local = clock.is_manual
        self._at = 0.0
        self._time: int | None = None
        """The store's time when the monotonic clock stood at `_at`."""

    def now(self) -> int:
        """Milliseconds since the epoch. May ask the store; raises `StoreError` only where it has never answered."""
        if self._is_local:
            return self._clock.now()
        tick = self._clock.monotonic()
        if self._time is None or tick - self._at >= _LOOK_EVERY_S:
            try:
                self._look(tick)
            except StoreError:
                if self._time is None:
                    raise  # else it is away, and its next user hears of it
        return self._clock.now() if self._time is None else self._time + round((tick - self._at) * 1000)

    def _look(self, tick: float) -> None:
        told = self._store.time()
        if told is None:
            self._is_local = True
            return
        asked_for = self._clock.monotonic() - tick
        self._time, self._at = told - round(asked_for * 500), tick  # it was told half-way
