"""Encode events for Google Analytics: their session, the engagement since the event before, their page. Pure.

https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from sojourn.backends._json import to_json
from sojourn.backends.contexts import valid_address, with_client
from sojourn.core import events as names
from sojourn.core.events import Event, Scalar
from sojourn.core.properties import EVENT_PREFIX, SESSION_PREFIX

from .names import (
    EVENT_NAME,
    LONGER_VALUES,
    LONGEST_USER_ID,
    LONGEST_USER_VALUE,
    LONGEST_VALUE,
    PARAMETER_NAME,
    RESERVED_EVENTS,
    RESERVED_PARAMETERS,
    RESERVED_USER_PROPERTIES,
    USER_PROPERTY_NAME,
    fitted_name,
    fitted_value,
)

MOST_PARAMETERS: Final = 25
MOST_USER_PROPERTIES: Final = 25

_NAMES: Final = {
    names.SESSION_START: "session_started",  # session_start is reserved: a new session_id makes a new session
    names.SESSION_END: "session_ended",
    names.SESSION_HEARTBEAT: "session_heartbeat",
    names.SESSION_PROPERTIES: "session_properties_set",
    names.PAGE_VIEW: "page_view",
    names.USER_IDENTIFY: "user_identified",
    names.CONNECTION_END: "connection_ended",
    names.EXCEPTION: "exception",
    names.LOG: "log",
    names.OPT_OUT: "opted_out",
}
_NOT_FOR_TRACKED: Final = RESERVED_EVENTS | frozenset(_NAMES.values()) - {"page_view", "exception", "log"}
_TRAITS: Final = "user.traits."
_REFERRER: Final = "http.request.header.referer"
_PLACED: Final = frozenset(
    {
        *("session.id", "visitor.id", "user.id", "user.name", names.LOGOUTS, "client.address", "user_agent.original"),
        *("url.path", "url.query", _REFERRER, "exception.stacktrace"),
    }
)
"""Attributes that have a place outside the parameters, or none: names of people are not allowed, stacks do not fit."""
_RENAMED: Final = {"exception.type": "description", "exception.escaped": "fatal"}
"""The names of Google's own `exception`."""
_OWN: Final = frozenset(
    {
        *("session_id", "session_number", "engagement_time_msec", "timestamp_micros", "event_id", "session_uuid"),
        *("page_location", "page_referrer", "page_title", "session_name", "user_id", "client_id"),
        *RESERVED_PARAMETERS,
    }
)
_IN_ORDER: Final = ("session.", EVENT_PREFIX, SESSION_PREFIX)
_SESSIONS_OWN: Final = ("session.", "session_")
_FIRST_MS: Final = 1
"""Without any engagement, Google would not count who saw one page for an active user."""
_LEAST_SECOND: Final = 10**9


class _Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    name: str
    timestamp_micros: int
    params: Mapping[str, str | int | float]


