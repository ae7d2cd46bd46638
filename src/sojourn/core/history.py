"""What a visitor did before, as an app reads it: sessions, and the app's own events in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .events import Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class PastEvent:
    """An event of `track()`. `at` is in milliseconds since the epoch (UTC)."""

    name: str
    at: int
    properties: Mapping[str, Scalar]
    """Under the names that the app gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastSession:
    """A session as it is recorded. Times are in milliseconds since the epoch (UTC)."""

    id: str
    started_at: int
    last_seen_at: int
    is_open: bool
    """Its end is not recorded yet: that takes as long as the idle timeout."""
    user_id: str | None
    entry_path: str | None
    exit_path: str | None
    source: str | None
    channel: str | None
    campaign: str | None
    page_views: int
    events: tuple[PastEvent, ...]
    """The app's own events, the latest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """A session of a browser, and how many users had left that browser by then: it may be another person's."""

    logouts: int
    session: PastSession
