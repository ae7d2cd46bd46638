"""The badge of the menu: whether recording or delivery needs attention. Read in the background, since it counts all events."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Final

from sojourn.errors import StoreError
from sojourn.health.checks import Limits, problems
from sojourn.health.conditions import Level, worst
from sojourn.health.snapshot import snapshot

if TYPE_CHECKING:
    from sojourn.stores import Store

log = logging.getLogger("sojourn")

FRESH_MS: Final = 60_000
LIMITS: Final = Limits(lag=10 * 60_000)
"""What the report takes for healthy."""


def read_level(store: Store, journals: Path | None, now: int) -> Level:
    """How well recording and delivery go. Blocks; raises `StoreError`.

    It reads through a store object of its own, since the engine may close its own meanwhile, and leaves nothing open.
    """
    try:
        own = store.recreate()
    except StoreError:  # in memory: there is no other way to it
        return _level(store, journals, now)
    try:
        return _level(own, journals, now)
    finally:
        own.close()


def _level(store: Store, journals: Path | None, now: int) -> Level:
    return worst(problems(snapshot(store, journals, now=now), LIMITS))


@dataclass(slots=True)
class Badge:
    """The level as this process read it last; `None` until it has. Thread-safe."""

    is_inline: bool = False
    """Read it while the page waits: for a store in memory, which is small and has no second way to it, and for tests."""
    _level: Level | None = None
    _read_at: int | None = None
    _is_reading: bool = False
    _lock: Lock = field(default_factory=Lock)

    def level(self, now: int, read: Callable[[], Level]) -> Level | None:
        """The level, at most a minute and one page old. `read` may block, and may fail: then it is not known."""
        with self._lock:
            is_due = self._read_at is None or not 0 <= now - self._read_at < FRESH_MS
            if not is_due or self._is_reading:
                return self._level
            self._is_reading = True
        if self.is_inline:
            self._refresh(now, read)
        else:
            Thread(target=self._refresh, args=(now, read), name="sojourn-badge", daemon=True).start()
        return self._level

    def note(self, now: int, level: Level) -> None:
        """Take over what a page has just read."""
        with self._lock:
            self._level, self._read_at = level, now

    def _refresh(self, now: int, read: Callable[[], Level]) -> None:
        level: Level | None = None
        try:
            level = read()
        except Exception as error:  # noqa: BLE001 - the store may be closed or away: no page fails for a badge
            log.debug("the badge of the report could not be read: %s", type(error).__name__)
        with self._lock:
            self._level, self._read_at, self._is_reading = level, now, False
