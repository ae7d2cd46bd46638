"""How many of something may happen in a span of time: `600/m`, or a bucket that is refilled."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_WINDOWS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_RATE: Final = re.compile(r"([1-9][0-9]{0,8})\s*/\s*([smhd])")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `number` in each window of `window` milliseconds."""

    number: int
    window: int

    def __str__(self) -> str:
        unit = next((unit for unit, window in _WINDOWS.items() if window == self.window), f"{self.window}ms")
        return f"{self.number}/{unit}"


def parse_rate(value: object) -> Rate:
    """Read text such as "600/m"; raise `ValueError` for anything else."""
    if isinstance(value, Rate):
        return value
    match = _RATE.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if match is None:
        msg = 'give a whole number above 0 for each s, m, h or d, such as "600/m", or "none" for no bound'
        raise ValueError(msg)
    return Rate(int(match[1]), _WINDOWS[match[2]])


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBucket:
    """A bucket of at most `size` tokens, which gets one more every `every` milliseconds.

    Its whole state is one number, the moment when it is full again (0: it is full), so that processes can share it.
    """

    size: int
    every: int

    def take(self, full_at: int, now: int) -> tuple[int, int]:
        """Take a token: (0, when the bucket is full again), or (for how many ms to wait, `full_at`) if it is empty."""
        empty_until = now + self.size * self.every
        # A moment further away was noted before the clock was set back.
        taken = min(max(full_at, now), empty_until) + self.every
        return (taken - empty_until, full_at) if taken > empty_until else (0, taken)

    def put_back(self, full_at: int) -> int:
        """When the bucket is full again once a token is put back."""
        return max(0, full_at - self.every)
