"""Judges whether a request extends its session, by the rules of `presence` and what the workers of the host share.

See S14 in docs/internals.md.
"""

from __future__ import annotations

from sojourn.core.session import EndReason

from . import admission
from .paths import Paths
from .presence import Pace, Sign, is_in_use, note_fetch, sign_of, target_of
from .session_cache import CachedSession
from .visit import Visit


class Presence:
    """Judges the requests of recognised sessions. `passive`: what pages request by themselves. Any thread."""

    __slots__ = ("_is_heeded", "_passive")

    def __init__(self, passive: Paths, *, is_heeded: bool) -> None:
        self._passive = passive
        self._is_heeded = is_heeded

    def judge(self, visit: Visit, live: CachedSession) -> None:
        """Mark the visit as passive if it is no sign of a person. A GET fetch begins the next session only of a page in use."""
        request, shared = visit.facts, live.shared
        sign = sign_of(
            request,
            is_fetch=admission.is_marked_fetch,
            is_passive_path=self._passive.is_excluded,
        )
        if sign is Sign.PERSON:
            return
        if sign is Sign.PASSIVE or sign is Sign.SUBRESOURCE:
            visit.is_passive, visit.is_counted = True, sign is Sign.PASSIVE
            return
        pace = note_fetch(shared, target_of(request), visit.now)
        over = visit.binding.over
        if pace is Pace.EVEN:
            visit.is_passive = True
        elif sign is Sign.FETCH and over is None:
            shared.mark_in_use(visit.now)
        elif sign is Sign.FETCH and over is not EndReason.ENDED:
            visit.is_passive = pace is Pace.UNEVEN or not (shared.is_in_use or is_in_use(shared))

    def turn_to_page(self, visit: Visit, live: CachedSession) -> None:
        """Take the visit for a page after all: a sign of a person, and what the page fetches is new again."""
        visit.is_passive = False
        if self._is_heeded:
            live.shared.forget_targets()
