"""The overview for programs: the same figures as JSON. Times are RFC 3339 text in UTC, spans milliseconds, shares 0 to 1."""

from __future__ import annotations

from typing import Any

from sojourn.backends.cloudevents import rfc3339
from sojourn.stores.reporting.model import Bucket, Figures, Overview

from . import _filters, _overview, _ranges
from ._view import View, bad_request
from ._web import Response, document

Value = int | float | str | bool | None


def as_json(view: View) -> Response:
    which = _filters.parse_filter(view.parameters, view.moments)
    range_ = which.range or _ranges.preset(_overview.DEFAULT, view.moments)
    interval = _ranges.interval(view.parameters, range_)
    if (error := bad_request(view)) is not None:
        return error
    data = _overview.load(view, range_, which.filter, interval)
    has_imported = view.store.imports.has(since=range_.span.since, until=range_.span.until)
    figures_of_range = content(range_, interval or range_.bucket, data)
    return document({"online": data.online, "has_imported": has_imported, **figures_of_range})


def content(range_: _ranges.Range, bucket: Bucket, data: Overview) -> dict[str, Any]:
    """What is there of a range: its figures, those of the period before, and the points of the chart."""
    return {
        "since": rfc3339(range_.span.since),
        "until": rfc3339(range_.span.until),
        "bucket": bucket.name.lower(),
        "is_sampled": data.is_sampled,
        "pending": data.pending,
        "figures": figures(data.figures),
        "before": None if data.before is None else figures(data.before),
        "series": _series(data),
    }


def figures(of: Figures) -> dict[str, Value]:
    """Figures by the names of the docs."""
    return {
        "sessions": of.sessions,
        "visitors": of.visitors,
        "new_visitors": of.new_visitors,
        "returning_visitors": of.returning_visitors,
        "cookieless_sessions": of.cookieless,
        "users": of.users,
        "page_views": of.page_views,
        "median_duration_ms": of.median_ms,
        "mean_duration_ms": of.mean_ms,
        "visits": of.visits,
        "bounces": of.bounces,
        "bounce_rate": None if of.bounce_rate is None else round(of.bounce_rate, 4),
        "error_sessions": of.error_sessions,
        "client_error_sessions": of.client_error_sessions,
    }


def _series(data: Overview) -> list[dict[str, Value]]:
    return [
        {
            "since": rfc3339(point.at),
            "until": rfc3339(point.until),
            "sessions": point.sessions,
            "visitors": point.visitors,
            "users": point.users,
            "median_duration_ms": point.median_ms,
            "bounce_rate": None if point.bounce_rate is None else round(point.bounce_rate, 4),
            "error_sessions": point.error_sessions,
        }
        for point in data.series
    ]
