"""Encode events for Amplitude: its session by the time of the start, its people by device and user. Pure.

https://amplitude.com/docs/apis/analytics/http-v2
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from sojourn.backends._exchange import user_agent
from sojourn.backends._json import to_json
from sojourn.backends.campaigns import campaign_parameters, domain
from sojourn.backends.contexts import with_client
from sojourn.core import events as names
from sojourn.core.events import Event, Scalar
from sojourn.core.ids import hashed_uuid
from sojourn.core.properties import EVENT_PREFIX

LONGEST_TEXT: Final = 1_024
OUT_OF_SESSION: Final = -1
IDENTIFY: Final = "$identify"
PLACEHOLDERS: Final = frozenset(
    {
        *("anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown", '""', "{}", "lmy47d", "0", "-1"),
        "00000000-0000-0000-0000-000000000000",
    }
)
"""Ids that broken code sends everywhere; Amplitude refuses a call for one of them."""
RESERVED: Final = frozenset(
    {
        *(IDENTIFY, "$groupidentify"),
        *("[Amplitude] Start Session", "[Amplitude] End Session", "[Amplitude] Merged User", "[Amplitude] Revenue"),
        *("[Amplitude] Revenue (Verified)", "[Amplitude] Revenue (Unverified)"),
    }
)

# The names of its own script for the browser, as far as it has one.
_NAMES: Final = {
    names.SESSION_START: "session_start",
    names.SESSION_END: "session_end",
    names.PAGE_VIEW: "[Amplitude] Page Viewed",
    names.USER_IDENTIFY: IDENTIFY,
    names.SESSION_HEARTBEAT: "Session Heartbeat",
    names.SESSION_PROPERTIES: "Session Properties Set",
    names.CONNECTION_END: "Connection Ended",
    names.EXCEPTION: "Exception",
    names.LOG: "Log",
    names.OPT_OUT: "Opted Out",
}
_NAME: Final = "user.name"
_TRAITS: Final = "user.traits."
_REFERRER: Final = "http.request.header.referer"
_MOVED: Final = frozenset(
    {
        *("session.id", "user.id", _NAME, "client.address", "user_agent.original", "service.version", names.LOGOUTS),
        *("url.path", "url.query", _REFERRER),
    }
)
"""Attributes that have a place outside `event_properties`, or another name in it."""
_OWN: Final = ("session.", "session_", "visitor.", "user.", "[Amplitude]")


class _Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    event_type: str
    device_id: str | UnsetType
    user_id: str | UnsetType
    time: int
    session_id: int
    insert_id: str
    event_properties: Mapping[str, Scalar]
    user_properties: Mapping[str, object] | UnsetType
    user_agent: Scalar | UnsetType
    ip: Scalar | UnsetType
    platform: str | UnsetType
    app_version: Scalar | UnsetType
    library: str


def is_silent(event: Event) -> bool:
    """Return whether there is nothing to send: a user without a name or traits is on the later events, one who left is not."""
    if event.name != names.USER_IDENTIFY:
        return False
    return event.user_id is None or not any(name == _NAME or name.startswith(_TRAITS) for name in event.attributes)


def has_identity(event: Event) -> bool:
    """Return whether the event has a device or a user that Amplitude takes."""
    return bool(_device_id(event) or _user_id(event))


def encoded(event: Event, site: str | None = None) -> bytes:
    """Return one event as JSON. `site`: the address that paths are relative to."""
    attributes = with_client(event)
    agent, address, version = (
        attributes.get(name) for name in ("user_agent.original", "client.address", "service.version")
    )
    user = _user_id(event)
    properties = _properties(event, site)
    if event.user_id and user is None:
        properties["user.id"] = _cut(event.user_id)
    # A session lasts from its first event to its last, so events that are not activity have no session.
    is_apart = event.name in names.APART or "session.late" in attributes
    return to_json(
        _Event(
            event_type=(_NAMES.get(event.name) or _free(event.name))[:LONGEST_TEXT],
            device_id=_device_id(event) or UNSET,
            user_id=user or UNSET,
            time=event.time,
            session_id=OUT_OF_SESSION if is_apart else event.session_started_at,
            insert_id=event.id,
            event_properties=properties,
            user_properties=_user_properties(event) or UNSET,
            user_agent=_cut(agent) if agent else UNSET,
            ip=_cut(address) if address else UNSET,
            platform="Web" if agent else UNSET,
            app_version=_cut(version) if version else UNSET,
            library=user_agent(),
        )
    )


def _free(name: str) -> str:
    """Return the name of a tracked event. Amplitude would not take a reserved one for an event."""
    return f"event: {name}" if name in RESERVED else name


def _device_id(event: Event) -> str | None:
    """Return the browser, or after a logout an id that no one had before.

    Amplitude counts what nobody did at a device for the user whom it saw there last. Its own script makes a new id when the
    app calls `reset()` at a logout.
    """
    logouts = event.attributes.get(names.LOGOUTS)
    return hashed_uuid("amplitude", event.visitor_id, str(logouts)) if logouts else _id(event.visitor_id)


def _user_id(event: Event) -> str | None:
    return _id(event.user_id or "")


@lru_cache(maxsize=4096)
def _id(text: str) -> str | None:
    bare = text.strip()
    return None if not bare or bare.lower() in PLACEHOLDERS else text[:LONGEST_TEXT]


def _properties(event: Event, site: str | None) -> dict[str, Scalar]:
    attributes = event.attributes
    properties = {shown: _cut(value) for name, value in attributes.items() if (shown := _shown(name)) is not None}
    properties["session_uuid"] = event.session_key
    if event.session_id != event.session_key:
        properties["session.id"] = _cut(event.session_id)
    if "url.path" in attributes:
        properties |= _page(attributes, site)
    return properties | _source(event)


@lru_cache(maxsize=4096)  # bounded, because names come from the app
def _shown(name: str) -> str | None:
    """Return the name of an attribute in `event_properties`. Properties given to `track()` keep their names."""
    if name in _MOVED or name.startswith(_TRAITS):
        return None
    bare = name.removeprefix(EVENT_PREFIX)
    return name if bare.startswith(_OWN) else bare


def _page(attributes: Mapping[str, Scalar], site: str | None) -> dict[str, Scalar]:
    """Return the page of an event under the names of Amplitude's script."""
    path, query = str(attributes["url.path"]), attributes.get("url.query")
    url = (site or "") + path
    page = {"[Amplitude] Page Path": path, "[Amplitude] Page Location": f"{url}?{query}" if query else url}
    if site is not None:
        page |= {"[Amplitude] Page URL": url, "[Amplitude] Page Domain": urlsplit(site).netloc}
    return {name: _cut(value) for name, value in page.items()}


def _source(event: Event) -> dict[str, Scalar]:
    """Return where the event's own page was reached from: parameters of campaigns, the referrer."""
    attributes = event.attributes
    source: dict[str, Scalar] = {}
    if query := attributes.get("url.query"):
        source |= {name: _cut(value) for name, value in campaign_parameters(str(query)).items()}
    if referrer := attributes.get(_REFERRER):
        source |= {"referrer": _cut(referrer), "referring_domain": _cut(domain(str(referrer)))}
    return source


def _user_properties(event: Event) -> Mapping[str, object]:
    """Return the traits of a user, or where a session came from: Amplitude's script keeps that as properties of the user."""
    attributes = event.attributes
    if event.name == names.SESSION_START and names.INTERNAL_REFERRER not in attributes:
        return _source(event)
    if event.name != names.USER_IDENTIFY:
        return {}
    traits = {name.removeprefix(_TRAITS): _cut(value) for name, value in attributes.items() if name.startswith(_TRAITS)}
    if _NAME in attributes:
        traits["name"] = _cut(attributes[_NAME])
    return {"$set": traits}


def _cut(value: Scalar) -> Scalar:
    return value[:LONGEST_TEXT] if isinstance(value, str) else value
