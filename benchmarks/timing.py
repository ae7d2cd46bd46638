"""Measure variants side by side: interleaved rounds, so that a noisy machine treats them alike, and ratios within a round.

Times are CPU times. `own` is the thread that serves, `total` the whole process until everything in the background is done.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

Samples = Sequence[float]


@dataclass(frozen=True)
class Variant:
    """Something to measure. `run` does it so many times, `settle` waits until its background is done."""

    name: str
    run: Callable[[int], None]
    settle: Callable[[], None] = lambda: None


@dataclass
class Cost:
    """Microseconds of CPU per request, by round."""

    own: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Spread:
    """The middle of some samples, and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Samples) -> Spread:
        if len(samples) < 2:
            return cls(samples[0], samples[0], samples[0])
        low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
        return cls(median, low, high)


def over(samples: Samples, floor: Samples) -> list[float]:
    """What each round cost beyond the floor of the same round."""
    return [one - other for one, other in zip(samples, floor, strict=True)]


def ratios(samples: Samples, reference: Samples) -> list[float]:
    """Each round against the reference of the same round."""
    return [one / other for one, other in zip(samples, reference, strict=True) if other]


def measure(variants: Sequence[Variant], *, rounds: int, requests: int) -> dict[str, Cost]:
    """Run each variant in each round; the first, unmeasured, warms up."""
    costs = {variant.name: Cost() for variant in variants}
    for variant in variants:
        variant.run(200)
        variant.settle()
    for number in range(rounds):
        for variant in variants:
            total, own = time.process_time_ns(), time.thread_time_ns()
            variant.run(requests)
            own = time.thread_time_ns() - own
            variant.settle()
            total = time.process_time_ns() - total
            costs[variant.name].own.append(own / requests / 1000)
            costs[variant.name].total.append(total / requests / 1000)
        progress(f"round {number + 1} of {rounds}")
    progress("")
    return costs


def progress(text: str) -> None:
    """Show how far a long measurement is, where a person is looking."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def table(rows: Iterable[Sequence[str]]) -> str:
    """Rows in columns; the first column to the left."""
    lines = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            text.ljust(width) if place == 0 else text.rjust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
