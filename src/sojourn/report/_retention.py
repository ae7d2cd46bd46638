"""The retention page: of those who first came in a week, which share came again in each week after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from sojourn.stores.model import USER, VISITOR
from sojourn.stores.reporting.conversions_model import Cohort
from sojourn.stores.reporting.model import DAY_MS, Span

from . import _filters
from ._view import View
from ._web import Response

_WEEKS: Final = {"6": 6, "12": 12, "26": 26}
_DEFAULT: Final = "12"
_KINDS: Final = {"visitors": VISITOR, "users": USER}
_SHADES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A week after the first one. `heat`: 0 to 5."""

    count: int
    share: float | None
    heat: int
    is_partial: bool
    """The week is not over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A cohort: how many first came in this week, and the weeks after it."""

    label: str
    size: int
    is_partial: bool
    cells: tuple[Cell, ...]


def retention(view: View) -> Response:
    weeks = view.parameters.one_of("weeks", _WEEKS) or _DEFAULT
    who = view.parameters.one_of("of", _KINDS) or "visitors"
    which = _filters.parse_filter(view.parameters, view.moments)
    span = Span(max(0, view.now - (_WEEKS[weeks] - 1) * 7 * DAY_MS), view.now + 1)
    where = replace(
        which.filter, span=None
    )  # the weeks are this page's own; the range of the address waits for other pages
    data = view.store.conversions.retention(span, kind=_KINDS[who], zone=view.moments.zone, where=where)
    rows = [_row(view, cohort, data.cohorts[number:]) for number, cohort in enumerate(data.cohorts)]
    while rows and not rows[0].size and len(rows) > 1:  # before the first session of the store
        rows.pop(0)
    return view.html(
        "retention.html",
        rows=rows,
        averages=_averages(rows),
        is_sampled=data.is_sampled,
        has_cookieless=who == "visitors" and view.store.report.has_cookieless(span),
        is_empty=not any(row.size for row in rows),
        weeks=weeks,
        choices=_WEEKS,
        who=who,
        which=which,
        links=view.links(which, {"of": "" if who == "visitors" else who, "weeks": "" if weeks == _DEFAULT else weeks}),
        kinds=_KINDS,
    )


def _row(view: View, cohort: Cohort, weeks: tuple[Cohort, ...]) -> Row:
    size = cohort.counts[0]
    cells = []
    for count, week in zip(cohort.counts[1:], weeks[1:], strict=True):
        share = count / size if size else None
        heat = 0 if not share else min(_SHADES, 1 + int(share * 2 * _SHADES))
        cells.append(Cell(count=count, share=share, heat=heat, is_partial=week.until > view.now))
    return Row(label=view.moments.day(cohort.since), size=size, is_partial=cohort.until > view.now, cells=tuple(cells))


def _averages(rows: list[Row]) -> list[float | None]:
    """The share of all cohorts that have had a week, weighed by their size; weeks that are not over are left out."""
    averages: list[float | None] = []
    for number in range(max((len(row.cells) for row in rows), default=0)):
        full = [row for row in rows if number < len(row.cells) and not row.cells[number].is_partial]
        size = sum(row.size for row in full)
        averages.append(sum(row.cells[number].count for row in full) / size if size else None)
    return averages
