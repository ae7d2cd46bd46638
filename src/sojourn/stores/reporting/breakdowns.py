"""Breakdowns: what the sessions of a span are counted by, such as pages, sources, events, errors and releases. Pure.

A breakdown is one entry of `BREAKDOWNS`: what one session adds to which values. The same function counts a finished hour for
its rollup, an hour that has none, and the sessions of a filter. Counts of two sets of sessions are added up by `add`; so a
session must belong to one of them.

Values are texts of visitors: hostile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import add as plus
from typing import Any, Final

import msgspec

from sojourn.core.events import EXCEPTION, EXCEPTION_GROUP, EXCEPTION_TYPE, PAGE_VIEW
from sojourn.core.failures import SERVER_ERROR
from sojourn.stores.dimensions import NAMES

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


class SessionFacts(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What breakdowns read of a session, in the order of the query's columns."""

    key: str
    user_id: str | None
    user_name: str | None
    last_seen_at: int
    duration_ms: int
    is_open: bool
    page_views: int
    tracked_events: int
    errors: int
    exit_ms: int | None
    dimensions: list[str | None]

    @property
    def is_visit(self) -> bool:
        return self.page_views > 0 and not self.is_open

    def __getitem__(self, dimension: str) -> str | None:
        return self.dimensions[_PLACES[dimension]]


class EventFacts(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What they read of an event. An app's `scrub` may have put anything into an attribute."""

    session_key: str
    name: str
    time: int
    path: Any = None
    route: Any = None
    status: Any = None
    took_ms: Any = None
    group: Any = None
    kind: Any = None

    @property
    def is_failed(self) -> bool:
        return isinstance(self.status, int) and self.status >= SERVER_ERROR


_PLACES: Final = {name: place for place, name in enumerate(NAMES)}


@dataclass(frozen=True)
class Visit:
    """A session, with its events in order of time where a breakdown reads them."""

    session: SessionFacts
    events: Sequence[EventFacts] = ()

    @cached_property
    def measured(self) -> list[int]:
        """In the order of `SESSION_MEASURES`. Counted by a dozen breakdowns; none may change it."""
        return _measured(self.session)

    @cached_property
    def views(self) -> list[EventFacts]:
        return [event for event in self.events if event.name == PAGE_VIEW]

    @cached_property
    def exit(self) -> EventFacts | None:
        """The page view that was the last, of a session that has ended."""
        return None if self.session.is_open or not self.views else self.views[-1]


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
    """`measures`: the names of the sums; values are ordered by the first. `count` adds one session to a table."""

    name: str
    measures: tuple[str, ...]
    count: Callable[[Visit, Table], None]
    reads_events: bool = False

    def measure(self, counts: Counts, name: str) -> int:
        return counts.sums[self.measures.index(name)]


def breakdown_of(visits: Iterable[Visit], breakdown: Breakdown) -> Table:
    table: Table = {}
    for visit in visits:
        breakdown.count(visit, table)
    return table


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


def _measured(session: SessionFacts) -> list[int]:
    is_visit = session.is_visit
    is_timed = is_visit and session.exit_ms is not None
    return [
        1,
        int(is_visit),
        int(is_visit and session.page_views == 1 and not session.tracked_events),
        int(session.errors > 0),
        session.duration_ms,
        session.page_views,
        int(is_timed and (session.exit_ms or 0) > SLOW_MS),
        int(is_timed),
    ]


def _into(table: Table, value: str, sums: list[int], at: int = 0, tally: Iterable[str] = ()) -> None:
    known = table.get(value)
    if known is None:
        table[value] = Counts([*sums], at, at, dict.fromkeys(tally, 1))
        return
    known.sums = [*map(plus, known.sums, sums)]
    if at:
        known.first_at, known.last_at = min(known.first_at, at), max(known.last_at, at)
    for name in tally:
        known.tally[name] = known.tally.get(name, 0) + 1


TOTAL: Final = "total"
"""The breakdown of one value, the empty text: all sessions."""


def _total(visit: Visit, table: Table) -> None:
    _into(table, "", visit.measured)


def _by_dimension(name: str, dimension: str, *, first_and_last: bool = False) -> Breakdown:
    place = _PLACES[dimension]

    def count(visit: Visit, table: Table) -> None:
        session = visit.session
        value = session.dimensions[place]
        if value is not None:
            _into(table, value, visit.measured, session.last_seen_at if first_and_last else 0)

    return Breakdown(name=name, measures=SESSION_MEASURES, count=count)


def _users(visit: Visit, table: Table) -> None:
    session = visit.session
    if session.user_id is not None:
        _into(table, session.user_id, visit.measured, session.last_seen_at)
        if session.user_name is not None:
            table[session.user_id].label = session.user_name


def _views(event: EventFacts, *, is_first: bool, is_exit: bool) -> list[int]:
    return [1, int(is_first), int(event.is_failed), int(is_exit)]


def _by_view(name: str, attribute: str, *, has_times: bool = False) -> Breakdown:
    def count(visit: Visit, table: Table) -> None:
        seen: set[str] = set()
        for event in visit.views:
            value = getattr(event, attribute)
            if not isinstance(value, str):
                continue
            took = event.took_ms
            is_timed = has_times and isinstance(took, int | float) and 0 <= took < _LONGEST_MS
            timed = (histogram_key(took),) if is_timed else ()
            _into(table, value, _views(event, is_first=value not in seen, is_exit=event is visit.exit), tally=timed)
            seen.add(value)

    return Breakdown(name=name, measures=("views", "sessions", "failed", "exits"), count=count, reads_events=True)


def _events(visit: Visit, table: Table) -> None:
    seen: set[str] = set()
    for event in visit.events:
        if event.name not in {PAGE_VIEW, EXCEPTION}:
            _into(table, event.name, [1, int(event.name not in seen)], event.time)
            seen.add(event.name)


def error_groups(visit: Visit) -> Iterator[tuple[str, EventFacts]]:
    """Name the errors of a session: exceptions by their group, failed page views that none of them explains by their route."""
    explained = {event.time for event in visit.events if event.name == EXCEPTION}
    for event in visit.events:
        if event.name == EXCEPTION:
            group = event.group if isinstance(event.group, str) else event.kind
            yield (group if isinstance(group, str) else EXCEPTION), event
        elif event.name == PAGE_VIEW and event.is_failed and event.time not in explained:
            where = event.route if isinstance(event.route, str) else event.path
            yield f"Status {event.status}{f' at {where}' if isinstance(where, str) else ''}", event


def _errors(visit: Visit, table: Table) -> None:
    seen: set[str] = set()
    session = visit.session
    version = session["version"]
    for group, event in error_groups(visit):
        names = [] if version is None else [f"{_VERSION}{version}"]
        if group not in seen and session.user_id is not None:
            names.append(f"{_USER}{session.user_id}")
        _into(table, group, [1, int(group not in seen)], event.time, names)
        seen.add(group)


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

ATTRIBUTES: Final = (
    "url.path",
    "http.route",
    "http.response.status_code",
    "page_view.duration_ms",
    EXCEPTION_GROUP,
    EXCEPTION_TYPE,
)
"""Of an event, in the order of the fields of `EventFacts` from `path` on."""
