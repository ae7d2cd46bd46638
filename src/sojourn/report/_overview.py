"""The overview: the figures of a range, compared with the period before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from sojourn.stores.reporting.filters import Operator
from sojourn.stores.reporting.model import EVERYTHING, Bucket, Figures, Filter, Overview

from . import _charts, _filters, _first_run, _formatting, _overview_panels, _panel_pages, _ranges
from ._links import INTERVAL, RANGE
from ._measures import MEASURES, Measure
from ._panels import PANELS
from ._view import View, bad_request, canonical, pinned
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
    """One figure with its change. `url`: the same page with this figure in the chart."""

    measure: Measure
    value: str
    note: str
    change: Change | None
    url: str = ""


def overview(view: View) -> Response:
    if (elsewhere := pinned(view)) is not None:
        return elsewhere
    which = _filters.parse_filter(view.parameters, view.moments)
    tabs = _overview_panels.names_in(view)
    range_ = which.range or _ranges.preset(DEFAULT, view.moments)
    interval = _ranges.interval(view.parameters, range_)
    links = view.links(which, _overview_panels.own_params(tabs))
    if interval is None:
        links = links.without("interval")
    if (elsewhere := canonical(view, links)) is not None:
        return elsewhere
    where = which.filter
    data = load(view, range_, where, interval)
    if where.is_everything and not data.figures.sessions and (first := _first_run.checklist(view)) is not None:
        return first
    if (
        where.is_everything
        and which.range is None
        and data.figures.sessions
        and not any(point.sessions for point in data.series[:-2])
    ):
        range_ = _ranges.preset(_YOUNG, view.moments)  # a store that is a day old: a week would be one bar
        interval = None
        data = load(view, range_, where)
    breakdowns = _panel_pages.load(view, range_.span, [*_overview_panels.panels_of(tabs), PANELS["releases"]], where)
    bucket = interval or range_.bucket
    return view.html(
        "overview.html",
        **links.ranges(range_, view.moments),
        data=data,
        has_imported=view.store.imports.has(since=range_.span.since, until=range_.span.until),
        which=which,
        links=links,
        in_range=links.in_range(range_),
        zoom=links.without(*RANGE, INTERVAL),
        cards=[replace(card, url=links.here(measure=card.measure.name)) for card in cards(data)],
        fields=_filters.OFFERED,
        operators=tuple(Operator),
        intervals=[(each, links.here(interval=each.name.lower())) for each in range_.intervals],
        bucket=bucket,
        measures=MEASURES.values(),
        chart=_charts.chart(
            data.series,
            range_.span,
            bucket,
            view.moments,
            measure=MEASURES[which.measure or "sessions"],
            before=data.series_before,
            releases=[
                release
                for release in view.store.report.releases(range_.span)
                if where.is_everything or release.version in breakdowns.tables["releases"]
            ],
        ),
        chart_height=_charts.HEIGHT,
        panels=_overview_panels.shown(tabs, breakdowns, links.in_range(range_)),
    )


def load(view: View, range_: _ranges.Range, where: Filter = EVERYTHING, interval: Bucket | None = None) -> Overview:
    return view.store.report.overview(
        range_.span,
        where,
        bucket=interval or range_.bucket,
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

    about = "about " if data.is_sampled else ""
    notes = {
        "sessions": f"{now.page_views:,} page views",
        "visitors": f"{about}{now.new_visitors:,} new, {now.returning_visitors:,} returning",
        "users": "by identify() or log-in",
        "duration": f"mean {_formatting.span(now.mean_ms)}",
        "bounce": _bounce_note(now),
        "errors": _error_note(now),
    }
    found = []
    for measure in MEASURES.values():
        value = measure.of(now)
        change = None if before is None else _change(value, measure.of(before), measure.text, measure.good)
        found.append(Card(measure=measure, value=measure.text(value), note=notes[measure.name], change=change))
    return found


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
