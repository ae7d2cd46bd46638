"""Encode one event for Exceptionless: its type, and `data` with its `@` names. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, Self

import msgspec
from msgspec import UNSET, UnsetType

from sojourn.backends._json import to_json
from sojourn.backends.cloudevents import rfc3339
from sojourn.backends.contexts import with_client
from sojourn.core import events as names
from sojourn.core.events import Event, Scalar
from sojourn.core.ids import hashed_uuid

_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9-]{8,100}")
_UUID_LENGTH: Final = 36
_LONGEST: Final = 2_000
_LONGEST_TAG: Final = 100
_SESSION: Final = "@ref:session"
_OWN_PROPERTIES: Final = "event_properties."
_TRAITS: Final = "user.traits."
_TYPES: Final = {
    names.SESSION_START: "session",
    names.SESSION_HEARTBEAT: "heartbeat",
    names.SESSION_END: "sessionend",
    names.EXCEPTION: "error",
    names.LOG: "log",
}
# Sent under types of our own: as `usage` they would count as features that people use.
_KEPT_NAMES: Final = frozenset({names.USER_IDENTIFY, names.SESSION_PROPERTIES, names.CONNECTION_END, names.OPT_OUT})
# Any event with a session's id extends or reopens the session. These are not activity, and may come after the end.
_APART: Final = frozenset({names.CONNECTION_END, names.OPT_OUT})
_LEVELS: Final = {"WARNING": "Warn", "CRITICAL": "Fatal"}
# Attributes that have another place in the event.
_PLACED: Final = frozenset(
    {
        "session.id",
        "session.previous_id",
        "user.id",
        "user.name",
        "service.version",
        "deployment.environment.name",
        "user_agent.original",
        "http.request.header.referer",
        "client.address",
        "exception.type",
        "exception.message",
        "exception.stacktrace",
        "log.body",
        "log.severity",
        "log.logger",
    }
)


_REQUEST: Final = (
    ("user_agent", "user_agent.original"),
    ("path", "url.path"),
    ("referrer", "http.request.header.referer"),
)


class User(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`@user`."""

    identity: str
    name: str | UnsetType = UNSET
    data: dict[str, Scalar] | UnsetType = UNSET


class _Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    type: str
    source: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    date: str
    reference_id: str
    geo: str | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    data: Mapping[str, object]


class Namings:
    """The `user.identify` events of a batch: those of the request that began the session, and later ones.

    The start shows the user of its own request. The events of one request are committed to the log together, so they come in
    one batch; if a batch ends between them, the event counts as a later one and nothing is lost.
    """

    __slots__ = ("at_start", "later")

    def __init__(self, at_start: Mapping[str, Event], later: Sequence[Event]) -> None:
        self.at_start = at_start
        self.later = later

    @classmethod
    def of(cls, batch: Sequence[Event]) -> Self:
        named = [event for event in batch if event.name == names.USER_IDENTIFY and event.user_id]
        if not named:
            return cls({}, ())
        started = {event.session_key for event in batch if event.name == names.SESSION_START}
        at_start = {
            event.session_key: event
            for event in named
            if event.time == event.session_started_at and event.session_key in started
        }
        return cls(at_start, [event for event in named if at_start.get(event.session_key) is not event])


def naming(event: Event) -> User:
    """Return the user of an event, with name and traits if the event has them."""
    attributes = event.attributes
    traits = {name.removeprefix(_TRAITS): value for name, value in attributes.items() if name.startswith(_TRAITS)}
    name = attributes.get("user.name")
    return User(identity=event.user_id or "", name=str(name) if name else UNSET, data=traits or UNSET)


@lru_cache(maxsize=4096)
def reference(own_id: str) -> str:
    """Return an id that Exceptionless accepts; Sojourn's own ids are returned unchanged."""
    return own_id if _IDENTIFIER.fullmatch(own_id) else hashed_uuid(own_id)


