"""How many sessions or visitors reached each step of a funnel, and how quickly. Pure.

The steps of one session (or, by visitor, of all sessions of one browser in the span) are looked for in their order: each is
the earliest one after the step before it. So nothing counts that came too early, and other pages may lie in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median_low
from typing import Final

from sojourn.core.goals import Step

from .model import FunnelFigures, FunnelStep
from .trails import RANK_BITS, SESSION_BITS, Trail

_NEVER: Final = 2**64
_PLACE: Final = 2**SESSION_BITS - 1


def count_sessions(trails: Iterable[Trail], steps: Sequence[Step]) -> FunnelFigures:
    """Count a funnel within sessions."""
    counts = [0] * len(steps)
    times: list[list[int]] = [[] for _ in steps]
    total = 0
    for trail in trails:
        total += trail.sessions
        before: dict[int, int] = {}
        for number, step in enumerate(steps):
            hits = reversed(trail.of(step))  # so the earliest of a session is what stays
            if not number:
                reached = {hit >> SESSION_BITS: hit for hit in hits}
            else:
                last = before.get
                reached = {hit >> SESSION_BITS: hit for hit in hits if hit > last(hit >> SESSION_BITS, _NEVER)}
                times[number] += [
                    (hit >> RANK_BITS) - (before[session] >> RANK_BITS) for session, hit in reached.items()
                ]
            counts[number] += len(reached)
            if not reached:
                break
            before = reached
    return _figures(total, counts, times)


def count_visitors(trails: Sequence[Trail], steps: Sequence[Step]) -> FunnelFigures:
    """Count a funnel over all sessions of a visitor."""
    counts: list[int] = []
    times: list[list[int]] = []
    before: dict[int, int] = {}
    for number, step in enumerate(steps):
        reached: dict[int, int] = {}
        for trail in trails:
            start, visitors = trail.at << RANK_BITS, trail.visitors
            for hit in trail.of(step):
                visitor, moment = visitors[hit >> SESSION_BITS], start + (hit & _PLACE)
                if moment < reached.get(visitor, _NEVER) and (not number or moment > before.get(visitor, _NEVER)):
                    reached[visitor] = moment
        counts.append(len(reached))
        times.append([(at >> RANK_BITS) - (before[who] >> RANK_BITS) for who, at in reached.items()] if number else [])
        before = reached
    return _figures(len(visitors_of(trails)), counts, times)


def visitors_of(trails: Iterable[Trail]) -> set[int]:
    """Return what stands for the visitors of these hours."""
    visitors: set[int] = set()
    for trail in trails:
        visitors.update(trail.counted_visitors())
    return visitors


def _figures(total: int, counts: Sequence[int], times: Sequence[Sequence[int]]) -> FunnelFigures:
    steps = tuple(
        FunnelStep(count=count, median_ms=median_low(spent) if spent else None)
        for count, spent in zip(counts, times, strict=True)
    )
    return FunnelFigures(total=total, steps=steps)
