"""Encode one event for PostHog: its `$` names, its person and its session. Pure."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self
from urllib.parse import urlsplit

import msgspec

from sojourn.backends._exchange import user_agent
from sojourn.backends._json import to_json
from sojourn.backends.campaigns import campaign_parameters, domain
from sojourn.backends.cloudevents import rfc3339
from sojourn.core import events as names
from sojourn.core.browser_sessions import attribute_of
from sojourn.core.events import Event, Scalar
from sojourn.core.ids import hashed_uuid

from .device import device_properties

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_FRAME: Final = re.compile(r"(.+):(\d+) in (.+)")
_CAUSE: Final = "caused by "
_NAMES: Final = {
    names.PAGE_VIEW: "$pageview",
    names.EXCEPTION: "$exception",
}
_OWN_PROPERTIES: Final = "event_properties."
_TRAITS: Final = "user.traits."
_DIRECT: Final = "$direct"
"""What PostHog's own script sends without a referrer; without it, the channel would be unknown instead of direct."""
_REFERRER: Final = "http.request.header.referer"
_RENAMED: Final = {
    "visitor.id": "$device_id",
    "client.address": "$ip",
    "user_agent.original": "$raw_user_agent",
    _REFERRER: "$referrer",
    "url.path": "$pathname",
}
_BROWSER_SESSION: Final = attribute_of("posthog")
_MOVED: Final = frozenset(
    {
        "session.id",
        _BROWSER_SESSION,
        names.LOGOUTS,
        "user.id",
        "user.name",
        "url.query",
        "exception.type",
        "exception.message",
        "exception.stacktrace",
        "exception.escaped",
    }
)
_KEPT_NAMES: Final = 4096


@dataclass(frozen=True, slots=True)
class Shape:
    """Properties that every event has. `site`: the address that paths are relative to."""

    site: str
    constants: Mapping[str, object]

    @classmethod
    def of(cls, site: str | None) -> Self:
        constants: dict[str, object] = {
            "$lib": "sojourn",
            "$lib_version": user_agent().partition("/")[2],
            "$is_server": True,
            "$python_runtime": platform.python_implementation(),
            "$python_version": platform.python_version(),
            # Our times come from a server and are exact. Corrected by the duration of the call, they would all be wrong.
            "$ignore_sent_at": True,
        }
        if site is not None:
            constants["$host"] = urlsplit(site).netloc
        return cls(site or "", constants)


class _Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    event: str
    uuid: str
    distinct_id: str
    timestamp: str
    properties: dict[str, object]


def named_at_start(batch: Sequence[Event]) -> Mapping[str, str]:
    """Return the users identified in the request that began their session, by session: the start belongs to them too.

    On a shared device it would otherwise go to the previous user, to whom PostHog has merged the visitor.
    """
    return {
        event.session_key: event.user_id
        for event in batch
        if event.name == names.USER_IDENTIFY and event.user_id and event.time == event.session_started_at
    }


def encoded(event: Event, shape: Shape, named: Mapping[str, str]) -> bytes:
    """Return one event as JSON."""
    attributes = {**event.context, **event.attributes} if event.context else event.attributes
    user = event.user_id
    if event.name == names.SESSION_START:
        user = user or named.get(event.session_key)
    properties = dict(shape.constants)
    browser_session = attributes.get(_BROWSER_SESSION)
    # A session lasts from its first event to its last, so events that are not activity have no session.
    if event.name not in names.APART and "session.late" not in attributes:
        properties["$session_id"] = browser_session or event.session_key
    if browser_session or event.session_id != event.session_key:
        properties["session.id"] = event.session_id
    for name, value in attributes.items():
        if property_name := _property_name(name):
            properties[property_name] = value
    if "client.address" not in attributes:
        # Otherwise PostHog would locate every visitor at our server.
        properties["$geoip_disable"] = True
    if not user:
        properties["$process_person_profile"] = False
    _describe_client(properties, event, attributes)
    if "url.path" in attributes:
        _place(properties, attributes, shape.site)
    uuid = event.id
    if not _UUID.fullmatch(uuid):
        uuid = hashed_uuid(uuid)
        properties["event.id"] = event.id
    return to_json(
        _Event(
            event=_named(event, user, properties),
            uuid=uuid,
            distinct_id=user or _anonymous_id(event),
            timestamp=rfc3339(event.time),
            properties=properties,
        )
    )


