"""Events as rows of ClickHouse. Pure.

A session has a row for its start, each heartbeat, each change of user or properties, and each end. Every one is whole, and
the one of the highest revision holds, in whatever order they arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from sojourn.backends.cloudevents import rfc3339
from sojourn.backends.contexts import with_client
from sojourn.core import events as names
from sojourn.core.events import Event, Scalar
from sojourn.core.ids import created_at
from sojourn.core.sources import channel_of, source_of
from sojourn.user_agents.families import client_of

PROPERTIES: Final = "session_properties."

_LAST_MS: Final = 9_999_999_999_999  # the year 2286: DateTime64 ends in 2299
_LONGEST_INT: Final = 64  # in bits
_GREATEST: Final = 2**64 - 1

# Of two rows of one millisecond, the one that knows more holds.
_RANKS: Final = {
    names.SESSION_START: 0,
    names.SESSION_HEARTBEAT: 1,
    names.SESSION_PROPERTIES: 2,
    names.USER_IDENTIFY: 3,
}
_LONGEST_MS: Final = 2**42 - 1
_END: Final = 2**44
"""A revision of a row of an end is above all of those without."""


class EventRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A row of the table of events."""

    event_id: str
    time: str
    name: str
    session_key: str
    session_id: str
    visitor_id: str
    user_id: str | None
    attributes: dict[str, str]


class SessionRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A row of the table of sessions."""

    session_key: str
    session_id: str
    visitor_id: str
    user_id: str | None
    previous_id: str | None
    started_at: str
    last_seen_at: str
    duration_ms: int
    is_open: bool
    end_reason: str
    is_manual: bool
    requests: int
    page_views: int
    errors: int
    browser: str
    system: str
    device: str
    service: str
    version: str
    environment: str
    properties: dict[str, str]
    revision: int


def event_row(event: Event) -> EventRow:
    """Return the row of an event. A start also says where its session came from, which SQL could not work out."""
    attributes = {name: text_of(value) for name, value in with_client(event).items()}
    if event.name == names.SESSION_START:
        attributes["session.source"] = source_of(event.attributes)
        attributes["session.channel"] = channel_of(event.attributes)
    return EventRow(
        event_id=event.id,
        time=_time(event.time),
        name=event.name,
        session_key=event.session_key,
        session_id=event.session_id,
        visitor_id=event.visitor_id,
        user_id=event.user_id,
        attributes=attributes,
    )


def session_row(event: Event) -> SessionRow | None:
    """Return the row of the session as it was at this event; `None` for an event that changes nothing of it."""
    is_end = event.name == names.SESSION_END
    if not is_end and event.name not in _RANKS:
        return None
    attributes = event.attributes
    agent = with_client(event).get("user_agent.original")
    browser, system, device = client_of(agent if isinstance(agent, str) else None)
    return SessionRow(
        session_key=event.session_key,
        session_id=event.session_id,
        visitor_id=event.visitor_id,
        user_id=event.user_id,
        previous_id=event.previous_id,
        started_at=_time(event.session_started_at),
        last_seen_at=_time(event.time),
        duration_ms=_count(attributes, "session.duration_ms", event.time - event.session_started_at),
        is_open=not is_end,
        end_reason=_text(attributes, "session.end_reason") if is_end else "",
        is_manual=event.is_manual,
        requests=_count(attributes, "session.requests"),
        page_views=_count(attributes, "session.page_views"),
        errors=_count(attributes, "session.errors"),
        browser=browser or "",
        system=system or "",
        device=device or "",
        service=_text(attributes, "service.name"),
        version=_text(attributes, "service.version"),
        environment=_text(attributes, "deployment.environment.name"),
        properties={
            name.removeprefix(PROPERTIES): text_of(value)
            for name, value in attributes.items()
            if name.startswith(PROPERTIES)
        },
        revision=_revision(event),
    )


def text_of(value: Scalar) -> str:
    """Return a value as text: `true`, `42`, `3.5`."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > _LONGEST_INT:
        return hex(value)  # `str()` refuses very long ones
    return str(value)


def _revision(event: Event) -> int:
    if event.name == names.SESSION_END:
        return min((1 + _count(event.attributes, "session.end_revision")) * _END, _GREATEST)
    # By the key's own time, which never changes: the start may be corrected.
    since = min(max(event.time - created_at(event.session_key), 0), _LONGEST_MS)
    return since * len(_RANKS) + _RANKS[event.name]


def _time(ms: int) -> str:
    return rfc3339(min(ms, _LAST_MS)).replace("T", " ").removesuffix("Z")


def _text(attributes: Mapping[str, Scalar], name: str) -> str:
    return text_of(attributes.get(name, ""))


def _count(attributes: Mapping[str, Scalar], name: str, default: int = 0) -> int:
    value = attributes.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        value = default
    return min(max(value, 0), _GREATEST)
