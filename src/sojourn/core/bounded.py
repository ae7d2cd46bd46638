"""A mapping of bounded size: it holds at most twice `limit` entries and drops the least recently used ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """Two generations of a dict: cheaper than an ordered one; safe under threads, as each step is one dict call."""

    __slots__ = ("_limit", "_old", "young")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.young: dict[K, V] = {}
        """The recent entries, for callers on a hot path: a hit here is one dict lookup."""
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        value = self.young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:  # used again: it becomes young, or a busy entry would age out
                self[key] = value
        return value

    def __setitem__(self, key: K, value: V) -> None:
        young = self.young
        if len(young) >= self._limit and key not in young:
            self._old, self.young = young, {key: value}
        else:
            young[key] = value

    def discard(self, key: K) -> None:
        self.young.pop(key, None)
        self._old.pop(key, None)

    def drop(self, is_dropped: Callable[[K], bool]) -> None:
        """Discard every key of which this holds. Looks at all of them."""
        for key in [key for part in (self.young, self._old) for key in list(part) if is_dropped(key)]:
            self.discard(key)

    def clear(self) -> None:
        self.young, self._old = {}, {}

    def __len__(self) -> int:
        return len(self.young) + len(self._old)
