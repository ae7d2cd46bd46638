"""Hours, days and weeks of a calendar: days of 23 and 25 hours too, and zones that are no whole hours from UTC. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

from .model import HOUR_MS, Bucket, Span


def edges(span: Span, bucket: Bucket, zone: tzinfo = UTC) -> list[int]:
    """Return where the buckets of a span begin, and where the last one ends. Weeks begin on Monday.

    Days and weeks are those of the zone. Hours are those of UTC, of which rollups are made: only the first and the last of a
    span may begin within one.
    """
    if bucket is Bucket.HOUR:
        first = span.since // HOUR_MS * HOUR_MS
        return [*range(first, span.until, HOUR_MS), -(-span.until // HOUR_MS) * HOUR_MS]
    length = timedelta(days=7 if bucket is Bucket.WEEK else 1)
    day = _local(span.since, zone).date()
    if bucket is Bucket.WEEK:
        day -= timedelta(days=day.weekday())
    found = [_midnight(day, zone)]
    while found[-1] < span.until:
        day += length
        start = _midnight(day, zone)
        if start > found[-1]:  # a zone that crosses the date line leaves a day out
            found.append(start)
    return found


def _midnight(day: date, zone: tzinfo) -> int:
    """Return the first moment of a day: where clocks skip midnight, the moment that they skip to."""
    return round(datetime.combine(day, time(), zone).timestamp() * 1000)


def _local(at: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at / 1000, zone)
