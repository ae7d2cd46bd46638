"""Time ranges of an address: presets in whole hours, custom ones in quarters. Pure: now and the zone are arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sojourn.stores.reporting.model import DAY_MS, HOUR_MS, Bucket, Span

from ._moments import Moments, is_local
from ._parameters import Parameters

PRESETS: Final = {
    "today": "Today",
    "24h": "24 hours",
    "7d": "7 days",
    "30d": "30 days",
    "90d": "90 days",
    "12m": "12 months",
}
INTERVALS: Final = tuple(each.name.lower() for each in Bucket)
"""What an address may name as the width of the chart's bars."""
_LENGTHS: Final = {"24h": DAY_MS, "7d": 7 * DAY_MS, "30d": 30 * DAY_MS, "90d": 90 * DAY_MS, "12m": 365 * DAY_MS}
_GRAIN_MS: Final = 15 * 60_000
"""Every time zone is a multiple of this ahead of UTC, so a day of any of them is a range."""
_FINEST_MS: Final = 3 * DAY_MS
_FINE_MS: Final = 120 * DAY_MS
_FIX: Final = "give a time such as 2026-01-31 or 2026-01-31T12:00Z"
_MOST_BARS: Final = 400
_LONGEST_MS: Final = 20 * 365 * DAY_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A range, its label, and its URL parameters."""

    span: Span
    label: str
    query: Mapping[str, str]

    @property
    def bucket(self) -> Bucket:
        """The width of a bar in the chart, chosen so that there are a few dozen bars."""
        length = self.span.until - self.span.since
        return Bucket.HOUR if length <= _FINEST_MS else Bucket.DAY if length <= _FINE_MS else Bucket.WEEK

    @property
    def intervals(self) -> tuple[Bucket, ...]:
        """The widths that a reader can choose: those with a readable number of bars."""
        length = self.span.until - self.span.since
        return tuple(each for each in Bucket if 2 * each <= length <= _MOST_BARS * each or each is self.bucket)


def from_query(parameters: Parameters, moments: Moments) -> Range | None:
    """The range of an address; `None` if it has no valid one."""
    name = parameters.one_of("range", PRESETS)
    since, until = (parameters.parsed(each, moments.parsed, _FIX) for each in ("since", "until"))
    if since is None and until is None:
        return None if name is None else preset(name, moments)
    if name is not None:
        parameters.reject("since" if since is not None else "until", "cannot be combined with range; give one of them")
        return preset(name, moments)
    end = _ceil(moments.now) if until is None else _ceil(until, _GRAIN_MS)
    begin = max(0, end - 7 * DAY_MS) if since is None else _floor(since, _GRAIN_MS)
    which = "until" if since is None else "since"
    if not 0 <= begin < end:
        parameters.reject(which, f"the range must begin before it ends, and not before 1970; {_FIX}")
        return None
    if end - begin > _LONGEST_MS:
        parameters.reject(which, "the range is longer than 20 years; give a later since or an earlier until")
        return None
    return custom(Span(begin, end), moments)


def interval(parameters: Parameters, range_: Range) -> Bucket | None:
    """The width of the chart's bars that an address asks for; `None`: the range's own."""
    name = parameters.one_of("interval", INTERVALS)
    if name is None:
        return None
    bucket = named_interval(name, range_)
    if bucket is None:
        names = " or ".join(each.name.lower() for each in range_.intervals)
        parameters.reject("interval", f"does not suit a range of this length; use {names}")
    return bucket


def named_interval(name: str, range_: Range) -> Bucket | None:
    """The width of this name, where it suits the range."""
    return next((each for each in range_.intervals if each.name.lower() == name), None)


def preset(name: str, moments: Moments) -> Range:
    until = _ceil(moments.now + 1)
    if name == "today":
        local = moments.local(moments.now)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        since = _floor(round(midnight.timestamp() * 1000), _GRAIN_MS)
    else:
        since = until - _LENGTHS[name]
    return Range(span=Span(max(0, since), until), label=PRESETS[name], query={"range": name})


def custom(span: Span, moments: Moments) -> Range:
    label = f"{moments.day(span.since)} to {moments.day(span.until - 1)}"
    if span.until - span.since <= _FINEST_MS:
        first, last = moments.local(span.since), moments.local(span.until)
        label = f"{moments.day(span.since)} {first:%H:%M} to {moments.day(span.until)} {last:%H:%M}"
    return Range(
        span=span, label=label, query={"since": moments.address(span.since), "until": moments.address(span.until)}
    )


def field(at: int, moments: Moments) -> str:
    """A moment as a `datetime-local` input takes it."""
    return f"{moments.local(at):%Y-%m-%dT%H:%M}"


def pinned(parameters: Parameters, moments: Moments) -> Mapping[str, str]:
    """The times of an address that lack an offset, with that of the reader."""
    found = {}
    for name in ("since", "until"):
        text = parameters.text(name)
        at = moments.parsed(text) if is_local(text) else None
        if at is not None and moments.parsed(moments.address(at)) == at:  # not beyond the calendar
            found[name] = moments.address(at)
    return found


def _floor(at: int, grain: int) -> int:
    return at // grain * grain


def _ceil(at: int, grain: int = HOUR_MS) -> int:
    return -(-at // grain) * grain
