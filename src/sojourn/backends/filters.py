"""Which events a backend is given: by name, heartbeats or not, an end that was revised or not. Knows no vendor."""

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
    """What a backend wants: `events` are names or patterns (`session.*`), and `!page_view` takes one out again.

    Only the first end of a session counts where `ends_once`: of one whose end was taken back, the later ends carry a
    `session.end_revision`.
    """

    def __init__(
        self, events: Patterns | None = None, *, has_heartbeats: bool = True, has_ends_once: bool = False
    ) -> None:
        self._patterns = () if events is None else checked(events)
        self._has_heartbeats = has_heartbeats
        self._has_ends_once = has_ends_once
        wanted = [pattern for pattern in self._patterns if not pattern.startswith("!")]
        unwanted = [pattern[1:] for pattern in self._patterns if pattern.startswith("!")]

        # Names come from the app, and nobody promises that they are few.
        @lru_cache(maxsize=1024)
        def is_named(name: str) -> bool:
            return (not wanted or _matches(name, wanted)) and not _matches(name, unwanted)

        self._is_named = is_named

    def accepts(self, event: Event) -> bool:
        name = event.name
        if name == SESSION_HEARTBEAT and not self._has_heartbeats:
            return False
        if name == SESSION_END and self._has_ends_once and event.attributes.get("session.end_revision"):
            return False
        return not self._patterns or self._is_named(name)


def checked(events: Patterns) -> tuple[str, ...]:
    """Return the patterns; one text may hold several, with commas between."""
    several: Iterable[object] = events.split(",") if isinstance(events, str) else events
    patterns: list[str] = []
    for item in several:
        pattern = item.strip() if isinstance(item, str) else ""
        if not pattern.removeprefix("!") or len(pattern) > _LONGEST or not pattern.isprintable():
            raise SettingsError(
                f"events of a backend: {item!r:.60} names no event; give names or patterns, such as "
                '["session.*", "purchase"], or ["!page_view"] for all but one'
            )
        patterns.append(pattern)
    if not patterns:
        raise SettingsError("events of a backend is empty, so it would get none; leave it out to send all")
    return tuple(patterns)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
