"""A clock that stands until a test moves it."""

from __future__ import annotations


class ManualClock:
    """Time as a value: `now_ms` in milliseconds since the epoch. An engine with this clock runs no thread."""

    is_manual = True

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.now_ms = now_ms
        self._started_ms = now_ms

    def now(self) -> int:
        return self.now_ms

    def monotonic(self) -> float:
        return (self.now_ms - self._started_ms) / 1000

    def advance(self, seconds: float) -> None:
        """Move on by this many seconds."""
        self.now_ms += round(seconds * 1000)
