"""Rollups of an hour or a day of sessions, and the figures of many rollups.

Distinct visitors cannot be added up, so a rollup keeps their hashes (eight bytes each, keyed by the store's own key): the
visitors of a span are the size of a union. The hashes are sorted, so the least of them, from all rollups alike, are a
fair sample of the visitors. That bounds the work of a long span. Durations are in the order of their sessions' hashes, so
the first few are a fair sample too.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain, pairwise
from operator import attrgetter
from typing import Final, Protocol, TypeAlias

import msgspec

from .model import HOUR_MS, Figures, Point

SAMPLED_ABOVE: Final = 100_000
"""Above this many sessions in a span and the one before it, visitors are counted in a sample."""

_AT: Final = attrgetter("at")
_HASHES: Final = 2**64
_ID_PREFIXES: Final = 2**32
_AFTER_ALL_IDS: Final = "\U0010ffff"
_LONGEST_MS: Final = 2**32 - 1
_DITHER: Final = 40_503  # near 2^16 / golden ratio: its multiples' high bits are spread evenly, whatever the steps


class SessionFacts(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What figures need of a session, in the order of `statements.SESSION_FACTS`."""

    visitor_id: str
    user_id: str | None
    is_first: bool
    duration_ms: int
    is_open: bool
    page_views: int
    tracked_events: int
    errors: int
    client_errors: int
    is_cookieless: bool


class SessionFigures(SessionFacts, array_like=True, frozen=True, gc=False):
    """What the figures of an hour read of a session."""

    key: str


class Counted(Protocol):
    """A session, as far as it says whether it is a bounce."""

    @property
    def is_open(self) -> bool: ...
    @property
    def page_views(self) -> int: ...
    @property
    def tracked_events(self) -> int: ...


class Summed(Counted, Protocol):
    """A session, as far as a rollup sums it up."""

    @property
    def key(self) -> str: ...
    @property
    def visitor_id(self) -> str: ...
    @property
    def user_id(self) -> str | None: ...
    @property
    def is_first(self) -> bool: ...
    @property
    def duration_ms(self) -> int: ...
    @property
    def errors(self) -> int: ...
    @property
    def client_errors(self) -> int: ...
    @property
    def is_cookieless(self) -> bool: ...


def is_visit(session: Counted) -> bool:
    """Whether it could be a bounce: an open session may go on, and one without a page view says nothing."""
    return session.page_views > 0 and not session.is_open


def is_bounce(session: Counted) -> bool:
    """Whether it was one page view and nothing tracked."""
    return is_visit(session) and session.page_views == 1 and not session.tracked_events


ADDED: Final = (
    "sessions",
    "visits",
    "bounces",
    "error_sessions",
    "client_error_sessions",
    "page_views",
    "duration_ms",
    "cookieless",
)
"""What of two rollups is added up. In a store, these are columns of numbers."""

Numbers: TypeAlias = "array[int] | str"
"""Of a `StoredRollup` its hexadecimal digits: thousands of hours are unpacked together."""


@dataclass(slots=True, kw_only=True)
class Rollup:
    """An hour of sessions. A day has none of it: its figures come from its hours, and only breakdowns are kept by the day."""

    at: int
    sessions: int = 0
    visits: int = 0
    bounces: int = 0
    error_sessions: int = 0
    client_error_sessions: int = 0
    page_views: int = 0
    duration_ms: int = 0
    cookieless: int = 0
    durations: array[int] = field(default_factory=lambda: array("I"))
    visitors: array[int] = field(default_factory=lambda: array("Q"))
    firsts: array[int] = field(default_factory=lambda: array("Q"))
    users: array[int] = field(default_factory=lambda: array("Q"))


