"""Breakdowns: what the sessions of a span are counted by, such as pages, sources, events, errors and releases. Pure.

A breakdown is one entry of `BREAKDOWNS`: what sessions add to which values. The same function counts a finished hour for
its rollup, an hour that has none, and the sessions of a filter. Counts of two sets of sessions are added up by `add`; so a
session must belong to one of them.

The sums of one value are added up as one number, 64 bits for each: two dozen breakdowns of an hour are counted in the
background of somebody's app, and lists of eight numbers took four times as long.

Values are texts of visitors: hostile.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import add as plus
from operator import attrgetter
from typing import Final

import msgspec

from sojourn.core.events import EXCEPTION, PAGE_VIEW, RESERVED_NAMES

from .visits import PLACES, EventFacts, SessionFacts, Visit

SLOW_MS: Final = 1000
"""A page whose response took longer than this to start is slow."""
KEPT_VALUES: Final = 300
"""How many values an hour and a day keep of each breakdown, the most frequent ones."""
KEPT_OF_BLOCK: Final = 1000
"""The same of a block of days: it has more values, and stands for more."""
_LONGEST_MS: Final = 2**53
_RATIO: Final = math.log(1.1)
_USER: Final = "u"
_VERSION: Final = "v"


class Counts(msgspec.Struct, array_like=True, gc=False):
    """What is known of one value. `sums` are in the order of the breakdown's measures; `tally` counts by further names."""

    sums: list[int]
    first_at: int = 0
    last_at: int = 0
    tally: dict[str, int] = {}
    label: str = ""
    """What people call it."""


