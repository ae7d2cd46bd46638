"""The geometry of the overview's chart: bars of one measure, a line of the period before, marks of releases. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sojourn.stores.reporting.model import Bucket, Point, Release, Span

from ._measures import MEASURES, Measure
from ._moments import Moments

HEIGHT: Final = 176
_LABELS: Final = 8
_GAP: Final = 0.22
_MARKS: Final = 12
_MARK_ROOM: Final = 8.0
"""Percent of the chart's width that a mark's label takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bucket: `x` and `width` in percent of the chart, `y` and `height` in its pixels."""

    x: float
    width: float
    y: float
    height: float
    point: Point
    before: Point | None
    """The bucket of the period before."""
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
class Mark:
    """A release: `at` in percent of the chart's width. Where labels would overlap only the first is shown."""

    at: float
    version: str
    has_label: bool
    is_late: bool
    """Whether it is so far to the right that its label stands before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The whole chart. The line lies in a square of 100 by 100 that the page stretches."""

    measure: Measure
    bars: Sequence[Bar]
    before: str
    """The line of the period before; empty if there is none."""
    across: Sequence[Tick]
    below: Sequence[Tick]
    marks: Sequence[Mark]


def chart(
    points: Sequence[Point],
    span: Span,
    bucket: Bucket,
    moments: Moments,
    *,
    measure: Measure = MEASURES["sessions"],
    before: Sequence[Point] = (),
    releases: Sequence[Release] = (),
) -> Chart:
    """Lay out a chart of these points, each beside the one at the same place of the period before."""
    past = before if len(before) == len(points) else ()
    values = [measure.of_point(point) for point in points]
    past_values = _since_first_data(past, measure)
    top = measure.ceiling(max((value for value in (*values, *past_values) if value), default=0))
    each = 100 / max(1, len(points))
    bars = []
    for place, (point, value) in enumerate(zip(points, values, strict=True)):
        height = round(HEIGHT * (value or 0) / top, 1)
        bars.append(
            Bar(
                x=round(place * each + each * _GAP / 2, 3),
                width=round(each * (1 - _GAP), 3),
                y=round(HEIGHT - height, 1),
                height=height,
                point=point,
                before=past[place] if past and past_values[place] is not None else None,
                since=max(point.at, span.since),
                until=max(point.at + 1, min(point.until, span.until)),
                label=_long_label(point, span, bucket, moments),
                is_partial=point.at < span.since or point.until > min(span.until, moments.now),
            )
        )
    return Chart(
        measure=measure,
        bars=bars,
        before=_line(past_values, top),
        across=[
            Tick(at=round(HEIGHT - HEIGHT * part / 2, 1), label=measure.text(_whole(top * part / 2)))
            for part in ((1, 2) if top > measure.units[0] else (2,))
        ],
        below=_labels(points, span, bucket, each, moments),
        marks=_marks(points, releases, each),
    )


def _since_first_data(points: Sequence[Point], measure: Measure) -> list[float | int | None]:
    """The values from the first bucket with a session on: before anything was recorded, zero would be no true one."""
    begun = next((place for place, point in enumerate(points) if point.sessions), len(points))
    return [measure.of_point(point) if place >= begun else None for place, point in enumerate(points)]


def _whole(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _line(values: Sequence[float | int | None], top: float) -> str:
    each = 100 / max(1, len(values))
    return " ".join(
        f"{(place + 0.5) * each:.2f},{100 - 100 * value / top:.2f}"
        for place, value in enumerate(values)
        if value is not None
    )


def _marks(points: Sequence[Point], releases: Sequence[Release], each: float) -> list[Mark]:
    marks: list[Mark] = []
    labelled = -_MARK_ROOM
    for release in releases[-_MARKS:]:
        place = next((place for place, point in enumerate(points) if point.at <= release.at < point.until), None)
        if place is None:
            continue
        point = points[place]
        at = round((place + (release.at - point.at) / (point.until - point.at)) * each, 2)
        has_label = at - labelled >= _MARK_ROOM
        labelled = at if has_label else labelled
        marks.append(Mark(at=at, version=release.version, has_label=has_label, is_late=at > 100 - _MARK_ROOM))
    return marks


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
