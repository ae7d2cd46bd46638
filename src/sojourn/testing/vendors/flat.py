"""Sessions for vendors that only store events, or only know first and last ones: what a query would show. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping

from .model import Value, VendorEvent, VendorSession

START = "session.start"
END = "session.end"
PROPERTIES = "session_properties."


def is_start(event: VendorEvent) -> bool:
    """Return whether the event is a start under Sojourn's own name."""
    return event.name == START


def is_end(event: VendorEvent) -> bool:
    """Return whether the event is an end under Sojourn's own name."""
    return event.name == END


def properties_of(event: VendorEvent) -> Mapping[str, Value]:
    """Return the session's properties on an event, under Sojourn's own names."""
    return {name: value for name, value in event.attributes.items() if name.startswith(PROPERTIES)}


def sessions_of(
    events: Iterable[VendorEvent],
    *,
    key: Callable[[VendorEvent], Hashable] = lambda event: event.session_id,
    is_start: Callable[[VendorEvent], bool] = is_start,
    is_end: Callable[[VendorEvent], bool] = is_end,
    duration: str = "session.duration_ms",
    properties: Callable[[VendorEvent], Mapping[str, Value]] = properties_of,
) -> list[VendorSession]:
    """Return the sessions, oldest first. The arguments say how a vendor names what belongs to a session."""

    def session(group: list[VendorEvent]) -> VendorSession:
        group = sorted(group, key=lambda event: event.at)  # the sort is stable: order of arrival
        start = next((event for event in group if is_start(event)), None)
        end = max((event for event in group if is_end(event)), key=_revision, default=None)
        # Events after the end are marked, and add nothing to what the end says.
        timely = [event for event in group if not event.attributes.get("session.late")]
        last = end or (timely or group)[-1]
        duration_ms = None if end is None else end.attributes.get(duration)
        return VendorSession(
            session_id=last.session_id,
            user_id=last.user_id,
            visitor_id=last.visitor_id,
            previous_id=_text(start, "session.previous_id"),
            started_at=None if start is None else start.at,
            ended_at=None if end is None else end.at,
            duration_ms=duration_ms if isinstance(duration_ms, int) else None,
            reason=_text(end, "session.end_reason"),
            properties=properties(last),
            events=tuple(group),
        )

    groups: dict[Hashable, list[VendorEvent]] = {}
    for event in events:
        if event.session_id:
            groups.setdefault(key(event), []).append(event)
    return sorted(map(session, groups.values()), key=lambda session: session.events[0].at)


def spanning(
    group: Iterable[VendorEvent],
    *,
    user_of: Callable[[VendorEvent], str | None],
    named: Callable[[str], str] = lambda name: name,
) -> VendorSession:
    """Return a session of a vendor to whom it lasts from its first event to its last, and belongs to the user of that.

    `named`: how the vendor's events call an attribute of Sojourn's.
    """
    events = sorted(group, key=lambda event: event.at)  # the sort is stable: order of arrival
    first, last = events[0], events[-1]
    previous, reason = named("session.previous_id"), named("session.end_reason")
    return VendorSession(
        session_id=first.session_id,
        user_id=user_of(last),
        visitor_id=last.visitor_id,
        previous_id=next(filter(None, (_text(event, previous) for event in events)), None),
        started_at=first.at,
        ended_at=last.at,
        duration_ms=last.at - first.at,
        reason=next(filter(None, (_text(event, reason) for event in reversed(events))), None),
        properties={name: value for name, value in last.attributes.items() if name.startswith(named(PROPERTIES))},
        events=tuple(events),
    )


def _revision(event: VendorEvent) -> int:
    revision = event.attributes.get("session.end_revision", 0)
    return revision if isinstance(revision, int) else 0


def _text(event: VendorEvent | None, name: str) -> str | None:
    value = None if event is None else event.attributes.get(name)
    return None if value is None else str(value)
