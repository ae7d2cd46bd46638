"""Summaries of an hour or a day of sessions, and figures from many of them. Pure; knows no SQL.

Distinct visitors cannot be added up, so a summary keeps their hashes (eight bytes each, keyed by the store's own key):
any span's visitors are the size of a union. The hashes are sorted. To take only the least of them, from all summaries
alike, is a fair sample of the visitors: that bounds the work of a long span. Durations stand in the order of their
sessions' hashes, so that the first few are a fair sample too.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import Final
from urllib.parse import urlsplit

import msgspec

from sojourn.core.bounded import Bounded

from .model import HOUR_MS, Bucket, Figures, Point, Span, Top, Tops

SAMPLED_ABOVE: Final = 100_000
"""Sessions of a span (with the one before it) whose visitors are counted one by one."""
KEPT_VALUES: Final = 300
"""How many different paths, routes and referrers a summary keeps."""

_HASHES: Final = 2**64
_LONGEST_MS: Final = 2**32 - 1
_DITHER: Final = 40_503  # near 2^16 / golden ratio: its multiples' high bits are spread evenly, whatever the steps

DIMENSIONS: Final = ("entry_paths", "routes", "referrers", "browsers", "devices")
TopCounts = dict[str, dict[str, int]]


class Told(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a summary needs of a session, as the query answers it."""

    key: str
    visitor_id: str
    user_id: str | None
    is_first: bool
    duration_ms: int
    page_views: int
    errors: int
    entry_path: str | None
    referrer: str | None
    browser: str | None
    device: str | None


@dataclass(slots=True, kw_only=True)
class Summary:
    """An hour or a day of sessions. A day's has `tops` only: all else comes from its hours."""

    at: int
    sessions: int = 0
    bounces: int = 0
    error_sessions: int = 0
    page_views: int = 0
    duration_ms: int = 0
    durations: array[int] = field(default_factory=lambda: array("I"))
    visitors: array[int] = field(default_factory=lambda: array("Q"))
    firsts: array[int] = field(default_factory=lambda: array("Q"))
    users: array[int] = field(default_factory=lambda: array("Q"))
    tops: TopCounts = field(default_factory=dict)


def summary_of(at: int, told: Iterable[Told], routes: Iterable[tuple[str | None, int]], key: bytes) -> Summary:
    """Sum up the sessions that started in one hour, and the routes of their page views."""
    made = Summary(at=at)
    visitors: set[int] = set()
    firsts: set[int] = set()
    users: set[int] = set()
    durations: list[tuple[int, int]] = []
    paths: Counter[str] = Counter()
    referrers: Counter[str] = Counter()
    browsers: Counter[str] = Counter()
    devices: Counter[str] = Counter()
    for each in told:
        made.sessions += 1
        made.bounces += each.page_views <= 1
        made.error_sessions += each.errors > 0
        made.page_views += each.page_views
        made.duration_ms += each.duration_ms
        durations.append((_hash(key, "s", each.key), min(each.duration_ms, _LONGEST_MS)))
        visitor = _hash(key, "v", each.visitor_id)
        visitors.add(visitor)
        if each.is_first:
            firsts.add(visitor)
        if each.user_id is not None:
            users.add(_hash(key, "u", each.user_id))
        if each.entry_path is not None:
            paths[each.entry_path] += 1
        if each.referrer is not None:
            referrers[each.referrer] += 1
        if each.browser is not None:
            browsers[each.browser] += 1
        if each.device is not None:
            devices[each.device] += 1
    durations.sort()
    made.durations = array("I", [duration for _, duration in durations])
    made.visitors, made.firsts, made.users = (array("Q", sorted(found)) for found in (visitors, firsts, users))
    made.tops = {
        "entry_paths": _most(paths),
        "routes": _most(Counter({route: count for route, count in routes if route is not None})),
        "referrers": _most(_by(_host, referrers)),
        "browsers": _most(browsers),
        "devices": _most(devices),
    }
    return made


def _hash(key: bytes, kind: str, text: str) -> int:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), key=key, digest_size=8, person=kind.encode())
    return int.from_bytes(digest.digest(), "big")


_hosts: Final[Bounded[str, str]] = Bounded(4096)


def _host(referrer: str) -> str | None:
    """The host of a referrer; nothing for what is no address."""
    known = _hosts.get(referrer)
    if known is None:
        try:
            known = urlsplit(referrer).hostname or ""
        except ValueError:
            known = ""
        _hosts[referrer] = known
    return known or None


def _by(name: Callable[[str], str | None], counts: Mapping[str, int]) -> Counter[str]:
    found: Counter[str] = Counter()
    for value, count in counts.items():
        named = name(value)
        if named is not None:
            found[named] += count
    return found


def _most(counts: Mapping[str, int]) -> dict[str, int]:
    if len(counts) <= KEPT_VALUES:
        return dict(counts)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:KEPT_VALUES])


# --- sampling ----------------------------------------------------------------------------------------------------------


