"""The session as the store keeps it: the aggregate that records are joined into. Knows no SQL and no rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from sojourn.core.events import Scalar
from sojourn.core.session import EndReason


class PropertyValue(msgspec.Struct, frozen=True, array_like=True):
    """A session property as it stands: its value, and which record set it when."""

    value: Scalar
    at: int
    rid: str


class SessionRow(msgspec.Struct, kw_only=True, array_like=True):
    """One session. Every field but the event bookkeeping is a join: least, greatest, or counted by record.

    Times are milliseconds since the epoch. `rid` fields are ids of records; they break ties between equal times.
    The order of the fields is the order of the columns.
    """

    key: str
    session_id: str
    visitor_id: str
    is_manual: bool
    started_at: int
    last_seen_at: int
    """The last activity: what the end will be dated at. Derived from `activity` and the seal."""
    activity: list[int]
    """The latest times of activity, latest first, a few: enough to forget those that a seal found later rules out."""

    previous_key: str | None = None
    previous_id: str | None = None
    previous_reason: EndReason | None = None
    previous_seen_at: int = 0

    sealed_at: int | None = None
    """When the successor started, or the moment of the call that ended it; never moved by activity."""
    sealed_reason: EndReason | None = None
    sealed_seen_at: int = 0

    end_reason: EndReason | None = None
    """Set when `session.end` was made; `None` means open."""
    end_revision: int = 0
    end_event_id: str | None = None

    anchor: int
    """`started_at` when the row was made: heartbeat slots count from here, even if an earlier start turns up."""
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
    events: int = 0
    late: int = 0
    user_conflicts: int = 0

    entry_path: str | None = None
    exit_path: str | None = None
    exit_at: int = 0
    referrer: str | None = None
    browser: str | None = None
    system: str | None = None
    device: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_term: str | None = None
    utm_content: str | None = None
    origin: Mapping[str, Scalar] = {}
    """The attributes of the first request that no column holds as they are. Replaced, never changed in place."""
    origin_at: int = 0
    origin_rid: str = ""
    no_forward: bool = False
    properties: dict[str, PropertyValue] | None = None
    """By full name; replaced, never changed in place."""
    is_suppressed: bool = False
    """Its visitor opted out, or it is about to be erased. The store sets this; a fold leaves it as it is."""

    @property
    def is_open(self) -> bool:
        return self.end_reason is None


JSON_FIELDS: Final = frozenset({"activity", "origin", "properties", "user_traits"})
"""Fields that are stored as JSON."""