Table = dict[str, Counts]
"""Counts by value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """`measures`: the names of the sums; values are ordered by the first."""

    name: str
    measures: tuple[str, ...]
    count: Callable[[Counted], Table]
    reads_events: bool = False

    def measure(self, counts: Counts, name: str) -> int:
        return counts.sums[self.measures.index(name)]


class Counted:
    """Visits, with what several breakdowns need of them."""

    def __init__(self, visits: Iterable[Visit]) -> None:
        self.visits: Final = list(visits)

    @cached_property
    def measured(self) -> list[tuple[SessionFacts, int]]:
        """Each session with its sums of `SESSION_MEASURES`, as one number."""
        return [(visit.session, _measured(visit.session)) for visit in self.visits]

    @cached_property
    def views(self) -> list[tuple[list[EventFacts], EventFacts | None]]:
        """The page views of each session that has any, and which is its exit: the last, of a session that has ended."""
        found = []
        for visit in self.visits:
            views = [event for event in visit.events if event.name == PAGE_VIEW]
            if views:
                found.append((views, None if visit.session.is_open else views[-1]))
        return found


def tables_of(visits: Iterable[Visit], names: Collection[str]) -> dict[str, Table]:
    """Count visits by these breakdowns."""
    counted = Counted(visits)
    return {name: BREAKDOWNS[name].count(counted) for name in names}


def add(table: Table, other: Table) -> None:
    """Move the counts of other sessions into a table."""
    for value, counts in other.items():
        known = table.get(value)
        if known is None:
            table[value] = counts
            continue
        known.label = known.label or counts.label
        known.sums = [*map(plus, known.sums, counts.sums)]
        if counts.first_at:
            known.first_at = min(known.first_at or counts.first_at, counts.first_at)
            known.last_at = max(known.last_at, counts.last_at)
        for name, number in counts.tally.items():
            known.tally[name] = known.tally.get(name, 0) + number


def ordered(table: Mapping[str, Counts]) -> list[tuple[str, Counts]]:
    """Return values, the most frequent first, equally frequent ones by name."""
    return sorted(table.items(), key=lambda item: (-item[1].sums[0], item[0]))


def most(table: Table, kept: int) -> Table:
    """Return the most frequent values."""
    return table if len(table) <= kept else dict(ordered(table)[:kept])


def scaled(table: Mapping[str, Counts], factor: float) -> Table:
    """Return the counts of a sample as those of all sessions. Numbers of users stay what they are at least."""
    return {
        value: Counts(
            [round(number * factor) for number in counts.sums],
            counts.first_at,
            counts.last_at,
            {name: max(1, round(number * factor)) for name, number in counts.tally.items()},
            counts.label,
        )
        for value, counts in table.items()
    }


# --- what is kept beside sums


def histogram_key(milliseconds: float) -> str:
    """Return the bucket of a time. Buckets are a tenth wide, so a percentile is right within a twentieth."""
    return str(math.floor(math.log(milliseconds) / _RATIO)) if milliseconds >= 1 else "0"


def percentile(counts: Counts, share: float) -> int | None:
    """Return the time (ms) that so large a share of all did not exceed; `None` without any."""
    buckets = sorted((int(name), number) for name, number in counts.tally.items() if name.lstrip("-").isdecimal())
    left = share * sum(number for _, number in buckets)
    for bucket, number in buckets:
        left -= number
        if left <= 0:
            return max(1, round(math.exp((bucket + 0.5) * _RATIO)))
    return None


def users(counts: Counts) -> int:
    """Return how many identified users met it."""
    return sum(name.startswith(_USER) for name in counts.tally)


def versions(counts: Counts) -> list[tuple[str, int]]:
    """Return how often it happened in which version, the latest name first."""
    found = [(name[1:], number) for name, number in counts.tally.items() if name.startswith(_VERSION)]
    return sorted(found, key=lambda item: version_key(item[0]), reverse=True)


def version_key(version: str) -> tuple[tuple[int, int | str], ...]:
    """Order versions as people do: 2.10 after 2.9."""
    return tuple(
        (1, int(part)) if part.isdecimal() and part.isascii() and len(part) < 19 else (0, part)
        for part in version.replace("-", ".").split(".")
    )


# --- sums as one number

_BITS: Final = 64


def _units(measures: Sequence[str]) -> list[int]:
    """Return what to add to count one of each measure."""
    return [1 << _BITS * place for place in range(len(measures))]


def _sums(number: int, measures: Sequence[str]) -> list[int]:
    count = len(measures)
    return [*struct.unpack(f"<{count}Q", number.to_bytes(8 * count, "little"))]


def _table(numbers: Mapping[str, int], measures: Sequence[str]) -> Table:
    return {value: Counts(_sums(number, measures)) for value, number in numbers.items()}


# --- the table of breakdowns


SESSION_MEASURES: Final = (
    "sessions",
    "visits",
    "bounces",
    "error_sessions",
    "duration_ms",
    "page_views",
    "slow_exits",
    "timed_exits",
)
"""Of sessions with one value. `visits` have ended and viewed a page; of their exits, `timed_exits` have a time."""
_SESSION, _VISIT, _BOUNCE, _WITH_ERROR, _MS, _PAGE_VIEW, _SLOW_EXIT, _TIMED_EXIT = _units(SESSION_MEASURES)


def _measured(session: SessionFacts) -> int:
    number = _SESSION + session.duration_ms * _MS + session.page_views * _PAGE_VIEW
    if session.errors > 0:
        number += _WITH_ERROR
    if session.is_visit:
        number += _VISIT
        if session.page_views == 1 and not session.tracked_events:
            number += _BOUNCE
        if session.exit_ms is not None:
            number += _TIMED_EXIT
            if session.exit_ms > SLOW_MS:
                number += _SLOW_EXIT
    return number


def _into(table: Table, value: str, sums: list[int], at: int, tally: Iterable[str] = ()) -> None:
    known = table.get(value)
    if known is None:
        table[value] = Counts([*sums], at, at, dict.fromkeys(tally, 1))
        return
    known.sums = [*map(plus, known.sums, sums)]
    known.first_at, known.last_at = min(known.first_at, at), max(known.last_at, at)
    for name in tally:
        known.tally[name] = known.tally.get(name, 0) + 1


TOTAL: Final = "total"
"""The breakdown of one value, the empty text: all sessions."""


def _total(counted: Counted) -> Table:
    numbers = [number for _, number in counted.measured]
    return {"": Counts(_sums(sum(numbers), SESSION_MEASURES))} if numbers else {}


def _by_dimension(name: str, dimension: str, *, first_and_last: bool = False) -> Breakdown:
    place = PLACES[dimension]

    def count(counted: Counted) -> Table:
        numbers: dict[str, int] = {}
        for session, number in counted.measured:
            value = session.dimensions[place]
            if value is not None:
                numbers[value] = numbers.get(value, 0) + number
        table = _table(numbers, SESSION_MEASURES)
        if first_and_last:
            for session, _ in counted.measured:
                _note_time(table, session.dimensions[place], session.last_seen_at)
        return table

    return Breakdown(name=name, measures=SESSION_MEASURES, count=count)


def _users(counted: Counted) -> Table:
    numbers: dict[str, int] = {}
    for session, number in counted.measured:
        if session.user_id is not None:
            numbers[session.user_id] = numbers.get(session.user_id, 0) + number
    table = _table(numbers, SESSION_MEASURES)
    for session, _ in counted.measured:
        _note_time(table, session.user_id, session.last_seen_at)
        if session.user_id is not None and session.user_name is not None:
            table[session.user_id].label = session.user_name
    return table


def _note_time(table: Table, value: str | None, at: int) -> None:
    if value is not None:
        counts = table[value]
        counts.first_at, counts.last_at = min(counts.first_at or at, at), max(counts.last_at, at)


_VIEW_MEASURES: Final = ("views", "sessions", "failed", "exits")
_VIEW, _FIRST_VIEW, _FAILED_VIEW, _EXIT = _units(_VIEW_MEASURES)


def _by_view(name: str, attribute: str, *, has_times: bool = False) -> Breakdown:
    value_of = attrgetter(attribute)

    def count(counted: Counted) -> Table:
        numbers: dict[str, int] = {}
        tallies: dict[str, dict[str, int]] = {}
        for views, exit_view in counted.views:
            seen: set[str] = set()
            for event in views:
                value = value_of(event)
                if not isinstance(value, str):
                    continue
                number = _VIEW
                if value not in seen:
                    seen.add(value)
                    number += _FIRST_VIEW
                if event.is_failed:
                    number += _FAILED_VIEW
                if event is exit_view:
                    number += _EXIT
                numbers[value] = numbers.get(value, 0) + number
                took = event.took_ms
                if has_times and isinstance(took, int | float) and 0 <= took < _LONGEST_MS:
                    tally = tallies.setdefault(value, {})
                    bucket = histogram_key(took)
                    tally[bucket] = tally.get(bucket, 0) + 1
        table = _table(numbers, _VIEW_MEASURES)
        for value, tally in tallies.items():
            table[value].tally = tally
        return table

    return Breakdown(name=name, measures=_VIEW_MEASURES, count=count, reads_events=True)


def _events(counted: Counted) -> Table:
    table: Table = {}
    for visit in counted.visits:
        seen: set[str] = set()
        for event in visit.events:
            if event.name not in RESERVED_NAMES:
                _into(table, event.name, [1, int(event.name not in seen)], event.time)
                seen.add(event.name)
    return table


def error_groups(visit: Visit) -> Iterator[tuple[str, EventFacts]]:
    """Name the errors of a session: exceptions by their group, failed page views that none of them explains by their route."""
    explained = {event.time for event in visit.events if event.name == EXCEPTION}
    for event in visit.events:
        if event.name == EXCEPTION:
            yield (EXCEPTION if event.group is None else event.group), event
        elif event.name == PAGE_VIEW and event.is_failed and event.time not in explained:
            where = event.route if isinstance(event.route, str) else event.path
            yield f"Status {event.status}{f' at {where}' if isinstance(where, str) else ''}", event


def _errors(counted: Counted) -> Table:
    table: Table = {}
    for visit in counted.visits:
        session = visit.session
        version = session["version"]
        seen: set[str] = set()
        for group, event in error_groups(visit):
            names = [] if version is None else [f"{_VERSION}{version}"]
            if group not in seen and session.user_id is not None:
                names.append(f"{_USER}{session.user_id}")
            _into(table, group, [1, int(group not in seen)], event.time, names)
            seen.add(group)
    return table


_ALL: Final = (
    Breakdown(name=TOTAL, measures=SESSION_MEASURES, count=_total),
    _by_view("pages", "path"),
    _by_dimension("entries", "entry_path"),
    _by_dimension("exits", "exit_path"),
    _by_dimension("sources", "source"),
    _by_dimension("channels", "channel"),
    _by_dimension("referrers", "referrer"),
    _by_dimension("campaigns", "utm_campaign"),
    _by_dimension("campaign_sources", "utm_source"),
    _by_dimension("campaign_media", "utm_medium"),
    Breakdown(name="events", measures=("events", "sessions"), count=_events, reads_events=True),
    Breakdown(name="errors", measures=("errors", "sessions"), count=_errors, reads_events=True),
    _by_view("routes", "route", has_times=True),
    _by_dimension("browsers", "browser"),
    _by_dimension("systems", "system"),
    _by_dimension("devices", "device"),
    _by_dimension("countries", "country"),
    Breakdown(name="users", measures=SESSION_MEASURES, count=_users),
    _by_dimension("releases", "version", first_and_last=True),
    _by_dimension("services", "service", first_and_last=True),
)
BREAKDOWNS: Final = {breakdown.name: breakdown for breakdown in _ALL}
"""By name. A new one is counted from its next rollup on."""
