"""What the overview measures: the tiles, of which one at a time is drawn in the chart. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sojourn.stores.reporting.model import Figures, Point

from . import _formatting

Number = float | int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """`of` reads it from figures, `of_point` from a bucket; `good` is 1 if more is better, -1 if less is, else 0."""

    name: str
    label: str
    of: Callable[[Figures], Number]
    of_point: Callable[[Point], Number]
    text: Callable[..., str] = _formatting.number
    good: int = 0
    is_sampled: bool = False
    """Whether even without a filter it is counted in a sample, where there are many sessions."""
    units: tuple[float, ...] = (1,)
    """The scale is a round number of the largest of these that fits."""
    most: float | None = None

    def ceiling(self, greatest: float) -> float:
        """The smallest round number at or above `greatest`, of which half is round too."""
        unit = max((unit for unit in self.units if unit <= greatest), default=self.units[0])
        size = 1
        while True:
            for step in (1, 2, 4, 6, 8):
                if greatest <= step * size * unit * 1.000001:
                    top = step * size * unit
                    return top if self.most is None else min(top, self.most)
            size *= 10


_ALL: Final = (
    Measure(
        name="sessions", label="Sessions", of=lambda each: each.sessions, of_point=lambda each: each.sessions, good=1
    ),
    Measure(
        name="visitors",
        label="Visitors",
        of=lambda each: each.visitors,
        of_point=lambda each: each.visitors,
        good=1,
        is_sampled=True,
    ),
    Measure(
        name="users",
        label="Identified users",
        of=lambda each: each.users,
        of_point=lambda each: each.users,
        good=1,
        is_sampled=True,
    ),
    Measure(
        name="duration",
        label="Median duration",
        of=lambda each: each.median_ms,
        of_point=lambda each: each.median_ms,
        text=_formatting.span,
        is_sampled=True,
        units=(1000, 60_000, 3_600_000),
    ),
    Measure(
        name="bounce",
        label="Bounce rate",
        of=lambda each: each.bounce_rate,
        of_point=lambda each: each.bounce_rate,
        text=_formatting.percent,
        good=-1,
        units=(0.01,),
        most=1,
    ),
    Measure(
        name="errors",
        label="With errors",
        of=lambda each: each.error_sessions,
        of_point=lambda each: each.error_sessions,
        good=-1,
    ),
)
MEASURES: Final = {measure.name: measure for measure in _ALL}
