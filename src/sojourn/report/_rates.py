"""Delivery rates per backend: how much its counters grew between samples. Kept in memory for some minutes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

WINDOW_MS: Final = 5 * 60_000
_SHORTEST_MS: Final = 2_000
_SAMPLES: Final = 200


@dataclass(slots=True)
class Rates:
    """Samples of (delivered, recorded) by backend, taken by this process. Thread-safe."""

    _samples: dict[str, deque[tuple[int, int, int]]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def sample(self, name: str, now: int, delivered: int, recorded: int) -> tuple[float, float] | None:
        """Add a sample; return (delivered, recorded) per minute since the oldest one, `None` if that is too recent."""
        with self._lock:
            samples = self._samples.setdefault(name, deque(maxlen=_SAMPLES))
            while samples and now - samples[0][0] > WINDOW_MS:
                samples.popleft()
            if not samples or now - samples[-1][0] >= _SHORTEST_MS:
                samples.append((now, delivered, recorded))
            at, then_delivered, then_recorded = samples[0]
            if now - at < _SHORTEST_MS:
                return None
            minutes = (now - at) / 60_000
            return max(0, delivered - then_delivered) / minutes, max(0, recorded - then_recorded) / minutes
