"""A mapping that forgets: at most twice `limit` entries, the least recently written ones go first."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """Two generations of a dict: cheaper than an ordered one; safe under threads, as each step is one dict call."""

    __slots__ = ("_limit", "_old", "young")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.young: dict[K, V] = {}
        """What was written lately, for who asks often and first: a hit here is one step."""
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        found = self.young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:  # used again: it moves to the young, or a busy entry would age out
                self[key] = found
        return found

    def __setitem__(self, key: K, value: V) -> None:
        young = self.young
        if len(young) >= self._limit and key not in young:
            self._old, self.young = young, {key: value}
        else:
            young[key] = value

    def discard(self, key: K) -> None:
        self.young.pop(key, None)
        self._old.pop(key, None)

    def clear(self) -> None:
        self.young, self._old = {}, {}

    def __len__(self) -> int:
        return len(self.young) + len(self._old)
