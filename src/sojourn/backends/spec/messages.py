"""Events as `track`, `page` and `identify` of the spec. Pure.

A receiver adds to a message what it alone knows: where the session stands, how batches are dated.
https://segment.com/docs/connections/spec/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from sojourn.backends._exchange import user_agent
from sojourn.backends.campaigns import CLICK_IDS, UTM, campaign_parameters, domain
from sojourn.backends.cloudevents import rfc3339
from sojourn.backends.contexts import with_client
from sojourn.core import events as names
from sojourn.core.events import Event, Scalar
from sojourn.core.properties import EVENT_PREFIX

_TRACKED: Final = {
    names.SESSION_START: "Session Started",
    names.SESSION_HEARTBEAT: "Session Heartbeat",
    names.SESSION_END: "Session Ended",
    names.SESSION_PROPERTIES: "Session Properties Set",
    names.CONNECTION_END: "Connection Ended",
    names.EXCEPTION: "Exception",
    names.LOG: "Log",
    names.OPT_OUT: "Opted Out",
}
_PLACED: Final = frozenset(
    {
        "session.id",
        "visitor.id",
        names.LOGOUTS,
        "user.id",
        "service.name",
        "service.version",
        "deployment.environment.name",
        "client.address",
        "user_agent.original",
        "http.request.header.referer",
        "url.path",
        "url.query",
    }
)
"""Attributes that have a place outside `properties`."""
_SESSIONS_OWN: Final = ("session.", "session_")
_NAME: Final = "user.name"
_TRAITS: Final = "user.traits."
_REFERRER: Final = "http.request.header.referer"
# Without an address, destinations would locate the visitor at the application's server.
_NOWHERE: Final = "0.0.0.0"  # noqa: S104 - nothing listens there
EVERYWHERE: Final[Mapping[str, object]] = {"All": True}
"""Which destinations get an event."""


class _Library(msgspec.Struct, frozen=True, gc=False):
    name: str
    version: str


class _App(msgspec.Struct, frozen=True, gc=False):
    name: Scalar | UnsetType
    version: Scalar | UnsetType
    environment: Scalar | UnsetType


class Page(msgspec.Struct, frozen=True, gc=False):
    """The page of the event, and the referrer of its session."""

    path: Scalar | UnsetType = UNSET
    search: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    referrer: Scalar | UnsetType = UNSET
    referring_domain: str | UnsetType = UNSET
    initial_referrer: Scalar | UnsetType = UNSET
    initial_referring_domain: str | UnsetType = UNSET


class Context(msgspec.Struct, kw_only=True, gc=False, rename="camel"):
    """What an event belongs to. The fields without a comment are those of the spec."""

    session_id: int | UnsetType = UNSET
    """No field of the spec: RudderStack's own."""
    session_start: bool | UnsetType = UNSET
    """No field of the spec: RudderStack's own."""
    channel: str | UnsetType = UNSET
    ip: Scalar
    user_agent: Scalar | UnsetType
    page: Page | UnsetType
    campaign: Mapping[str, str] | UnsetType
    traits: Mapping[str, Scalar] | UnsetType = UNSET
    app: _App | UnsetType
    library: _Library


class Message(msgspec.Struct, kw_only=True, gc=False, rename="camel"):
    """One event. Receivers set the fields with a default."""

    type: str
    event: str | UnsetType
    name: str | UnsetType
    anonymous_id: str | UnsetType
    user_id: str | UnsetType
    channel: str | UnsetType = UNSET
    message_id: str
    timestamp: str
    original_timestamp: str | UnsetType = UNSET
    sent_at: str | UnsetType = UNSET
    integrations: Mapping[str, object]
    properties: Mapping[str, Scalar] | UnsetType
    traits: Mapping[str, Scalar] | UnsetType = UNSET
    context: Context


def is_untagging(event: Event) -> bool:
    """Return whether the event removes the user. The spec has no such event; later events just have no `userId`."""
    return event.name == names.USER_IDENTIFY and event.user_id is None


