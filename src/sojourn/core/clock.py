"""The clock of a running system. Tests use `sojourn.testing.ManualClock` instead."""

from __future__ import annotations

import time
from typing import Final, Protocol


class Clock(Protocol):
    """All times of an engine. `now` is milliseconds since the epoch.

    `monotonic` is seconds, and `monotonic_ns` nanoseconds that grow at every call; both are for differences only. With a
    clock that `is_manual` no thread starts: `Engine.flush()` and `sweep()` do the work inline.
    """

    @property
    def is_manual(self) -> bool: ...

    def now(self) -> int: ...

    def monotonic(self) -> float: ...

    def monotonic_ns(self) -> int: ...


class SystemClock:
    """The machine's clocks."""

    is_manual = False
    monotonic = staticmethod(time.monotonic)
    monotonic_ns = staticmethod(time.monotonic_ns)

    @staticmethod
    def now() -> int:
        return time.time_ns() // 1_000_000


SYSTEM_CLOCK: Final = SystemClock()
