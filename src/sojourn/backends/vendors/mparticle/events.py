"""Encode events for mParticle: `session_start`, `session_end`, `screen_view`, `custom_event`, ... Pure.

https://docs.mparticle.com/developers/apis/json-reference/
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, TypedDict, Unpack

import msgspec
from msgspec import UNSET, UnsetType

from sojourn.backends._json import to_json
from sojourn.core import events as names
from sojourn.core.events import Event, Scalar
from sojourn.core.properties import CUT_MARK, EVENT_PREFIX, SESSION_PREFIX

LONGEST_VALUE: Final = 4_096

_PLACED: Final = frozenset(
    {
        "session.id",
        "visitor.id",
        names.LOGOUTS,
        "user.id",
        "service.name",
        "service.version",
        "client.address",
        "user_agent.original",
        "deployment.environment.name",
        "session.previous_id",
    }
)
"""Attributes that have a place outside `custom_attributes`, or are on the start only."""
_OF_START: Final = ("deployment.environment.name", "session.previous_id")
_CUSTOM: Final = {
    names.SESSION_HEARTBEAT: "session_heartbeat",  # mParticle has no such type
    names.CONNECTION_END: "connection_end",
}
_LONGEST_MS: Final = 2**63 - 1
_FNV_BASIS: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3
_64_BITS: Final = (1 << 64) - 1
# Every second byte of the UTF-16 is 0, so two rounds of the hash are one exclusive or and one product.
_TWO_ROUNDS: Final = _FNV_PRIME * _FNV_PRIME & _64_BITS


class _Own(TypedDict, total=False):
    """The fields of one type of event."""

    session_duration_ms: int
    is_opted_out: bool
    screen_name: str
    event_name: str
    custom_event_type: str
    class_name: Scalar
    severity: str
    message: Scalar
    stack_trace: Scalar
    exception_handled: bool


class _Data(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    timestamp_unixtime_ms: int
    source_message_id: str
    session_uuid: str
    session_id: int
    session_start_unixtime_ms: int
    session_duration_ms: int | UnsetType = UNSET
    is_opted_out: bool | UnsetType = UNSET
    screen_name: str | UnsetType = UNSET
    event_name: str | UnsetType = UNSET
    custom_event_type: str | UnsetType = UNSET
    class_name: Scalar | UnsetType = UNSET
    severity: str | UnsetType = UNSET
    message: Scalar | UnsetType = UNSET
    stack_trace: Scalar | UnsetType = UNSET
    exception_handled: bool | UnsetType = UNSET
    custom_attributes: Mapping[str, Scalar] | UnsetType = UNSET


class _Event(msgspec.Struct, frozen=True, gc=False):
    event_type: str
    data: _Data


def is_silent(event: Event) -> bool:
    """Return whether an event is not sent: session attributes go out with the end, and mParticle has no user without an id."""
    return event.name == names.SESSION_PROPERTIES or (event.name == names.USER_IDENTIFY and event.user_id is None)


def encoded(event: Event) -> bytes:
    """Return one event as JSON."""
    attributes = _attributes(event)
    match event.name:
        case names.SESSION_START:
            attributes |= {name: fitted(event.attributes[name]) for name in _OF_START if name in event.attributes}
            return _json("session_start", event, attributes)
        case names.SESSION_END:
            attributes.pop("session.duration_ms", None)
            attributes |= _session_attributes(event, attributes)
            return _json("session_end", event, attributes, session_duration_ms=_duration(event))
        case names.PAGE_VIEW:
            screen = attributes.get("http.route") or attributes.get("url.path", "")
            return _json("screen_view", event, attributes, screen_name=str(screen))
        case names.EXCEPTION:
            return _json("crash_report", event, attributes, **_crash(attributes))
        case names.OPT_OUT:
            return _json("opt_out", event, attributes, is_opted_out=True)
        case name:
            return _json(
                "custom_event", event, attributes, event_name=_CUSTOM.get(name, name), custom_event_type="other"
            )


@lru_cache(maxsize=8192)
def session_ids(session_key: str) -> tuple[str, int]:
    """Return `session_uuid` and `session_id`, the signed FNV-1a hash of the UUID in UTF-16."""
    uuid = session_key.upper()
    value = _FNV_BASIS
    for char in uuid.encode("latin-1", "replace"):
        value = ((value ^ char) * _TWO_ROUNDS) & _64_BITS
    return uuid, value - (1 << 64) if value >> 63 else value


def fitted(value: Scalar) -> Scalar:
    """Return a value, cut to the length that an attribute may have."""
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return value[: LONGEST_VALUE - len(CUT_MARK)] + CUT_MARK
    return value


def _json(kind: str, event: Event, attributes: dict[str, Scalar], **own: Unpack[_Own]) -> bytes:
    uuid, number = session_ids(event.session_key)
    data = _Data(
        timestamp_unixtime_ms=event.time,
        source_message_id=event.id,
        session_uuid=uuid,
        session_id=number,
        session_start_unixtime_ms=event.session_started_at,
        custom_attributes=attributes or UNSET,
        **own,
    )
    return to_json(_Event(kind, data))


def _attributes(event: Event) -> dict[str, Scalar]:
    attributes = {
        shown: fitted(value) for name, value in event.attributes.items() if (shown := _shown(name)) is not None
    }
    if event.session_id != event.session_key:
        attributes["session.id"] = event.session_id
    return attributes


@lru_cache(maxsize=4096)  # bounded, because names come from the app
def _shown(name: str) -> str | None:
    """Return the name of an attribute in `custom_attributes`. Properties given to `track()` keep their names."""
    if name in _PLACED or name.startswith(SESSION_PREFIX):
        return None
    return name.removeprefix(EVENT_PREFIX)


def _session_attributes(event: Event, reserved: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return the session's properties under their own names, which are case-insensitive for mParticle.

    The first casing and the last value are kept, as in its own libraries. `reserved` names are not overwritten.
    """
    casings = {name.lower(): name for name in reserved}
    attributes: dict[str, Scalar] = {}
    for name, value in event.attributes.items():
        if name.startswith(SESSION_PREFIX):
            bare = name.removeprefix(SESSION_PREFIX)
            casing = casings.setdefault(bare.lower(), bare)
            if casing not in reserved:
                attributes[casing] = fitted(value)
    return attributes


def _duration(event: Event) -> int:
    duration = event.attributes.get("session.duration_ms")
    if type(duration) is not int:
        duration = event.time - event.session_started_at
    return min(max(0, duration), _LONGEST_MS)


def _crash(attributes: dict[str, Scalar]) -> _Own:
    """Move attributes to the fields of a crash report."""
    kind = attributes.pop("exception.type", "Exception")
    own = _Own(
        class_name=kind,
        severity="error",
        # The field is required, and events for third parties may have no message.
        message=attributes.pop("exception.message", kind),
        exception_handled=not attributes.pop("exception.escaped", False),
    )
    if "exception.stacktrace" in attributes:
        own["stack_trace"] = attributes.pop("exception.stacktrace")
    return own
