"""The figures of sessions by day, before and after. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from sojourn.stores.reporting.rollup_figures import is_bounce, is_visit
from sojourn.stores.rows import SessionRow

DAY_MS: Final = 24 * 3_600_000


@dataclass(slots=True)
class Day:
    """The sessions that started on a day (UTC)."""

    sessions: int = 0
    visits: int = 0
    bounces: int = 0
    duration_ms: int = 0
    ends: Counter[str] = field(default_factory=Counter)

    def add(self, row: SessionRow) -> None:
        self.sessions += 1
        self.duration_ms += max(0, row.last_seen_at - row.started_at)
        if row.end_reason is not None:
            self.ends[row.end_reason.value] += 1
        self.visits += is_visit(row)
        self.bounces += is_bounce(row)

    @property
    def mean_ms(self) -> int:
        return self.duration_ms // self.sessions if self.sessions else 0

    @property
    def bounce_rate(self) -> float | None:
        return self.bounces / self.visits if self.visits else None


@dataclass(slots=True)
class Figures:
    """All sessions of a span."""

    days: dict[int, Day] = field(default_factory=dict)
    """By the start of the day (ms)."""

    def add(self, rows: Iterable[SessionRow]) -> None:
        for row in rows:
            self.days.setdefault(row.started_at // DAY_MS * DAY_MS, Day()).add(row)

    def total(self) -> Day:
        total = Day()
        for day in self.days.values():
            total.sessions += day.sessions
            total.visits += day.visits
            total.bounces += day.bounces
            total.duration_ms += day.duration_ms
            total.ends.update(day.ends)
        return total
