"""How many sessions or visitors reached each step of a funnel, and how quickly. Pure.

The steps of one session (or, by visitor, of all sessions of one browser in the span) are looked for in their order: each is
the earliest one after the step before it. So nothing counts that came too early, and other pages may lie in between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import median_low
from typing import Final

import msgspec

from sojourn.core.goals import Step

from .conversions_model import FunnelFigures, FunnelStep
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
            reached = _earliest(trail.hits[step], before if number else None)
            if number:
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
            bounds = _bounds(trail, step, before) if number else None
            for session, hit in _earliest(trail.hits[step], bounds).items():
                visitor, moment = visitors[session], start + (hit & _PLACE)
                if moment < reached.get(visitor, _NEVER):
                    reached[visitor] = moment
        counts.append(len(reached))
        times.append([(at >> RANK_BITS) - (before[who] >> RANK_BITS) for who, at in reached.items()] if number else [])
        before = reached
    return _figures(len(visitors_of(trails)), counts, times)


def scaled(figures: FunnelFigures, one_in: int, *, pending: int) -> FunnelFigures:
    """Return the figures of a sample of one in so many as those of all."""
    steps = [msgspec.structs.replace(step, count=step.count * one_in) for step in figures.steps]
    return FunnelFigures(total=figures.total * one_in, steps=tuple(steps), pending=pending, is_sampled=one_in > 1)


def visitors_of(trails: Iterable[Trail]) -> set[int]:
    """Return what stands for the visitors of the sessions that count."""
    visitors: set[int] = set()
    for trail in trails:
        if trail.chosen is None:
            visitors.update(trail.visitors)
        else:
            visitors.update([trail.visitors[number] for number in trail.chosen])
    return visitors


def _earliest(hits: Collection[int], after: Mapping[int, int] | None) -> dict[int, int]:
    """Return the earliest hit of each session, or, of those that have one to come `after`, the earliest behind it."""
    if after is not None:
        bound = after.get
        hits = [hit for hit in hits if hit > bound(hit >> SESSION_BITS, _NEVER)]
    return {hit >> SESSION_BITS: hit for hit in sorted(hits, reverse=True)}  # the last of a session stays


def _bounds(trail: Trail, step: Step, before: Mapping[int, int]) -> dict[int, int]:
    """Return, by session that has the step, the hit that lies where its visitor came to the step before."""
    start, visitors = trail.at << RANK_BITS, trail.visitors
    return {
        number: (number << SESSION_BITS) + max(-1, before[visitors[number]] - start)
        for number in {hit >> SESSION_BITS for hit in trail.hits[step]}
        if visitors[number] in before
    }


def _figures(total: int, counts: Sequence[int], times: Sequence[Sequence[int]]) -> FunnelFigures:
    steps = tuple(
        FunnelStep(count=count, median_ms=median_low(spent) if spent else None)
        for count, spent in zip(counts, times, strict=True)
    )
    return FunnelFigures(total=total, steps=steps)