class StoredRollup(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The same as a store has it, in the order of `Statements.hours`."""

    at: int
    sessions: int
    visits: int
    bounces: int
    error_sessions: int
    client_error_sessions: int
    page_views: int
    duration_ms: int
    cookieless: int
    durations: str
    visitors: str
    firsts: str
    users: str


def rollup_of(at: int, sessions: Iterable[Summed], key: bytes) -> Rollup:
    """Roll up the sessions that started in one hour."""
    rollup = Rollup(at=at)
    visitors: set[int] = set()
    firsts: set[int] = set()
    users: set[int] = set()
    durations: list[tuple[int, int]] = []
    for each in sessions:
        rollup.sessions += 1
        rollup.visits += is_visit(each)
        rollup.bounces += is_bounce(each)
        rollup.error_sessions += each.errors > 0
        rollup.client_error_sessions += each.client_errors > 0
        rollup.page_views += each.page_views
        rollup.duration_ms += each.duration_ms
        rollup.cookieless += each.is_cookieless
        durations.append((_hash(key, "s", each.key), min(each.duration_ms, _LONGEST_MS)))
        visitor = visitor_hash(key, each.visitor_id)
        visitors.add(visitor)
        if each.is_first:
            firsts.add(visitor)
        if each.user_id is not None:
            users.add(_hash(key, "u", each.user_id))
    durations.sort()
    rollup.durations = array("I", [duration for _, duration in durations])
    rollup.visitors, rollup.firsts, rollup.users = (array("Q", sorted(found)) for found in (visitors, firsts, users))
    return rollup


def visitor_hash(key: bytes, visitor_id: str) -> int:
    """Return what stands for a visitor."""
    return _hash(key, "v", visitor_id)


def _hash(key: bytes, kind: str, text: str) -> int:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), key=key, digest_size=8, person=kind.encode())
    return int.from_bytes(digest.digest(), "big")


# --- sampling ----------------------------------------------------------------------------------------------------------


class Sample(msgspec.Struct, frozen=True):
    """One of `one_in` visitors (a power of two) and durations; 1: all of them."""

    one_in: int = 1

    @classmethod
    def for_sessions(cls, sessions: int) -> Sample:
        """Choose a sample that is quick to count."""
        return cls.of(sessions, SAMPLED_ABOVE)

    @classmethod
    def of(cls, count: int, most: float) -> Sample:
        """Choose a sample of at most about so many of a count."""
        one_in = 1
        while count > most * one_in:
            one_in *= 2
        return cls(one_in)

    @property
    def first_not(self) -> int:
        """The least hash outside the sample."""
        return _HASHES // self.one_in

    @property
    def first_id_not(self) -> str:
        """The least visitor id outside the sample. Ids are random hexadecimal digits."""
        return _AFTER_ALL_IDS if self.one_in == 1 else f"{_ID_PREFIXES // self.one_in:08x}"

    def hashes(self, parts: Iterable[Numbers]) -> set[int]:
        """Return those of the sample. A store may return a few more of each hour."""
        numbers, bound = _joined("Q", parts), self.first_not
        return set(numbers) if self.one_in == 1 else {number for number in numbers if number < bound}

    def durations(self, rollup: Rollup | StoredRollup) -> Numbers:
        """An hour's share; rounded up in some hours and down in others, or quiet hours would count too much."""
        if self.one_in == 1 or isinstance(rollup, StoredRollup):  # the store returns the share
            return rollup.durations
        return rollup.durations[: (rollup.sessions + self.dither(rollup.at)) // self.one_in]

    def dither(self, at: int) -> int:
        return at // HOUR_MS * _DITHER // 256 % self.one_in


# --- figures of many -----------------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Sums:
    """Hours added up, of a bucket or of a whole span."""

    sessions: int
    visits: int
    bounces: int
    error_sessions: int
    client_error_sessions: int
    page_views: int
    duration_ms: int
    cookieless: int
    durations: list[int]
    visitors: set[int]
    firsts: set[int]
    users: set[int]

    @classmethod
    def of(cls, rollups: Sequence[Rollup | StoredRollup], sample: Sample) -> Sums:
        return cls(
            **{name: sum([getattr(each, name) for each in rollups]) for name in ADDED},
            durations=sorted(_joined("I", [sample.durations(each) for each in rollups])),
            visitors=sample.hashes([each.visitors for each in rollups]),
            firsts=sample.hashes([each.firsts for each in rollups]),
            users=sample.hashes([each.users for each in rollups]),
        )

    @classmethod
    def total(cls, parts: Sequence[Sums]) -> Sums:
        return cls(
            **{name: sum([getattr(each, name) for each in parts]) for name in ADDED},
            durations=sorted(chain.from_iterable([each.durations for each in parts])),
            visitors=set().union(*[each.visitors for each in parts]),
            firsts=set().union(*[each.firsts for each in parts]),
            users=set().union(*[each.users for each in parts]),
        )

    def figures(self, sample: Sample) -> Figures:
        sessions = self.sessions
        return Figures(
            sessions=sessions,
            visitors=min(sessions, len(self.visitors) * sample.one_in),
            new_visitors=min(sessions, len(self.firsts) * sample.one_in),
            users=min(sessions, len(self.users) * sample.one_in),
            visits=self.visits,
            bounces=self.bounces,
            error_sessions=self.error_sessions,
            client_error_sessions=self.client_error_sessions,
            page_views=self.page_views,
            median_ms=median(self.durations),
            mean_ms=self.duration_ms // sessions if sessions else None,
            cookieless=self.cookieless,
        )


def buckets_of(rollups: Sequence[Rollup | StoredRollup], edges: Sequence[int], sample: Sample) -> list[Sums]:
    """Add up the hours between these edges, empty buckets included. `rollups` are in the order of time; none spans an edge."""
    buckets: list[Sums] = []
    place = 0
    for until in edges[1:]:
        end = bisect_left(rollups, until, lo=place, key=_AT)
        buckets.append(Sums.of(rollups[place:end], sample))
        place = end
    return buckets


def series_of(buckets: Iterable[Sums], edges: Sequence[int], sample: Sample) -> tuple[Point, ...]:
    """Return the buckets between these edges as points."""
    return tuple(
        point_of(start, until, bucket.figures(sample))
        for (start, until), bucket in zip(pairwise(edges), buckets, strict=False)
    )


def point_of(start: int, until: int, figures: Figures) -> Point:
    """Return a bucket with these figures."""
    return Point(
        start,
        until,
        figures.sessions,
        figures.visitors,
        figures.users,
        figures.visits,
        figures.bounces,
        figures.error_sessions,
        figures.median_ms,
    )


def median(ordered: Sequence[int]) -> int | None:
    """Return the median of ordered numbers; `None` without any."""
    if not ordered:
        return None
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2


# --- as a store keeps it -------------------------------------------------------------------------------------------------


def packed(numbers: array[int]) -> bytes:
    """Return numbers as bytes, little-endian on any machine."""
    return little(numbers).tobytes()


def unpacked(kind: str, digits: str) -> array[int]:
    """Return numbers from hexadecimal digits. A database cuts parts between numbers, never inside one."""
    numbers = array(kind)
    numbers.frombytes(bytes.fromhex(digits))
    return little(numbers)


def _joined(kind: str, parts: Iterable[Numbers]) -> array[int]:
    """Return all numbers of several arrays, or of what a store keeps of them."""
    digits: list[str] = []
    numbers = array(kind)
    for part in parts:
        if isinstance(part, str):
            digits.append(part)
        else:
            numbers.extend(part)
    return numbers + unpacked(kind, "".join(digits)) if digits else numbers


def little(numbers: array[int]) -> array[int]:
    """Return numbers with their bytes in little-endian order, or the other way round."""
    if sys.byteorder == "big":  # pragma: no cover - no machine of ours
        numbers = numbers[:]
        numbers.byteswap()
    return numbers
