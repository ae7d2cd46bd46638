"""Where log-outs are kept until their tickets expire: in the store, for every process on every host; else in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sojourn.core.bounded import Bounded

if TYPE_CHECKING:
    from sojourn.stores import Store

_REMEMBERED: Final = 4096


class StoreRevocations:
    """Revocations of a report that several processes serve. Raises `StoreError` where the store cannot be asked."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store

    def add(self, hashed: str, *, until: int, now: int) -> None:
        self._store().revocations.add(hashed, until=until, now=now)

    def has(self, hashed: str) -> bool:
        return self._store().revocations.has(hashed)


class MemoryRevocations:
    """Revocations of a report whose key ends with its process, or that has no store to open."""

    def __init__(self) -> None:
        self._revoked: Bounded[str, bool] = Bounded(_REMEMBERED)

    def add(self, hashed: str, *, until: int, now: int) -> None:
        self._revoked[hashed] = True

    def has(self, hashed: str) -> bool:
        return self._revoked.get(hashed) is not None
