"""When figures are worth an alert. Pure: figures in, findings out; times are milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FEWEST: Final = 20
"""Of fewer sessions in an hour neither a share nor a change says anything."""
_MARGIN: Final = 0.2
"""An alert ends only when its figure is so much (a part of the threshold) on the good side, so that it does not flutter."""

SPIKE: Final = "spike"
DROP: Final = "drop"
ERRORS: Final = "errors"
NOTHING: Final = "nothing"
NAMES: Final = (SPIKE, DROP, ERRORS, NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What to watch; `None`: not that. `spike`, `drop`: factors of what is usual; `errors`: a share; `nothing`: a time."""

    spike: float | None = None
    drop: float | None = None
    errors: float | None = None
    nothing: int | None = None

    def __bool__(self) -> bool:
        return any(each is not None for each in (self.spike, self.drop, self.errors, self.nothing))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The last hour: its sessions, those of the same hour of each of the days before that were recorded, those with errors.

    `silent_ms`: since anything was recorded; `None`: nothing ever was.
    """

    sessions: int
    before: Sequence[int]
    error_sessions: int
    silent_ms: int | None

    @property
    def usual(self) -> float | None:
        """The median of the days before; `None` without a day."""
        if not self.before:
            return None
        ordered = sorted(self.before)
        middle = len(ordered) // 2
        return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`is_over`: past the threshold. `is_clear`: well on the good side of it. Neither: as it was. `text` says the figures."""

    is_over: bool
    is_clear: bool
    text: str


def findings(thresholds: Thresholds, reading: Reading) -> dict[str, Finding]:
    """Judge what is watched, by name. What cannot be judged is left out: an alert stays as it was."""
    found: dict[str, Finding] = {}
    usual = reading.usual
    if usual is not None:
        compared = f"{reading.sessions:,} sessions in the last hour, usual at this time: {usual:,.0f}"
        if thresholds.spike is not None:
            bound = max(thresholds.spike * usual, FEWEST)
            found[SPIKE] = Finding(
                is_over=reading.sessions >= bound, is_clear=reading.sessions < bound * (1 - _MARGIN), text=compared
            )
        if thresholds.drop is not None and usual >= FEWEST:
            bound = thresholds.drop * usual
            found[DROP] = Finding(
                is_over=reading.sessions <= bound, is_clear=reading.sessions > bound * (1 + _MARGIN), text=compared
            )
    if thresholds.errors is not None and reading.sessions >= FEWEST:
        share = reading.error_sessions / reading.sessions
        found[ERRORS] = Finding(
            is_over=share >= thresholds.errors,
            is_clear=share < thresholds.errors * (1 - _MARGIN),
            text=f"{share * 100:.1f} % of the {reading.sessions:,} sessions of the last hour met an error",
        )
    if thresholds.nothing is not None and reading.silent_ms is not None:
        minutes = reading.silent_ms // 60_000
        found[NOTHING] = Finding(
            is_over=reading.silent_ms >= thresholds.nothing,
            is_clear=reading.silent_ms < thresholds.nothing,
            text=f"nothing was recorded for {minutes:,} minutes" if minutes else "records arrive",
        )
    return found
