"""What the report reads from a store: figures of a range, lists of sessions, one session, one person.

Times are milliseconds since the epoch. User ids, paths, referrers and properties come from visitors: they are hostile
text.

Figures of long ranges come from rollups, one per finished hour and day. The store deletes a rollup when one of its sessions
changes, and `roll_up` makes it again. A rollup depends only on the sessions that started in its hour, so hours without one
are counted from their sessions: up to some thousands of sessions, the rest is reported as pending. So are the hours in which a
span, or a day of the reader's zone, begins or ends. Up to 100,000 sessions in
the range and the one before it, all figures are exact. Beyond, visitors and users are counted in a sample by their ids
(within 3 %, 95 times of 100), and the median in a sample of durations. Of entry paths, routes and referrers an hour keeps
its 300 most frequent.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple, Self

import msgspec

from sojourn.core.events import Event, Position, Scalar
from sojourn.core.session import EndReason
from sojourn.stores.model import USER, VISITOR, DataSubject
from sojourn.stores.rows import SessionRow

from .breakdowns import Counts
from .filters import NONE, Condition, Operator, first_conflict, parse_condition

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


class Span(msgspec.Struct, frozen=True):
    """The time from `since` until before `until`. A session belongs to the span in which it started."""

    since: int
    until: int

    def __post_init__(self) -> None:
        if not 0 <= self.since < self.until:
            msg = f"a span ends after it begins, and neither before 1970; got since={self.since} until={self.until}"
            raise ValueError(msg)

    @property
    def before(self) -> Span | None:
        """The equally long span before; `None` if it would begin before 1970."""
        since = self.since - (self.until - self.since)
        return Span(since, self.since) if since >= 0 else None


class Bucket(IntEnum):
    """The width of a point of a series, in ms; a day in which clocks change is an hour shorter or longer."""

    HOUR = HOUR_MS
    DAY = DAY_MS
    WEEK = 7 * DAY_MS


# --- the overview


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of the sessions that started in a span. `users` are identified users, `visitors` are browsers."""

    sessions: int = 0
    visitors: int = 0
    new_visitors: int = 0
    """Visitors whose first session in this store is in the span."""
    users: int = 0
    visits: int = 0
    """Sessions that have ended and viewed a page: those that could be a bounce."""
    bounces: int = 0
    """Visits of one page view and no tracked event."""
    error_sessions: int = 0
    """Sessions with an error, as `core.failures` defines it."""
    client_error_sessions: int = 0
    """Sessions with a page view of status 400 to 499."""
    page_views: int = 0
    median_ms: int | None = None
    """The median duration; `None` without sessions."""
    mean_ms: int | None = None
    cookieless: int = 0
    """Sessions of visitors without a cookie. Those visitors are counted by day: each is new on each day."""

    @property
    def returning_visitors(self) -> int:
        return self.visitors - self.new_visitors

    @property
    def bounce_rate(self) -> float | None:
        """The share of bounces among visits; `None` without a visit, such as where page views are not recorded."""
        return self.bounces / self.visits if self.visits else None


class Point(msgspec.Struct, frozen=True):
    """A bucket of a series, from `at` until before `until`. The first and the last count only sessions within the span."""

    at: int
    until: int
    sessions: int
    visitors: int
    users: int
    visits: int = 0
    bounces: int = 0
    error_sessions: int = 0
    median_ms: int | None = None

    @property
    def bounce_rate(self) -> float | None:
        return self.bounces / self.visits if self.visits else None


class Release(msgspec.Struct, frozen=True, array_like=True):
    """A version of the app (`service.version`), and the hour in which its first session started."""

    version: str
    at: int


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """A span, and the equally long one before it (`None` if there is none)."""

    online: int
    span: Span
    figures: Figures
    before: Figures | None
    series: tuple[Point, ...]
    """All buckets of the span in order, empty ones included."""
    series_before: tuple[Point, ...]
    """The same of the span before it, each bucket as long before as the spans are long; empty without one."""
    is_sampled: bool = False
    """Visitors, users and the median come from a sample: show them as "about". With a filter, so do all figures."""
    pending: int = 0
    """How many sessions of the span and the one before it are left out, because they are not rolled up yet."""


# --- what sessions are counted by


class Breakdowns(msgspec.Struct, frozen=True, kw_only=True):
    """Tables of the sessions of a span by the names in `breakdowns.BREAKDOWNS`."""

    tables: Mapping[str, Mapping[str, Counts]]
    is_sampled: bool = False
    """Counted in a sample of sessions: show the numbers as "about"."""
    pending: int = 0
    """How many sessions of the span are left out, because they are not rolled up yet."""


# --- lists


