"""The overview: the figures of a range, compared with the period before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sojourn.stores.reporting.model import EVERYTHING, Figures, Filter, Overview

from . import _charts, _first_run, _formatting, _overview_panels, _panel_pages, _ranges
from ._view import View, bad_request, pinned
from ._web import Response, document

_STEADY: Final = 0.005
DEFAULT: Final = "7d"
_YOUNG: Final = "24h"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The change since the previous period: `up`, `down` or `same`, and in words."""

    direction: str
    text: str
    before: str
    is_good: bool | None
    """`None`: neither direction is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One figure with its change."""

    label: str
    value: str
    note: str
    change: Change | None


def overview(view: View) -> Response:
    if (elsewhere := pinned(view)) is not None:
        return elsewhere
    range_ = _ranges.from_query(view.parameters, view.moments)
    has_range = range_ is not None
    tabs = _overview_panels.names_in(view)
    range_ = range_ or _ranges.preset(DEFAULT, view.moments)
    data = load(view, range_)
    if not data.figures.sessions and (first := _first_run.checklist(view)) is not None:
        return first
    if not has_range and data.figures.sessions and not any(point.sessions for point in data.series[:-2]):
        range_ = _ranges.preset(_YOUNG, view.moments)  # a store that is a day old: a week would be one bar
        data = load(view, range_)
    breakdowns = _panel_pages.load(view, range_.span, _overview_panels.panels_of(tabs))
    return view.html(
        "overview.html",
        range=range_,
        presets=_ranges.PRESETS,
        since=_ranges.field(range_.span.since, view.moments),
        until=_ranges.field(range_.span.until, view.moments),
        url_time=view.moments.address,
        data=data,
        cards=cards(data),
        chart=_charts.chart(
            data.series,
            range_.span,
            range_.bucket,
            view.moments,
            has_past=data.before is not None and data.before.sessions > 0,
        ),
        chart_height=_charts.HEIGHT,
        panels=_overview_panels.shown(view, tabs, breakdowns, range_.query),
    )


def load(view: View, range_: _ranges.Range, where: Filter = EVERYTHING) -> Overview:
    return view.store.report.overview(
        range_.span,
        where,
        bucket=range_.bucket,
        zone=view.moments.zone,
        online_since=view.online_since,
    )


def online(view: View) -> Response:
    """How many sessions are online, for the live figure in a page's head."""
    if (error := bad_request(view)) is not None:
        return error
    return document({"online": view.store.report.online(since=view.online_since)})


def cards(data: Overview) -> list[Card]:
    """The figures of the range, each compared with the previous period."""
    now, before = data.figures, data.before
    if before is not None and not before.sessions:
        before = None  # the store is younger than the range

    def card(
        label: str, of: Callable[[Figures], float | None], formatted: Callable[..., str], note: str = "", good: int = 0
    ) -> Card:
        value = of(now)
        change = None if before is None else _change(value, of(before), formatted, good)
        return Card(label=label, value=formatted(value), note=note, change=change)

    about = "about " if data.is_sampled else ""
    split = f"{about}{now.new_visitors:,} new, {now.returning_visitors:,} returning"
    return [
        card(
            "Sessions", lambda figures: figures.sessions, _formatting.number, f"{now.page_views:,} page views", good=1
        ),
        card("Visitors", lambda figures: figures.visitors, _formatting.number, split, good=1),
        card("Identified users", lambda figures: figures.users, _formatting.number, "by identify() or log-in", good=1),
        card(
            "Median duration",
            lambda figures: figures.median_ms,
            _formatting.span,
            f"mean {_formatting.span(now.mean_ms)}",
        ),
        card("Bounce rate", lambda figures: figures.bounce_rate, _formatting.percent, _bounce_note(now), good=-1),
        card(
            "With errors",
            lambda figures: figures.error_sessions,
            _formatting.number,
            _error_note(now),
            good=-1,
        ),
    ]


def _bounce_note(now: Figures) -> str:
    return "one page view, nothing tracked" if now.visits else "no ended session with a page view"


def _error_note(now: Figures) -> str:
    share = _formatting.percent(now.error_sessions / now.sessions if now.sessions else None)
    return f"{share} of sessions; {now.client_error_sessions:,} with 4xx pages"


def _change(value: float | None, before: float | None, formatted: Callable[..., str], good: int) -> Change | None:
    if value is None or before is None:
        return None
    if not before:
        return (
            None
            if not value
            else Change(direction="up", text="new", before=formatted(before), is_good=_is_good(1, good))
        )
    share = value / before - 1
    if abs(share) < _STEADY:
        return Change(direction="same", text="no change", before=formatted(before), is_good=None)
    sign = 1 if share > 0 else -1
    text = f"{abs(share) * 100:,.0f} %" if abs(share) < 9.995 else f"{value / before:,.0f} times"
    return Change(
        direction="up" if sign > 0 else "down", text=text, before=formatted(before), is_good=_is_good(sign, good)
    )


def _is_good(sign: int, good: int) -> bool | None:
    return None if not good else sign == good
