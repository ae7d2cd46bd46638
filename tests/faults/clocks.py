"""The clock of a host under test: wrong by what a file says, which may change at any time."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

CLOCK_FILE: Final = "FAULTS_CLOCK_FILE"
"""Names the variable with the name of the file that says, in milliseconds, how far off this host's clock is."""


class SkewedClock:
    """A host's own idea of the time; it steps when the file is written anew."""

    is_manual = False
    monotonic = staticmethod(time.monotonic)
    monotonic_ns = staticmethod(time.monotonic_ns)

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> int:
        return time.time_ns() // 1_000_000 + skew_of(self._file)


def clock_of_host(environ: Mapping[str, str] = os.environ) -> SkewedClock | None:
    """The clock that the environment asks for; `None`: the machine's own."""
    file = environ.get(CLOCK_FILE)
    return SkewedClock(Path(file)) if file else None


def skew_of(file: Path) -> int:
    return int(file.read_text())


def set_clock(file: Path, skew_ms: int) -> None:
    """In one step: a reader sees the old time or the new one."""
    fresh = file.with_suffix(".new")
    fresh.write_text(str(skew_ms))
    fresh.rename(file)
