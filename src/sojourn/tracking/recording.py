"""Turns what a visit changed into records, and hands them to the sink. Independent of the response."""

from __future__ import annotations

from typing import Protocol

from msgspec.structs import replace

from sojourn.core.events import EXCEPTION, OPT_OUT
from sojourn.core.failures import is_unexplained
from sojourn.core.records import (
    ACTIVITY,
    CARRIED,
    FAILED,
    NO_FORWARD,
    REQUEST,
    STARTS,
    Entry,
    Origin,
    Record,
    about,
)
from sojourn.core.records import OPT_OUT as OPTS_OUT
from sojourn.core.session import SessionState

from .changes import SessionChanges
from .memory import Memory
from .pages import Pages
from .session_cache import SessionCache
from .visit import Visit


class Sink(Protocol):
    """Takes records. Never blocks, never raises."""

    def append(self, record: Record, *, kind: str, is_essential: bool) -> bool:
        """Append a record; False if it was refused, which is counted there."""
        ...

    def wake(self) -> None:
        """Make sure that what was counted gets on its way, though nothing is recorded. May raise."""
        ...


class Recording:
    """Records visits (`visit_context.VisitRecorder`). Every method may be called by any thread."""

    __slots__ = ("_memory", "_pages", "_sessions", "sink")

    def __init__(self, sink: Sink, *, pages: Pages, sessions: SessionCache, memory: Memory) -> None:
        self._memory = memory
        self.sink = sink
        self._pages = pages
        self._sessions = sessions

    def commit(self, visit: Visit) -> None:
        """Make the session that this visit drafted known to the process, or note its activity in the running one."""
        draft, live = visit.binding.draft, visit.live
        if draft is not None:
            visit.binding = visit.binding.commit(self._sessions.adopt(draft, live, visit.at))
        elif live is not None and not live.state.is_ended and not visit.is_passive:
            live.see(visit.at)

    def record(self, visit: Visit, *, is_request: bool) -> None:
        """Append a record for each session that this visit touched."""
        credited = _credited(visit, is_request=is_request)
        all_changes, visit.changes = visit.changes, []
        if visit.carrier is not None:
            visit.carrier.note(*(changes.state for changes in all_changes))
        for changes in all_changes:
            flags = (STARTS if changes.is_start else 0) | (NO_FORWARD if visit.no_forward else 0)
            if visit.is_carried:
                flags |= CARRIED
            if changes is credited:
                flags |= (0 if visit.is_passive else ACTIVITY) | (REQUEST if is_request and visit.is_counted else 0)
            entries = changes.entries_in_order()
            if not flags & ~(NO_FORWARD | CARRIED) and not entries:
                continue
            origin = None
            if changes.is_start:
                origin = self.origin(visit)
                self._memory.begin(changes.state, origin)
            is_essential = changes.is_start or changes.seal is not None or any(entry.tag for entry in entries)
            if entries:
                entries, explaining = _explaining(visit, changes.state.key, entries)
                flags |= explaining
            kind = entries[-1].name if entries else "activity"
            record = about(
                changes.state, visit.at, flags, entries, origin, browser=visit.browser if is_request else None
            )
            self.sink.append(record, kind=kind, is_essential=is_essential)

    def origin(self, visit: Visit) -> Origin:
        """Return what `session.start` says of the request that began the session."""
        return self._pages.origin(
            visit.facts, visit.shown_path, is_anonymous=visit.is_anonymous, is_cookieless=visit.daily is not None
        )

    def record_late(self, visit: Visit) -> None:
        """Record a helper call made after the response had started."""
        self.commit(visit)
        self.record(visit, is_request=False)

    def record_after_end(self, visit: Visit, state: SessionState, entry: Entry) -> None:
        """Record what a carried call adds to a session that has ended. It is no activity of any session."""
        flags = visit.late_flags | (NO_FORWARD if visit.no_forward else 0)
        self.sink.append(about(state, entry.at, flags, (entry,)), kind=entry.name, is_essential=entry.tag is not None)

    def record_opt_out(self, visit: Visit) -> None:
        """Record an opt-out, at once: the recorder enforces it wherever the visitor's next request goes."""
        all_changes, visit.changes = visit.changes, []
        for changes in all_changes:
            record = about(changes.state, visit.at, OPTS_OUT, changes.entries_in_order())
            self.sink.append(record, kind=OPT_OUT, is_essential=True)


def _explaining(visit: Visit, key: str, entries: tuple[Entry, ...]) -> tuple[tuple[Entry, ...], int]:
    """Mark a record whose exception explains a failed page view that was recorded before it.

    The exception gets the time of that page view, which it came before: so whoever reads the log knows that they are one error.
    """
    if is_unexplained(entries):
        visit.failed_view = (key, visit.at)
    elif visit.failed_view is not None and visit.failed_view[0] == key and any(map(_is_exception, entries)):
        at, visit.failed_view = visit.failed_view[1], None
        return tuple(replace(entry, at=at) if _is_exception(entry) else entry for entry in entries), FAILED
    return entries, 0


def _is_exception(entry: Entry) -> bool:
    return entry.name == EXCEPTION


def _credited(visit: Visit, *, is_request: bool) -> SessionChanges:
    """Whose activity this is: of the session that the request arrived with, unless it began another itself."""
    home = visit.binding.home
    if is_request and home is not None and not visit.binding.begun_key:
        return visit.changes_of(home)
    return visit.changes[-1] if visit.changes else visit.changes_of()
