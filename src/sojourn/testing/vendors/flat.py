"""Sessions for vendors that only store flat events: what a query by session id would show. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from .model import VendorEvent, VendorSession

START = "session.start"
END = "session.end"
PROPERTIES = "session_properties."


def sessions_of(events: Iterable[VendorEvent]) -> list[VendorSession]:
    """Return the sessions, oldest first. The attributes must have Sojourn's own names."""
    groups: dict[str, list[VendorEvent]] = {}
    for event in events:
        if event.session_id:
            groups.setdefault(event.session_id, []).append(event)
    sessions = [_session(key, group) for key, group in groups.items()]
    return sorted(sessions, key=lambda session: session.events[0].at)


def _session(session_id: str, group: list[VendorEvent]) -> VendorSession:
    group = sorted(group, key=lambda event: event.at)  # the sort is stable: order of arrival
    start = next((event for event in group if event.name == START), None)
    end = max((event for event in group if event.name == END), key=_revision, default=None)
    # Events after the end are marked, and add nothing to what the end says.
    timely = [event for event in group if not event.attributes.get("session.late")]
    last = end or (timely or group)[-1]
    duration = None if end is None else end.attributes.get("session.duration_ms")
    reason = None if end is None else end.attributes.get("session.end_reason")
    previous = None if start is None else start.attributes.get("session.previous_id")
    return VendorSession(
        session_id=session_id,
        user_id=last.user_id,
        visitor_id=last.visitor_id,
        previous_id=None if previous is None else str(previous),
        started_at=None if start is None else start.at,
        ended_at=None if end is None else end.at,
        duration_ms=duration if isinstance(duration, int) else None,
        reason=None if reason is None else str(reason),
        properties={name: value for name, value in last.attributes.items() if name.startswith(PROPERTIES)},
        events=tuple(group),
    )


def _revision(event: VendorEvent) -> int:
    revision = event.attributes.get("session.end_revision", 0)
    return revision if isinstance(revision, int) else 0