class Sort(StrEnum):
    """The order of a list of sessions."""

    STARTED = "started"
    SEEN = "seen"
    DURATION = "duration"
    PAGES = "pages"
    EVENTS = "events"
    ERRORS = "errors"


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which sessions: all conditions must hold. Values are compared as they are: hostile ones match nothing."""

    span: Span | None = None
    """Started in it."""
    conditions: tuple[Condition, ...] = ()
    text: str | None = None
    """Part of a user id, user name, visitor id, session id, entry path or referrer; ASCII letters of either case."""

    @classmethod
    def of(cls, *conditions: str, span: Span | None = None, text: str | None = None) -> Self:
        """A filter of conditions such as `browser=Firefox`. Raises `InvalidFilterError`."""
        parsed = tuple(map(parse_condition, conditions))
        if (conflict := first_conflict(parsed)) is not None:
            raise conflict
        return cls(span=span, conditions=parsed, text=text)

    @classmethod
    def of_person(cls, subject: DataSubject, *, span: Span | None = None) -> Self:
        """The sessions of a user or a visitor."""
        return cls(span=span, conditions=(Condition(subject.kind, Operator.IS, subject.id),))

    @property
    def is_everything(self) -> bool:
        """Whether it chooses by nothing but the time."""
        return not self.conditions and not self.text

    @property
    def is_open(self) -> bool | None:
        """Whether only open or only closed sessions match."""
        state = self.condition("state")
        return None if state is None else (state.value == "open") is (state.operator is Operator.IS)

    @property
    def person(self) -> DataSubject | None:
        """Whose sessions alone can match; they are few."""
        for kind in (VISITOR, USER):
            condition = self.condition(kind)
            if condition is not None and condition.operator is Operator.IS and not condition.value.endswith("*"):
                return None if condition.value == NONE else DataSubject(kind, condition.value)
        return None

    def condition(self, name: str) -> Condition | None:
        """The first condition on a field."""
        return next((each for each in self.conditions if each.field == name), None)


EVERYTHING: Final = Filter()


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """A place between two rows of a sorted list. It stays valid when rows are added or deleted."""

    value: int
    started_at: int
    key: str
    is_back: bool = False
    """List the rows before it instead of those after it."""
    is_inclusive: bool = False
    """Include a row at this very place."""

    def text(self) -> str:
        """For a URL."""
        way = "b" if self.is_back else "f"
        return f"{way.upper() if self.is_inclusive else way}.{self.value}.{self.started_at}.{self.key}"

    @classmethod
    def from_text(cls, text: str) -> Cursor | None:
        """`None` for what `text()` never made."""
        way, value, started_at, key = [*text.split(".", 3), "", "", "", ""][:4]
        try:
            numbers = int(value), int(started_at)
        except ValueError:
            return None
        if way not in {"b", "f", "B", "F"} or not key or any(abs(number) >= 2**63 for number in numbers):
            return None
        return cls(*numbers, key, way.lower() == "b", way.isupper())


class SessionLine(msgspec.Struct, frozen=True, kw_only=True):
    """A session as a table shows it."""

    key: str
    session_id: str
    visitor_id: str
    user_id: str | None
    user_name: str | None
    is_manual: bool
    started_at: int
    last_seen_at: int
    end_reason: EndReason | None
    """`None`: it is open."""
    requests: int
    page_views: int
    events: int
    tracked_events: int
    errors: int
    client_errors: int
    dimensions: Mapping[str, str | None]
    """By name, in the order of the table in `stores.dimensions`."""

    @property
    def entry_path(self) -> str | None:
        return self.dimensions["entry_path"]

    @property
    def exit_path(self) -> str | None:
        return self.dimensions["exit_path"]

    @property
    def referrer(self) -> str | None:
        return self.dimensions["referrer"]

    @property
    def browser(self) -> str | None:
        return self.dimensions["browser"]

    @property
    def system(self) -> str | None:
        return self.dimensions["system"]

    @property
    def device(self) -> str | None:
        return self.dimensions["device"]

    @property
    def is_open(self) -> bool:
        return self.end_reason is None

    @property
    def duration_ms(self) -> int:
        return max(0, self.last_seen_at - self.started_at)


class SessionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some sessions in their order, and where to go on from here."""

    lines: tuple[SessionLine, ...]
    following: Cursor | None = None
    """`None`: there are none behind these."""
    preceding: Cursor | None = None
    """`None`: there are none before these."""
    is_cut: bool = False
    """Some thousands of sessions were looked through and the page is not full: `following` (going back, `preceding`)
    continues the search. The page may even be empty."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the sessions that are shown. `newer` is counted up to 100."""

    lines: tuple[SessionLine, ...]
    newer: int


# --- one session


class SessionDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A session, and those of the same visitor around it."""

    row: SessionRow
    line: SessionLine
    previous_key: str | None
    """The visitor's session before this one, linked or not."""
    next_key: str | None
    same_id: int
    """Sessions with this public id, this one too: a manual id may be used again."""


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """Events of a session in the order of the log. `following`: the position to continue after; `None`: that is all."""

    events: tuple[Event, ...]
    following: Position | None
    total: int


# --- one person


class Companion(msgspec.Struct, frozen=True, array_like=True):
    """A browser of a user, or a user of a browser, in the sessions that they share. The order is the query's columns."""

    id: str
    sessions: int
    page_views: int
    first_seen_at: int
    last_seen_at: int
    browser: str | None
    """As of the latest of these sessions; so system and device."""
    system: str | None
    device: str | None


class PersonDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A user or a visitor over all sessions. Those come page by page from `session_page` with `Filter.of_person()`."""

    person: DataSubject
    name: str | None
    """As of the latest session that had one; so the traits."""
    traits: dict[str, Scalar] | None
    first_seen_at: int
    last_seen_at: int
    sessions: int
    open_sessions: int
    page_views: int
    events: int
    errors: int
    client_errors: int
    duration_ms: int
    """Of all sessions together."""
    others: tuple[Companion, ...]
    """The browsers of a user, the users of a visitor: the latest, at most 20."""
    other_count: int
    """How many there are."""


class HourFigures(NamedTuple):
    """The sessions that started in an hour, those of them with errors, and whether the store is older than it."""

    sessions: int
    error_sessions: int
    is_recorded: bool


class LongVisits(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions above an hour with one page view, among the latest: something may keep them alive that is no person."""

    latest: int
    """How many sessions were looked at."""
    count: int
    heartbeats: int
    """Of the latest few of them."""
    path: str | None
    """What caused most of these heartbeats, as far as it is a path."""
    by_path: int
    """How many it caused."""
