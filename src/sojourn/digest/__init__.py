"""The digest: the figures of a period, compared with the one before, as text, HTML or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final

from sojourn.core.goals import Goal
from sojourn.stores.model import AlertState
from sojourn.stores.protocol import Store
from sojourn.stores.reporting.breakdowns import BREAKDOWNS, Counts
from sojourn.stores.reporting.model import Bucket, Figures, Span

__all__ = ["Digest", "Listing", "Reached", "digest_of"]

_TOPS: Final = 8
_LISTS: Final = (
    ("pages", "Pages", "views"),
    ("sources", "Sources", "sessions"),
    ("campaigns", "Campaigns", "sessions"),
    ("events", "Events", "events"),
    ("errors", "Errors", "sessions"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How many sessions reached a goal, which share of all that is, and how many did before; `None`: there is no before."""

    goal: Goal
    sessions: int
    rate: float | None
    before: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The most frequent values, and of what they are counted."""

    name: str
    title: str
    unit: str
    values: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """`before`: the equally long period before; `None` if nothing was recorded in it. `zone`: whose times are shown."""

    service: str | None
    span: Span
    zone: tzinfo
    figures: Figures
    before: Figures | None
    goals: tuple[Reached, ...]
    lists: tuple[Listing, ...]
    alerts: tuple[AlertState, ...]
    """That are on now."""
    is_sampled: bool
    pending: int


def digest_of(
    store: Store, span: Span, goals: Sequence[Goal], *, service: str | None = None, zone: tzinfo = UTC
) -> Digest:
    """Read the figures of a period. Raises `StoreError`."""
    overview = store.report.overview(span, bucket=Bucket.DAY, zone=zone, online_since=span.until)
    before = overview.before if overview.before is not None and overview.before.sessions else None
    steps = [goal.step for goal in goals]
    reached = store.conversions.goals(span, steps)
    reached_before = None if before is None or span.before is None else store.conversions.goals(span.before, steps)
    tables = store.report.breakdowns(span, [name for name, _, _ in _LISTS])
    return Digest(
        service=service,
        span=span,
        zone=zone,
        figures=overview.figures,
        before=before,
        goals=tuple(
            Reached(
                goal=goal,
                sessions=count.sessions,
                rate=count.sessions / reached.sessions if reached.sessions else None,
                before=None if reached_before is None else reached_before.goals[number].sessions,
            )
            for number, (goal, count) in enumerate(zip(goals, reached.goals, strict=True))
        ),
        lists=tuple(
            Listing(name=name, title=title, unit=unit, values=_most(tables.tables.get(name, {}), name, unit))
            for name, title, unit in _LISTS
        ),
        alerts=tuple(state for state in store.alerts.states() if state.is_on),
        is_sampled=overview.is_sampled or tables.is_sampled,
        pending=max(overview.pending, tables.pending),
    )


def _most(table: Mapping[str, Counts], name: str, unit: str) -> tuple[tuple[str, int], ...]:
    breakdown = BREAKDOWNS[name]
    counted = ((value, breakdown.measure(counts, unit)) for value, counts in table.items())
    return tuple(sorted(counted, key=lambda item: (-item[1], item[0]))[:_TOPS])
