"""Visits: what panels, goals and rollups are counted from, a session and its events in their order. Pure.

An hour is read once for all of them. Values are texts of visitors: hostile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import msgspec

from sojourn.core.events import EXCEPTION_GROUP, EXCEPTION_TYPE
from sojourn.core.failures import SERVER_ERROR
from sojourn.stores.dimensions import NAMES

PLACES: Final = {name: place for place, name in enumerate(NAMES)}
"""Where a dimension is in `SessionFacts.dimensions`."""


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
        return self.dimensions[PLACES[dimension]]


class WholeFacts(SessionFacts, array_like=True, frozen=True, gc=False):
    """The same, and what else the rollup of an hour needs."""

    visitor_id: str
    started_at: int
    is_first: bool
    client_errors: int

    @property
    def is_cookieless(self) -> bool:
        """Whether the visitor is known for a day only."""
        return self["visitor_kind"] is not None


class EventFacts(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What they read of an event. An app's `scrub` may have put anything into an attribute."""

    session_key: str
    name: str
    time: int
    rank: int
    """Among the events of one moment: page views first."""
    seq: int
    path: Any = None
    route: Any = None
    status: Any = None
    took_ms: Any = None
    attributes: Mapping[str, Any] | None = None
    """Of what is no page view."""

    @property
    def is_failed(self) -> bool:
        return isinstance(self.status, int) and self.status >= SERVER_ERROR

    @property
    def group(self) -> str | None:
        """What an exception is counted by: the place in the code, or else the type."""
        attributes = self.attributes or {}
        group = attributes.get(EXCEPTION_GROUP)
        found = group if isinstance(group, str) else attributes.get(EXCEPTION_TYPE)
        return found if isinstance(found, str) else None


ATTRIBUTES: Final = ("url.path", "http.route", "http.response.status_code", "page_view.duration_ms")
"""Of an event, in the order of the fields of `EventFacts` from `path` on."""

Events = Mapping[str, Sequence[EventFacts]]
"""By the key of their session."""

_ORDER: Final = attrgetter("time", "rank", "seq")


@dataclass(frozen=True, slots=True)
class Visit:
    """A session, with its events in order where a breakdown reads them."""

    session: SessionFacts
    events: Sequence[EventFacts] = ()


def in_order(events: Iterable[EventFacts]) -> Events:
    """Bring the events of each session into order: by time, of one moment page views first, then as in the log."""
    by_session: dict[str, list[EventFacts]] = {}
    for event in events:
        by_session.setdefault(event.session_key, []).append(event)
    for each in by_session.values():
        each.sort(key=_ORDER)
    return by_session
