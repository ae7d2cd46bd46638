"""The row of a session: the aggregate that records are merged into. No SQL, no rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from sojourn.core.events import Scalar
from sojourn.core.session import EndReason


class PropertyValue(msgspec.Struct, frozen=True, array_like=True):
    """The current value of a session property, and the record that set it."""

    value: Scalar
    at: int
    rid: str


class SessionRow(msgspec.Struct, kw_only=True, array_like=True):
    """One session. Every field, except for those about emitted events, is a merge: the least, the greatest, or a count.

    Times are milliseconds since the epoch. `rid` fields are ids of records; they break ties between equal times.
    The order of the fields is the order of the columns.
    """

    key: str
    session_id: str
    visitor_id: str
    is_manual: bool
    started_at: int
    last_seen_at: int
    """The last activity, and the time of the session's end. Derived from `activity` and the seal."""
    activity: list[int]
    """The latest times of activity, latest first. A seal that arrives later may rule out some of them."""

    previous_key: str | None = None
    previous_id: str | None = None
    previous_reason: EndReason | None = None
    previous_seen_at: int = 0

    sealed_at: int | None = None
    """When the successor started, or when a call ended the session. Activity never moves it."""
    sealed_reason: EndReason | None = None
    sealed_seen_at: int = 0

    end_reason: EndReason | None = None
    """Set when `session.end` is emitted; `None` means open."""
    end_revision: int = 0
    end_event_id: str | None = None

    revision: int = 0
    logouts: int = 0
    """Of the browser's cookie, the highest that was recorded."""

    anchor: int
    """`started_at` when the row was created. Heartbeat slots count from here, even if an earlier start arrives later."""
    slot: int = 0

    user_id: str | None = None
    user_name: str | None = None
    user_traits: dict[str, Scalar] | None = None
    user_at: int = 0
    user_rid: str = ""
    is_user_explicit: bool = False
    is_user_inherited: bool = False
    is_tagged: bool = False
    tagged_at: int = 0
    tagged_rid: str = ""

    requests: int = 0
    page_views: int = 0
    errors: int = 0
    """As `core.failures` defines them."""
    client_errors: int = 0
    """Page views with a status of 400 to 499."""
    events: int = 0
    tracked_events: int = 0
    """Events of `track()`: the app's own names."""
    late: int = 0
    user_conflicts: int = 0

    entry_path: str | None = None
    exit_path: str | None = None
    exit_at: int = 0
    exit_ms: int | None = None
    """How long the response to the latest page view took to start."""
    referrer: str | None = None
    source: str | None = None
    channel: str | None = None
    browser: str | None = None
    system: str | None = None
    device: str | None = None
    country: str | None = None
    version: str | None = None
    service: str | None = None
    imported: str | None = None
    visitor_kind: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_term: str | None = None
    utm_content: str | None = None
    origin: Mapping[str, Scalar] = {}
    """Attributes of the first request that have no column of their own. Replaced, never changed in place."""
    origin_at: int = 0
    origin_rid: str = ""
    no_forward: bool = False
    properties: dict[str, PropertyValue] | None = None
    """By full name. Replaced, never changed in place."""
    is_suppressed: bool = False
    """Its visitor opted out, or it is about to be erased. Set by the store, never by a fold."""
    has_late_events: bool = False
    """Events follow its first end in the log."""

    @property
    def is_open(self) -> bool:
        return self.end_reason is None


JSON_FIELDS: Final = frozenset({"activity", "origin", "properties", "user_traits"})
"""Fields that are stored as JSON."""