class Client(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is said once a call, so the events of a call share it."""

    client_id: str
    user_id: str | UnsetType = UNSET
    user_properties: Mapping[str, Mapping[str, str | int | float]] | UnsetType = UNSET
    ip_override: str | UnsetType = UNSET
    user_agent: Scalar | UnsetType = UNSET


def is_silent(event: Event) -> bool:
    """Return whether there is nothing to send: later events of a user who left just have no `user_id`."""
    return event.name == names.USER_IDENTIFY and event.user_id is None


def client_of(event: Event) -> Client:
    """Return what the call of an event says of its client."""
    attributes = with_client(event)
    address, agent = attributes.get("client.address"), attributes.get("user_agent.original")
    traits = _traits(attributes) if event.name == names.USER_IDENTIFY else {}
    return Client(
        client_id=client_id(event.visitor_id or event.session_key),
        user_id=(event.user_id or "").strip()[:LONGEST_USER_ID] or UNSET,
        user_properties=traits or UNSET,
        ip_override=(valid_address(str(address)) or UNSET) if address else UNSET,
        user_agent=agent or UNSET,
    )


@lru_cache(maxsize=4096)
def client_id(visitor: str) -> str:
    """Return a visitor as Google's script names one: two positive numbers, the second like a time in seconds."""
    digest = sha256(visitor.encode("utf-8", "surrogatepass")).digest()
    first, second = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big")
    return f"{1 + first % (2**31 - 1)}.{_LEAST_SECOND + second % _LEAST_SECOND}"


def encoded(event: Event, site: str | None = None) -> bytes:
    """Return one event as JSON. `site`: the address that paths are relative to."""
    named = _NAMES.get(event.name) or fitted_name(event.name, EVENT_NAME, _NOT_FOR_TRACKED, "event_")
    return to_json(_Event(name=named, timestamp_micros=event.time * 1000, params=_params(event, site)))


def _params(event: Event, site: str | None) -> dict[str, str | int | float]:
    params: dict[str, str | int | float] = {}
    # What is no activity has no session: a session of Google's lasts from its first event to its last.
    if event.name not in names.APART and "session.late" not in event.attributes:
        params["session_id"] = event.session_started_at
        elapsed = event.elapsed_ms or 0
        params["engagement_time_msec"] = elapsed + (_FIRST_MS if event.name == names.SESSION_START else 0)
    params["event_id"] = event.id
    params["session_uuid"] = event.session_key
    if event.session_id != event.session_key:
        params["session_name"] = event.session_id[:LONGEST_VALUE]
    for name, value in (*_page(event, site), *_attributes(event)):
        if len(params) == MOST_PARAMETERS:
            break
        fitted = fitted_value(value, LONGER_VALUES.get(name, LONGEST_VALUE))
        if fitted is not None:
            params.setdefault(name, fitted)
    return params


def _page(event: Event, site: str | None) -> Iterator[tuple[str, Scalar]]:
    attributes = event.attributes
    path, query = attributes.get("url.path"), attributes.get("url.query")
    referrer = attributes.get(_REFERRER)
    if referrer is None and event.time == event.session_started_at:
        referrer = event.context.get(_REFERRER)  # of the page that the session began with
    if path is not None:
        yield "page_location", f"{site or ''}{path}{f'?{query}' if query else ''}"
        yield "page_title", attributes.get("http.route") or path
        if referrer is not None:
            yield "page_referrer", referrer


def _attributes(event: Event) -> Iterator[tuple[str, Scalar]]:
    """Return the other attributes by name, the most important first: an event has few places."""
    for name, value in sorted(event.attributes.items(), key=lambda item: _rank(item[0])):
        if name not in _PLACED and not name.startswith(_TRAITS):
            yield _parameter(name), value


def _rank(name: str) -> int:
    return next((rank for rank, start in enumerate(_IN_ORDER) if name.startswith(start)), len(_IN_ORDER))


@lru_cache(maxsize=4096)  # bounded, because names come from the app
def _parameter(name: str) -> str:
    """Return the name of an attribute. Properties given to `track()` keep theirs, as far as Google takes them."""
    bare = name.removeprefix(EVENT_PREFIX)
    if bare != name and bare.startswith(_SESSIONS_OWN):
        bare = f"event_{bare}"
    return _RENAMED.get(name) or fitted_name(bare, PARAMETER_NAME, _OWN, "event_")


def _traits(attributes: Mapping[str, Scalar]) -> dict[str, dict[str, str | int | float]]:
    traits: dict[str, dict[str, str | int | float]] = {}
    for name, value in attributes.items():
        fitted = fitted_value(value, LONGEST_USER_VALUE) if name.startswith(_TRAITS) else None
        if fitted is not None and len(traits) < MOST_USER_PROPERTIES:
            bare = name.removeprefix(_TRAITS)
            traits[fitted_name(bare, USER_PROPERTY_NAME, RESERVED_USER_PROPERTIES, "user_")] = {"value": fitted}
    return traits
