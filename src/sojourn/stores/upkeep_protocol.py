"""The port of what an operator does with the database as a whole: copy it, and make it smaller.

A database server has tools of its own for both. Then each method raises `StoreError` with the command to take instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """What a copy holds. `size` in bytes."""

    sessions: int
    events: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """The bytes of the file and its log before and after. `is_cut`: no reader kept the file from becoming shorter."""

    before: int
    after: int
    is_cut: bool


class Upkeep(Protocol):
    """May be called while other processes read and write. Each call may take minutes."""

    def is_own(self, path: Path) -> bool:
        """Whether this path leads to a file of the store."""
        ...

    def back_up(self, target: Path, *, on_progress: Callable[[int, int], None]) -> BackedUp:
        """Copy the store as it is at one moment to a new file, and read that through. Raises `StoreError`.

        `on_progress` gets the pages that are done, and all. What other processes write meanwhile is not in the copy.
        """
        ...

    def compact(self) -> Compacted:
        """Write the file anew without its free pages. Other writers wait. Raises `StoreError`, without any harm."""
        ...
