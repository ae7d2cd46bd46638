"""Which events a backend gets: by name, with or without heartbeats, with or without revised ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

from sojourn.core.events import SESSION_END, SESSION_HEARTBEAT, Event
from sojourn.errors import SettingsError

_LONGEST: Final = 100

Patterns = str | Sequence[str]


class EventFilter:
    """Accepts events whose name matches `events`: names or patterns such as `session.*`; `!page_view` excludes one.

    `has_ends_once` accepts only the first end of a session. A session that went on after its end ends again, with a
    `session.end_revision`. Raises `SettingsError` for a malformed pattern.
    """

    def __init__(
        self, events: Patterns | None = None, *, has_heartbeats: bool = True, has_ends_once: bool = False
    ) -> None:
        self._patterns = () if events is None else parse_patterns(events)
        self._has_heartbeats = has_heartbeats
        self._has_ends_once = has_ends_once
        included = [pattern for pattern in self._patterns if not pattern.startswith("!")]
        excluded = [pattern[1:] for pattern in self._patterns if pattern.startswith("!")]

        # Bounded, because names come from the app and may be many.
        @lru_cache(maxsize=1024)
        def is_named(name: str) -> bool:
            return (not included or _matches(name, included)) and not _matches(name, excluded)

        self._is_named = is_named

    def accepts(self, event: Event) -> bool:
        """Return whether the backend gets the event."""
        name = event.name
        if name == SESSION_HEARTBEAT and not self._has_heartbeats:
            return False
        if name == SESSION_END and self._has_ends_once and event.attributes.get("session.end_revision"):
            return False
        return not self._patterns or self._is_named(name)


def parse_patterns(events: Patterns) -> tuple[str, ...]:
    """Return the patterns; a text may hold several, separated by commas."""
    items: Iterable[object] = events.split(",") if isinstance(events, str) else events
    patterns: list[str] = []
    for item in items:
        pattern = item.strip() if isinstance(item, str) else ""
        if not pattern.removeprefix("!") or len(pattern) > _LONGEST or not pattern.isprintable():
            raise SettingsError(
                f"events: {item!r:.60} is not a name or pattern; write, for example, "
                '["session.*", "purchase"], or ["!page_view"] for all but one'
            )
        patterns.append(pattern)
    if not patterns:
        raise SettingsError("events is empty, so the backend would get none; leave it out to send all")
    return tuple(patterns)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
