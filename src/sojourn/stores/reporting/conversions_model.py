"""What the report reads about goals, funnels and retention."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class GoalCount(msgspec.Struct, frozen=True, kw_only=True):
    """How often a goal was reached, and in how many sessions and by how many visitors."""

    hits: int
    sessions: int
    visitors: int


class GoalFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The sessions and visitors of a span, and what of them reached each goal, in the order of the goals."""

    sessions: int
    visitors: int
    goals: tuple[GoalCount, ...]
    pending: int = 0
    """How many sessions of the span are left out, because they are not rolled up yet."""
    is_sampled: bool = False
    """Counted in a sample of the visitors: show the counts as "about"."""


class FunnelStep(msgspec.Struct, frozen=True, kw_only=True):
    """How many sessions (or visitors) came to a step."""

    count: int
    median_ms: int | None
    """How long those who came here took from the step before it; `None` for the first step, and where none came."""


class FunnelFigures(msgspec.Struct, frozen=True, kw_only=True):
    """`total`: all sessions (or visitors) of the span."""

    total: int
    steps: tuple[FunnelStep, ...]
    pending: int = 0
    is_sampled: bool = False
    """Both as in `GoalFigures`."""


class Reached(NamedTuple):
    """The keys of sessions that reached a goal: all, or those of one in so many visitors."""

    keys: list[str]
    one_in: int = 1


class Cohort(msgspec.Struct, frozen=True):
    """Those whose first session in the store was in a week. `counts`: how many came in that week, and in each one after it."""

    since: int
    until: int
    counts: tuple[int, ...]


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """One cohort per week of a span, oldest first. `is_sampled`: show the counts as "about"."""

    cohorts: tuple[Cohort, ...]
    is_sampled: bool = False