def message_of(event: Event, site: str | None = None, hidden: frozenset[str] = frozenset()) -> Message:
    """Return one event. `site`: the address that paths are relative to. `hidden`: attributes that are no properties."""
    attributes = event.attributes
    page = _page(event, site)
    view: str | UnsetType = UNSET
    tracked: str | UnsetType = UNSET
    properties: dict[str, Scalar] | UnsetType = UNSET
    match event.name:
        case names.USER_IDENTIFY:
            kind = "identify"
        case names.PAGE_VIEW:
            kind, view = "page", str(attributes.get("http.route") or attributes.get("url.path", ""))
            properties = _properties(event, hidden)
            if page is not UNSET:
                properties |= {
                    name: value for name, value in msgspec.structs.asdict(page).items() if value is not UNSET
                }
        case name:
            kind, tracked = "track", _TRACKED.get(name, name)
            properties = _properties(event, hidden)
    return Message(
        type=kind,
        event=tracked,
        name=view,
        anonymous_id=event.visitor_id or UNSET,
        user_id=event.user_id or UNSET,
        message_id=event.id,
        timestamp=rfc3339(event.time),
        integrations=EVERYWHERE,
        properties=properties,
        context=_context(event, page),
    )


def traits_of(event: Event) -> dict[str, Scalar] | UnsetType:
    """Return what an `identify` says of the user; nothing for other events."""
    if event.name != names.USER_IDENTIFY:
        return UNSET
    attributes = event.attributes
    traits = {name.removeprefix(_TRAITS): value for name, value in attributes.items() if name.startswith(_TRAITS)}
    if _NAME in attributes:
        traits["name"] = attributes[_NAME]
    return traits


def _context(event: Event, page: Page | UnsetType) -> Context:
    attributes = with_client(event)
    query = attributes.get("url.query")
    return Context(
        ip=attributes.get("client.address", _NOWHERE),
        user_agent=attributes.get("user_agent.original", UNSET),
        page=page,
        campaign=(_campaign(query) or UNSET) if isinstance(query, str) else UNSET,
        app=_app(
            attributes.get("service.name", UNSET),
            attributes.get("service.version", UNSET),
            attributes.get("deployment.environment.name", UNSET),
        ),
        library=_library(),
    )


def _page(event: Event, site: str | None) -> Page | UnsetType:
    attributes = event.attributes
    path, query = attributes.get("url.path"), attributes.get("url.query")
    initial = event.context.get(_REFERRER)
    referrer = attributes.get(_REFERRER)
    if referrer is None and event.time == event.session_started_at:
        referrer = initial  # the page that the session began with
    if path is None and initial is None:
        return UNSET
    search = f"?{query}" if query else ""
    return Page(
        path=UNSET if path is None else path,
        search=search or UNSET,
        url=UNSET if path is None or site is None else f"{site}{path}{search}",
        referrer=UNSET if referrer is None or path is None else referrer,
        referring_domain=UNSET if referrer is None or path is None else domain(str(referrer)),
        initial_referrer=UNSET if initial is None else initial,
        initial_referring_domain=UNSET if initial is None else domain(str(initial)),
    )


def _properties(event: Event, hidden: frozenset[str]) -> dict[str, Scalar]:
    properties = {
        shown: value
        for name, value in event.attributes.items()
        if name not in hidden and (shown := _shown(name)) is not None
    }
    query = event.attributes.get("url.query")
    if query:
        properties |= {name: value for name, value in campaign_parameters(str(query)).items() if name in CLICK_IDS}
    # Some destinations would read a `session_id` here as the number, instead of the one in the context.
    properties["session_uuid"] = event.session_key
    if event.session_id != event.session_key:
        properties["session.id"] = event.session_id
    return properties


@lru_cache(maxsize=4096)  # bounded, because names come from the app
def _shown(name: str) -> str | None:
    """Return the name of an attribute in `properties`. Properties given to `track()` keep their names."""
    if name in _PLACED:
        return None
    bare = name.removeprefix(EVENT_PREFIX)
    return name if bare.startswith(_SESSIONS_OWN) else bare


@lru_cache(maxsize=1024)
def _campaign(query: str) -> Mapping[str, str]:
    """Return the campaign's parameters under the names of the spec."""
    parameters = {name[len(UTM) :]: value for name, value in campaign_parameters(query).items() if name.startswith(UTM)}
    return {"name" if name == "campaign" else name: value for name, value in parameters.items() if name}


@lru_cache(maxsize=64)
def _app(name: Scalar | UnsetType, version: Scalar | UnsetType, environment: Scalar | UnsetType) -> _App | UnsetType:
    return _App(name, version, environment) if (name, version, environment) != (UNSET, UNSET, UNSET) else UNSET


@lru_cache(maxsize=1)
def _library() -> _Library:
    # RudderStack accepts three numbers and marks anything else as invalid.
    figures = re.match(r"\d+\.\d+\.\d+", user_agent().partition("/")[2])
    return _Library("sojourn", figures.group() if figures else "0.0.0")
