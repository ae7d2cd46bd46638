"""The geometry of the overview's chart: bars of sessions, lines of visitors and users. Pure; draws nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sojourn.stores.reporting.model import Bucket, Point, Span

from ._moments import Moments

HEIGHT: Final = 176
_LABELS: Final = 8
_GAP: Final = 0.22


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bucket: `x` and `width` in percent of the chart, `y` and `height` in its pixels."""

    x: float
    width: float
    y: float
    height: float
    point: Point
    since: int
    until: int
    label: str
    is_partial: bool
    """The range covers only a part of the bucket, or the bucket is not over: not comparable with the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A grid line, or a label below the chart."""

    at: float
    label: str
    is_minor: bool = False
    """Hidden where there is little room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The whole chart. The lines lie in a square of 100 by 100 that the page stretches."""

    bars: Sequence[Bar]
    visitors: str
    users: str
    across: Sequence[Tick]
    below: Sequence[Tick]


def chart(points: Sequence[Point], span: Span, bucket: Bucket, moments: Moments, *, has_past: bool = True) -> Chart:
    """Lay out a chart of these points. `has_past`: sessions before the span are known, so a quiet start is a true zero."""
    top = _ceiling(max((max(point.sessions, point.visitors, point.users) for point in points), default=0))
    each = 100 / max(1, len(points))
    bars = [
        Bar(
            x=round(place * each + each * _GAP / 2, 3),
            width=round(each * (1 - _GAP), 3),
            y=round(HEIGHT - HEIGHT * point.sessions / top, 1),
            height=round(HEIGHT * point.sessions / top, 1),
            point=point,
            since=max(point.at, span.since),
            until=max(point.at + 1, min(point.until, span.until)),
            label=_long_label(point, span, bucket, moments),
            is_partial=point.at < span.since or point.until > min(span.until, moments.now),
        )
        for place, point in enumerate(points)
    ]
    begun = 0 if has_past else next((place for place, point in enumerate(points) if point.sessions), len(points))
    return Chart(
        bars=bars,
        visitors=_line([point.visitors for point in points], top, bars, begun),
        users=_line([point.users for point in points], top, bars, begun)
        if any(point.users for point in points)
        else "",
        across=[
            Tick(at=round(HEIGHT - HEIGHT * part / 2, 1), label=f"{top * part // 2:,}")
            for part in ((1, 2) if top > 1 else (2,))
        ],
        below=_labels(points, span, bucket, each, moments),
    )


def _ceiling(greatest: int) -> int:
    """The smallest round number at or above `greatest`; even, where possible, so that half of it is whole."""
    size = 1
    while True:
        for step in (1, 2, 4, 6, 8):
            if greatest <= step * size:
                return step * size
        size *= 10


def _line(values: Sequence[int], top: int, bars: Sequence[Bar], begun: int) -> str:
    """A line through the complete buckets from `begun` on.

    A drop to a day that has just begun would mislead, and so would zeros of the time before anything was recorded.
    """
    each = 100 / max(1, len(values))
    complete = [place for place, bar in enumerate(bars) if not bar.is_partial] or range(len(values))
    complete = [place for place in complete if place >= begun]
    return " ".join(f"{(place + 0.5) * each:.2f},{100 - 100 * values[place] / top:.2f}" for place in complete)


def _labels(points: Sequence[Point], span: Span, bucket: Bucket, each: float, moments: Moments) -> list[Tick]:
    every = max(1, -(-len(points) // _LABELS))
    return [
        Tick(
            at=round((place + 0.5) * each, 2),
            label=_short_label(
                max(points[place].at, span.since) if bucket is Bucket.HOUR else points[place].at,
                bucket,
                len(points),
                moments,
            ),
            is_minor=bool(number % 2),
        )
        for number, place in enumerate(range(0, len(points), every))
    ]


def _short_label(at: int, bucket: Bucket, count: int, moments: Moments) -> str:
    if bucket is not Bucket.HOUR:
        return moments.day(at)
    when = moments.local(at)
    return f"{when:%H:%M}" if count <= 25 else f"{moments.day(at)} {when:%H}h"


def _long_label(point: Point, span: Span, bucket: Bucket, moments: Moments) -> str:
    at = point.at
    match bucket:
        case Bucket.HOUR:  # "today" may begin within one
            first, last = max(at, span.since), min(point.until, span.until)
            return f"{moments.weekday(first)}, {moments.local(first):%H:%M} to {moments.local(last):%H:%M}"
        case Bucket.DAY:
            return moments.weekday(at)
        case Bucket.WEEK:
            return f"Week of {moments.day(at)}"
