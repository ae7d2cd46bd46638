"""The first page: how a range went, against the one before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sojourn.stores.reporting.model import Figures, Overview, Top

from . import _charts, _formatting, _ranges
from ._view import View
from ._web import Response, document

_TOPS: Final = 8
_STEADY: Final = 0.005
_DEFAULT: Final = "7d"
_YOUNG: Final = "24h"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Against the period before: `up`, `down` or `same`, and in words."""

    way: str
    text: str
    before: str
    is_good: bool | None
    """`None`: that is for the reader to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One figure."""

    label: str
    value: str
    note: str
    change: Change | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The most frequent of something. `field`: the filter of the sessions' page that finds them."""

    title: str
    unit: str
    field: str | None
    tops: tuple[Top, ...]

    @property
    def most(self) -> int:
        return max((top.count for top in self.tops), default=1)


def overview(view: View) -> Response:
    named = _ranges.chosen(view.request.query, view.moments)
    chosen = named or _ranges.preset(_DEFAULT, view.moments)
    found = _looked(view, chosen)
    if named is None and found.figures.sessions and not any(point.sessions for point in found.series[:-2]):
        chosen = _ranges.preset(_YOUNG, view.moments)  # all of it is of today: a week would be one bar
        found = _looked(view, chosen)
    tops = found.tops
    return view.html(
        "overview.html",
        chosen=chosen,
        presets=_ranges.PRESETS,
        since=_ranges.field(chosen.span.since, view.moments),
        until=_ranges.field(chosen.span.until, view.moments),
        told=_ranges.told,
        found=found,
        cards=cards(found),
        chart=_charts.chart(found.series, chosen.span, chosen.bucket, view.moments),
        chart_height=_charts.HEIGHT,
        listings=[
            Listing(title="Entry pages", unit="sessions", field="entry", tops=tops.entry_paths),
            Listing(title="Routes", unit="views", field=None, tops=tops.routes),
            Listing(title="Referrers", unit="sessions", field="q", tops=tops.referrers),
            Listing(title="Browsers", unit="sessions", field=None, tops=tops.browsers),
            Listing(title="Devices", unit="sessions", field=None, tops=tops.devices),
        ],
    )


def _looked(view: View, chosen: _ranges.Range) -> Overview:
    return view.store.overview(
        chosen.span,
        bucket=chosen.bucket,
        offset=view.moments.offset,
        online_since=view.online_since,
        tops=_TOPS,
    )


def online(view: View) -> Response:
    """For the dot in the head of every page."""
    return document({"online": view.store.online(since=view.online_since)})


def cards(found: Overview) -> list[Card]:
    """The figures of the range, each against the period before."""
    now, before = found.figures, found.before
    if before is not None and not before.sessions:
        before = None  # nothing to compare with: a store is younger than that

    def card(
        label: str, of: Callable[[Figures], float | None], shown: Callable[..., str], note: str = "", good: int = 0
    ) -> Card:
        value = of(now)
        change = None if before is None else _change(value, of(before), shown, good)
        return Card(label=label, value=shown(value), note=note, change=change)

    about = "about " if found.is_sampled else ""
    split = f"{about}{now.new_visitors:,} new, {now.returning_visitors:,} returning"
    return [
        card("Sessions", lambda each: each.sessions, _formatting.number, f"{now.page_views:,} page views", good=1),
        card("Visitors", lambda each: each.visitors, _formatting.number, split, good=1),
        card("Users", lambda each: each.users, _formatting.number, f"{about}known by name", good=1),
        card("Median duration", lambda each: each.median_ms, _formatting.span, f"mean {_formatting.span(now.mean_ms)}"),
        card("Bounce rate", lambda each: each.bounce_rate, _formatting.percent, "left after one page", good=-1),
        card(
            "With errors",
            lambda each: each.error_sessions,
            _formatting.number,
            f"{_formatting.percent(now.error_sessions / now.sessions if now.sessions else None)} of sessions",
            good=-1,
        ),
    ]


def _change(value: float | None, before: float | None, shown: Callable[..., str], good: int) -> Change | None:
    if value is None or before is None:
        return None
    if not before:
        return None if not value else Change(way="up", text="new", before=shown(before), is_good=_is_good(1, good))
    share = value / before - 1
    if abs(share) < _STEADY:
        return Change(way="same", text="as before", before=shown(before), is_good=None)
    sign = 1 if share > 0 else -1
    text = f"{abs(share) * 100:,.0f} %" if abs(share) < 9.995 else f"{value / before:,.0f} times"
    return Change(way="up" if sign > 0 else "down", text=text, before=shown(before), is_good=_is_good(sign, good))


def _is_good(sign: int, good: int) -> bool | None:
    return None if not good else sign == good
