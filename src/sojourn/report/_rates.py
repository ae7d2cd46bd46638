"""How fast a backend is delivered to: what its counters grew by between looks. Kept in memory, for some minutes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

WINDOW_MS: Final = 5 * 60_000
_SHORTEST_MS: Final = 2_000
_LOOKS: Final = 200


@dataclass(slots=True)
class Rates:
    """Looks of this process at (delivered, recorded) by backend. Several threads may ask."""

    _looks: dict[str, deque[tuple[int, int, int]]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def seen(self, name: str, now: int, delivered: int, recorded: int) -> tuple[float, float] | None:
        """Note a look; (delivered, recorded) a minute since the oldest one; `None`: too early to tell."""
        with self._lock:
            looks = self._looks.setdefault(name, deque(maxlen=_LOOKS))
            while looks and now - looks[0][0] > WINDOW_MS:
                looks.popleft()
            if not looks or now - looks[-1][0] >= _SHORTEST_MS:
                looks.append((now, delivered, recorded))
            at, then_delivered, then_recorded = looks[0]
            if now - at < _SHORTEST_MS:
                return None
            minutes = (now - at) / 60_000
            return max(0, delivered - then_delivered) / minutes, max(0, recorded - then_recorded) / minutes
