"""The time for leases, retry times and watermarks: the store's own clock, where several hosts share it.

See P20 in docs/internals.md.
"""

from __future__ import annotations

from typing import Final

from sojourn.core.clock import Clock
from sojourn.errors import StoreError
from sojourn.stores.protocol import Store

_ASK_EVERY_S: Final = 10.0


class StoreTime:
    """The store's clock, asked every ten seconds; in between this machine's monotonic clock measures the time since.

    So hosts whose clocks differ by minutes agree on who holds a lease, and a clock that is set back moves nothing. A store
    of one host has no clock of its own, and a manual clock replaces all others.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._is_local = clock.is_manual
        self._at = 0.0
        self._time: int | None = None
        """The store's time when the monotonic clock stood at `_at`."""

    def now(self) -> int:
        """Return milliseconds since the epoch. May ask the store; raises `StoreError` only if it has never replied."""
        if self._is_local:
            return self._clock.now()
        tick = self._clock.monotonic()
        if self._time is None or tick - self._at >= _ASK_EVERY_S:
            try:
                self._ask(tick)
            except StoreError:
                if self._time is None:
                    raise  # else the next statement will fail and say so
        return self._clock.now() if self._time is None else self._time + round((tick - self._at) * 1000)

    def _ask(self, tick: float) -> None:
        store_time = self._store.time()
        if store_time is None:
            self._is_local = True
            return
        took = self._clock.monotonic() - tick
        self._time, self._at = store_time - round(took * 500), tick  # it was read half-way