def encoded(event: Event, server: Mapping[str, str | int], namings: Namings) -> bytes:
    """Return one event as JSON."""
    name, attributes = event.name, event.attributes
    if name == names.SESSION_START:
        return _start(event, server, namings)
    data: dict[str, object] = {}
    if name in _APART or "session.late" in attributes:
        # Without the session's id, a user's identity would create another session ("automatic mode").
        data["@ref:ended-session"] = reference(event.session_key)
        if event.user_id:
            data["user.id"] = event.user_id
    else:
        data[_SESSION] = reference(event.session_key)
        if event.user_id:
            data["@user"] = naming(event) if name == names.USER_IDENTIFY else User(identity=event.user_id)
    kind = _TYPES.get(name)
    source = message = None
    match kind:
        case "heartbeat":
            # The server uses only the date of it.
            return to_json(_Event(type=kind, date=rfc3339(event.time), reference_id=reference(event.id), data=data))
        case "error":
            source, message = _text(attributes, "url.path"), _text(attributes, "exception.message")
            data["@simple_error"] = _error(attributes)
        case "log":
            source, message = _text(attributes, "log.logger"), _text(attributes, "log.body")
            data["@level"] = _level(str(attributes.get("log.severity", "INFO")))
            if "exception.type" in attributes:
                data["@simple_error"] = _error(attributes)
        case None if name == names.PAGE_VIEW:
            kind, source = _page(attributes)
        case None:
            kind, source = (name, None) if name in _KEPT_NAMES else ("usage", name)
        case _:
            pass
    return to_json(
        _Event(
            type=kind or "usage",
            source=source[:_LONGEST] if source else UNSET,
            message=message[:_LONGEST] if message else UNSET,
            date=rfc3339(event.time),
            reference_id=reference(event.id),
            geo=_geo(event),
            tags=_tags(attributes),
            data=_with_attributes(event, data),
        )
    )


def _start(event: Event, server: Mapping[str, str | int], namings: Namings) -> bytes:
    attributes = event.attributes
    data: dict[str, object] = {}
    named = namings.at_start.get(event.session_key)
    if named is not None or event.user_id:
        data["@user"] = naming(named or event)
    place = {name: attributes[name] for name in ("service.name", "deployment.environment.name") if name in attributes}
    data["@environment"] = {**server, "data": place} if place else server
    if event.previous_id and len(event.previous_id) == _UUID_LENGTH:
        data["@ref:previous"] = event.previous_id
    return to_json(
        _Event(
            type="session",
            date=rfc3339(event.time),
            reference_id=reference(event.session_key),
            geo=_geo(event),
            tags=_tags(attributes),
            data=_with_attributes(event, data),
        )
    )


def _geo(event: Event) -> str | UnsetType:
    """Return the visitor's address, from which the server finds the place. Without it, it would take that of the caller."""
    return _text(with_client(event), "client.address") or UNSET


def _request(attributes: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return `@request`, of which the server makes browser, system and device.

    Without `client_ip_address`: the server deletes many events from one address as a bot's, and an office has one.
    """
    return {place: attributes[name] for place, name in _REQUEST if name in attributes}


def _with_attributes(event: Event, data: dict[str, object]) -> dict[str, object]:
    """Add the attributes that have no place of their own. Event properties lose their prefix, as in Exceptionless's clients."""
    attributes = event.attributes
    if request := _request(with_client(event)):
        data["@request"] = request
    version = attributes.get("service.version")
    if version is not None:
        data["@version"] = str(version)
    if event.session_id != event.session_key:
        data["session.id"] = event.session_id
    for name, value in attributes.items():
        if name not in _PLACED:
            data[name.removeprefix(_OWN_PROPERTIES)] = value
    return data


def _page(attributes: Mapping[str, Scalar]) -> tuple[str, str | None]:
    if attributes.get("http.response.status_code") == 404:
        return "404", f"{attributes.get('http.request.method', 'GET')} {attributes.get('url.path', '/')}"
    return "usage", _text(attributes, "http.route") or _text(attributes, "url.path") or names.PAGE_VIEW


def _error(attributes: Mapping[str, Scalar]) -> dict[str, Scalar]:
    kind = attributes.get("exception.type", "Exception")
    error = {"type": kind, "message": attributes.get("exception.message") or kind}
    stack = attributes.get("exception.stacktrace")
    return {**error, "stack_trace": stack} if stack else error


@lru_cache(maxsize=64)
def _level(severity: str) -> str:
    return _LEVELS.get(severity.upper(), severity.capitalize())


def _tags(attributes: Mapping[str, Scalar]) -> list[str] | UnsetType:
    environment = attributes.get("deployment.environment.name")
    return [str(environment)[:_LONGEST_TAG]] if environment else UNSET


def _text(attributes: Mapping[str, Scalar], name: str) -> str | None:
    value = attributes.get(name)
    return None if value is None else str(value)