class Sample(msgspec.Struct, frozen=True):
    """One of `one_in` visitors (a power of two) and durations; 1: all of them."""

    one_in: int = 1

    @classmethod
    def for_sessions(cls, sessions: int) -> Sample:
        """As many as can be counted in a moment."""
        one_in = 1
        while sessions > SAMPLED_ABOVE * one_in:
            one_in *= 2
        return cls(one_in)

    @property
    def first_not(self) -> int:
        """The hashes below this are in."""
        return _HASHES // self.one_in

    def hashes(self, found: array[int]) -> array[int]:
        return found if self.one_in == 1 else found[: bisect_left(found, self.first_not)]

    def durations(self, summary: Summary) -> array[int]:
        """The share of an hour; rounded up in some hours and down in others, or quiet hours would count too much."""
        if self.one_in == 1:
            return summary.durations
        return summary.durations[: (summary.sessions + self.dither(summary.at)) // self.one_in]

    def dither(self, at: int) -> int:
        return at // HOUR_MS * _DITHER // 256 % self.one_in


# --- figures of many -----------------------------------------------------------------------------------------------------


def figures_of(summaries: Sequence[Summary], sample: Sample) -> Figures:
    """Add up hours."""
    visitors: set[int] = set()
    firsts: set[int] = set()
    users: set[int] = set()
    durations: list[int] = []
    for each in summaries:
        visitors.update(sample.hashes(each.visitors))
        firsts.update(sample.hashes(each.firsts))
        users.update(sample.hashes(each.users))
        durations.extend(sample.durations(each))
    sessions = sum(each.sessions for each in summaries)
    durations.sort()
    return Figures(
        sessions=sessions,
        visitors=min(sessions, len(visitors) * sample.one_in),
        new_visitors=min(sessions, len(firsts) * sample.one_in),
        users=min(sessions, len(users) * sample.one_in),
        bounces=sum(each.bounces for each in summaries),
        error_sessions=sum(each.error_sessions for each in summaries),
        page_views=sum(each.page_views for each in summaries),
        median_ms=_median(durations),
        mean_ms=sum(each.duration_ms for each in summaries) // sessions if sessions else None,
    )


def series_of(
    summaries: Sequence[Summary], span: Span, bucket: Bucket, offset: int, sample: Sample
) -> tuple[Point, ...]:
    """The buckets of a span, those without sessions too. `summaries` are in the order of time."""
    points: list[Point] = []
    hours = iter(summaries)
    hour = next(hours, None)
    start = bucket.start(span.since, offset)
    while start < span.until:
        until, sessions = start + bucket, 0
        visitors: set[int] = set()
        users: set[int] = set()
        while hour is not None and hour.at < until:
            sessions += hour.sessions
            visitors.update(sample.hashes(hour.visitors))
            users.update(sample.hashes(hour.users))
            hour = next(hours, None)
        points.append(
            Point(
                start,
                sessions,
                min(sessions, len(visitors) * sample.one_in),
                min(sessions, len(users) * sample.one_in),
            )
        )
        start = until
    return tuple(points)


def merged(parts: Iterable[Mapping[str, Mapping[str, int]]]) -> TopCounts:
    """Counts by dimension and value, added up."""
    whole: dict[str, Counter[str]] = {}
    for part in parts:
        for dimension, counts in part.items():
            if dimension in whole:
                whole[dimension].update(counts)
            else:
                whole[dimension] = Counter(counts)
    return dict(whole)


def day_of(at: int, hours: Iterable[Mapping[str, Mapping[str, int]]]) -> Summary:
    """Sum up a day from its hours."""
    return Summary(at=at, tops={dimension: _most(counts) for dimension, counts in merged(hours).items()})


def tops_of(parts: Iterable[Mapping[str, Mapping[str, int]]], limit: int) -> Tops:
    """The most frequent values of each dimension; of equals the first by name."""
    whole = merged(parts)
    return Tops(
        **{
            dimension: tuple(
                Top(value, count)
                for value, count in islice(
                    sorted(whole.get(dimension, {}).items(), key=lambda item: (-item[1], item[0])), limit
                )
            )
            for dimension in DIMENSIONS
        }
    )


def _median(ordered: Sequence[int]) -> int | None:
    if not ordered:
        return None
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2


# --- as a store keeps it -------------------------------------------------------------------------------------------------


def packed(numbers: array[int]) -> bytes:
    """Little-endian, on any machine."""
    return _little(numbers).tobytes()


def unpacked(kind: str, digits: str) -> array[int]:
    """From hexadecimal digits: a part of one may end in the middle of nothing, as parts are cut by whole numbers."""
    numbers = array(kind)
    numbers.frombytes(bytes.fromhex(digits))
    return _little(numbers)


def _little(numbers: array[int]) -> array[int]:
    if sys.byteorder == "big":  # pragma: no cover - no machine of ours
        numbers = numbers[:]
        numbers.byteswap()
    return numbers