def _anonymous_id(event: Event) -> str:
    """Return who an event without a user belongs to: the visitor, or after a logout an id that no one had before.

    PostHog merges the id of a login into the user. Its own script makes a new one when the app calls `reset()` at a logout.
    """
    visitor = event.visitor_id or event.session_key
    logouts = event.attributes.get(names.LOGOUTS)
    return hashed_uuid("posthog", visitor, str(logouts)) if logouts else visitor


def _named(event: Event, user: str | None, properties: dict[str, object]) -> str:
    """Return PostHog's name of an event, and the properties that only this kind of event has."""
    match event.name:
        case names.USER_IDENTIFY if user:
            properties["$anon_distinct_id"] = _anonymous_id(event)
            properties["$set"] = _person(event.attributes)
            return "$identify"
        case names.EXCEPTION:
            properties["$exception_list"] = _exceptions(event.attributes)
            properties["$exception_level"] = "error"
            return "$exception"
        case name:
            return _NAMES.get(name, name)


@lru_cache(maxsize=_KEPT_NAMES)
def _property_name(name: str) -> str:
    """Return PostHog's name of an attribute; empty if it is sent in another way."""
    if name in _MOVED or name.startswith(_TRAITS):
        return ""
    return _RENAMED.get(name) or name.removeprefix(_OWN_PROPERTIES)


def _describe_client(properties: dict[str, object], event: Event, attributes: Mapping[str, Scalar]) -> None:
    """Add what Web analytics reads from each event. An event without a user agent would count as a bot's."""
    agent = attributes.get("user_agent.original")
    if agent:
        properties |= device_properties(str(agent))
    referrer = attributes.get(_REFERRER)
    if referrer:
        properties["$referring_domain"] = domain(str(referrer))
    elif event.context or (event.name == names.SESSION_START and "session.start_inferred" not in attributes):
        properties["$referrer"] = properties["$referring_domain"] = _DIRECT


def _place(properties: dict[str, object], attributes: Mapping[str, Scalar], site: str) -> None:
    query = attributes.get("url.query")
    path = str(attributes["url.path"])
    properties["$current_url"] = f"{site}{path}?{query}" if query else site + path
    if query:
        properties |= campaign_parameters(str(query))


def _person(attributes: Mapping[str, Scalar]) -> dict[str, Scalar]:
    person = {name.removeprefix(_TRAITS): value for name, value in attributes.items() if name.startswith(_TRAITS)}
    name = attributes.get("user.name")
    return {"name": name, **person} if name else person


def _exceptions(attributes: Mapping[str, Scalar]) -> list[dict[str, object]]:
    """Return the exception and its causes, outermost first, each with its frames."""
    listed = [_exception(str(attributes.get("exception.type", "Exception")), number=0)]
    listed[0]["value"] = attributes.get("exception.message", "")
    listed[0]["mechanism"] = {
        "exception_id": 0,
        "type": "generic",
        "handled": not attributes.get("exception.escaped", False),
        "synthetic": False,
    }
    frames: list[dict[str, object]] = []
    for line in str(attributes.get("exception.stacktrace", "")).splitlines():
        if line.startswith(_CAUSE):
            listed.append(_exception(line.removeprefix(_CAUSE), number=len(listed)))
            frames = []
        elif match := _FRAME.fullmatch(line):
            frames.append(
                {
                    "platform": "python",
                    "filename": match[1],
                    "function": match[3],
                    "lineno": int(match[2][:9]),
                    "in_app": "site-packages/" not in match[1],
                }
            )
            listed[-1]["stacktrace"] = {"type": "raw", "frames": frames}
    return listed


def _exception(kind: str, *, number: int) -> dict[str, object]:
    module, _, name = kind.rpartition(".")
    return {
        "type": name,
        "module": module or None,
        "value": "",
        "mechanism": {"exception_id": number, "parent_id": number - 1, "type": "chained", "synthetic": False},
    }
