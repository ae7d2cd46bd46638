"""What a panel is made of: its lines, and the columns that are read from them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sojourn.stores.reporting.breakdowns import Breakdown, Counts

Value = int | float | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One value of a panel. `total`: all sessions of the range and the filter."""

    value: str
    counts: Counts
    breakdown: Breakdown
    total: int
    before: Line | None = None
    """The version before, of a release."""

    def __getitem__(self, measure: str) -> int:
        return self.breakdown.measure(self.counts, measure)

    def share(self, measure: str, of: str) -> float | None:
        whole = self[of]
        return self[measure] / whole if whole else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`name` is that of the field in exports; `text` writes a value on a page; `is_time`: as a moment of the reader's clock."""

    name: str
    label: str
    value: Callable[[Line], Value]
    text: Callable[..., str] = str
    is_number: bool = True
    is_time: bool = False
    hint: str = ""
    mark: Callable[[Line], str] = lambda line: ""
    """`good`, `bad` or `slow` for a value that calls for attention."""
