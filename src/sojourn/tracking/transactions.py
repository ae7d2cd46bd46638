"""`track(..., connection=...)`: an event that is committed, or rolled back, with a transaction of the application.

Which session it is in, and whether it is recorded at all, is decided as for any `track()`. The record does not go to the
journal but into the store's inbox, over the application's connection. It is complete: of a session that this request begins it
has the start, because it may be committed long before the response starts, and of its user the tag.

See P35 in docs/internals.md.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec

from sojourn.core.events import SESSION_PROPERTIES, Scalar
from sojourn.core.records import CARRIED, NO_FORWARD, STARTS, Entry, Record, about
from sojourn.core.session import SessionState

from .carrying import call, warn_dropped
from .changes import SessionChanges
from .visit import Visit


class Inbox(Protocol):
    """Writes records over connections of the application. Errors of the database are the caller's."""

    def check(self, connection: Any, *, is_awaited: bool) -> None:
        """Raise `TypeError` for what is no connection, or one of the other kind."""
        ...

    def write(self, record: Record, connection: Any) -> None:
        """Write a record. Blocks. Raises `WrongDatabaseError`, `StoreError`, and what the driver raises."""
        ...

    async def write_async(self, record: Record, connection: Any) -> None: ...


def record_of_event(visit: Visit, name: str, properties: dict[str, Scalar]) -> Record | None:
    """The record of an event that is to be written into the inbox; `None` where none may be: counted, with the reason."""
    return call(None, _record, _record_late, visit, name, properties)


def _record(visit: Visit, name: str, properties: dict[str, Scalar]) -> Record | None:
    state = visit.enter(by_helper=True)
    if state is None:
        warn_dropped(visit)
        return None
    at, is_carried = visit.at, visit.is_carried
    changes = next((changes for changes in visit.changes if changes.state.key == state.key), None)
    record = _about(visit, state, changes, Entry(name, at, properties), CARRIED if is_carried else 0)
    visit.leave()
    return record


def _record_late(visit: Visit, state: SessionState, name: str, properties: dict[str, Scalar]) -> Record | None:
    """The record of a carried call whose session has ended."""
    changes = next((changes for changes in visit.changes if changes.state.key == state.key), None)
    at = max(visit.context.clock.now(), state.last_seen_at)
    return _about(visit, state, changes, Entry(name, at, properties), visit.late_flags)


def _about(visit: Visit, state: SessionState, changes: SessionChanges | None, event: Entry, flags: int) -> Record:
    if visit.no_forward:
        flags |= NO_FORWARD
    browser = None if visit.responded else visit.browser
    if changes is None:
        return about(state, event.at, flags, (event,), browser=browser)
    tags = [
        msgspec.structs.replace(entry, tag=msgspec.structs.replace(entry.tag, is_emitted=False))
        for entry in changes.entries
        if entry.tag is not None
    ]
    if properties := _session_properties(visit, changes):
        event = msgspec.structs.replace(event, attributes={**properties, **(event.attributes or {})})
    origin = None
    if changes.is_start:
        flags |= STARTS
        origin = visit.context.recorder.origin(visit)
    return about(state, event.at, flags, (*tags, event), origin, browser=browser)


def _session_properties(visit: Visit, changes: SessionChanges) -> dict[str, Scalar]:
    """What this request has set so far. The event brings it along: its record may be folded before the request's."""
    kept_first: Final = visit.context.options.rules.keep_first
    return {
        name: value
        for entry in changes.entries
        if entry.name == SESSION_PROPERTIES
        for name, value in (entry.attributes or {}).items()
        if name not in kept_first
    }
