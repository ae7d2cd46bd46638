"""The shop's past: four weeks of synthetic visits, all of them over before the demo's visitors come."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sojourn.core.events import Position
from sojourn.stores import SQLiteStore

from .generator import generate

_SESSIONS: Final = 2_000
_DAYS: Final = 28
_REST_MS: Final = 40 * 60_000
"""Longer than the idle timeout of these visits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Where the log ends, and the counters: what the live visitors add is counted from here."""

    end: Position
    counters: Mapping[str, int]


def write_history(path: Path) -> History:
    """Create the store with its history. Raises `SojournError`."""
    now = time.time_ns() // 1_000_000
    generate(path, _SESSIONS, now=now, days=_DAYS, on_progress=lambda *_: None, rest_ms=_REST_MS)
    with closing(SQLiteStore(path)) as store:
        return History(end=store.log.head(), counters=store.stats().counters)
