"""The clock of a running system. Tests bring `sojourn.testing.ManualClock`."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """`now`: milliseconds since the epoch; `monotonic`: seconds, only for differences.

    With a clock that `is_manual` nothing runs by itself: no thread starts, and `Engine.flush()` and `sweep()` do the work.
    """

    is_manual: bool

    def now(self) -> int: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's clocks."""

    is_manual = False
    monotonic = staticmethod(time.monotonic)

    @staticmethod
    def now() -> int:
        return time.time_ns() // 1_000_000
