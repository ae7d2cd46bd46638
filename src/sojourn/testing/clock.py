"""A clock that moves only when a test advances it."""

from __future__ import annotations

from itertools import count


class ManualClock:
    """Time as a value: `now_ms` in milliseconds since the epoch. An engine with this clock runs no thread."""

    is_manual = True

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.now_ms = now_ms
        self._started_ms = now_ms
        self._latest_ms = now_ms
        self._ticks = count()

    def now(self) -> int:
        return self.now_ms

    def monotonic(self) -> float:
        return (self.now_ms - self._started_ms) / 1000

    def monotonic_ns(self) -> int:
        """Return nanoseconds that grow with every call, so that events at one time keep their order."""
        self._latest_ms = max(self._latest_ms, self.now_ms)
        return (self._latest_ms - self._started_ms) * 1_000_000 + next(self._ticks)

    def advance(self, seconds: float) -> None:
        """Advance by this many seconds."""
        self.now_ms += round(seconds * 1000)
