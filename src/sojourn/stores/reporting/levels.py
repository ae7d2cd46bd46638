"""What a rollup covers: an hour, a day, or a block of days. Whole blocks and days are read instead of their hours. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from .model import DAY_MS, HOUR_MS


@dataclass(frozen=True, slots=True)
class Level:
    """Spans of `width` ms. The id of a rollup is its start plus the `number` of its level, so ids never collide."""

    width: int
    number: int

    def holds(self, column: str) -> str:
        """SQL: whether an id is of this level. Without `%`, which a driver would take for a parameter."""
        return f"{column} - {column} / {HOUR_MS} * {HOUR_MS} = {self.number}"

    def ids(self, since: int, until: int) -> list[int]:
        """Return the ids of those that begin in a span."""
        first, _ = self.inside(since, until)
        return list(range(first + self.number, until + self.number, self.width))

    def inside(self, since: int, until: int) -> tuple[int, int]:
        """Return the begin of the first and the end of the last whole one between two moments."""
        return -(-since // self.width) * self.width, until // self.width * self.width

    def outside(self, since: int, until: int) -> list[tuple[int, int]]:
        """Return what lies before and after the whole ones between two moments."""
        first, last = self.inside(since, until)
        parts = [(since, first), (last, until)] if first <= last else [(since, until)]
        return [(start, end) for start, end in parts if start < end]


HOUR: Final = Level(HOUR_MS, 0)
DAY: Final = Level(DAY_MS, 1)
BLOCK: Final = Level(16 * DAY_MS, 2)
"""Months differ in length, and weeks begin on another day elsewhere: a block is no unit that anybody sees."""
COARSE_FIRST: Final = (BLOCK, DAY, HOUR)


def cover(
    since: int,
    until: int,
    stored: Callable[[Level, int, int], Collection[int]],
    levels: tuple[Level, ...] = COARSE_FIRST,
) -> Iterator[tuple[Level, int]]:
    """Yield rollups that cover a span without overlap, as far as there are any: the coarse ones first, finer ones in the gaps.

    `stored` reads those of a level that begin from one moment until before another, and returns their starts.
    """
    level, *finer = levels
    first, last = level.inside(since, until)
    starts = sorted(stored(level, first, last)) if first < last else []
    for at in starts:
        yield level, at
    if not finer:
        return
    begin = since
    for at in (*starts, until):
        if begin < at:
            yield from cover(begin, at, stored, tuple(finer))
        begin = at + level.width


def gaps(since: int, until: int, covered: Iterable[tuple[Level, int]]) -> Iterator[tuple[int, int]]:
    """Yield what of a span is not covered."""
    begin = since
    for level, at in sorted(covered, key=lambda each: each[1]):
        if begin < at:
            yield begin, at
        begin = at + level.width
    if begin < until:
        yield begin, until
