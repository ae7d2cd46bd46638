"""Events as Matomo's tracking requests: one opens a visit, others are actions in it or change what it says. Pure.

Matomo decides about visits itself: it looks for the last visit of the visitor id (`cid`), and continues that if its last action
is less than 30 minutes old. `new_visit` makes it begin another one, `ping` changes a visit without an action.
https://developer.matomo.org/api-reference/tracking-api
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from sojourn.backends.contexts import with_client
from sojourn.core import events as names
from sojourn.core.events import Event, Scalar
from sojourn.core.properties import EVENT_PREFIX

_WITHOUT_ACTION: Final = frozenset(
    {names.SESSION_HEARTBEAT, names.SESSION_PROPERTIES, names.SESSION_END, names.USER_IDENTIFY}
)
_NOTHING: Final = frozenset({names.CONNECTION_END, names.OPT_OUT})
_REFERRER: Final = "http.request.header.referer"
# Without an address, Matomo would locate the visitor at the application's server.
_NOWHERE: Final = "0.0.0.0"  # noqa: S104 - nothing listens there
_SAME_SECOND_MS: Final = 1_000
"""Matomo's clock has seconds."""
_GREATEST: Final = 2**53
_LONGEST_OF_EVENT: Final = 1_000
"""Matomo responds to one of more than 4,096 characters with 500 each time, and undoes the call."""
_LONGEST: Final = 250
"""Of a custom dimension; Matomo cuts the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where requests belong. `dimensions`: the number of Matomo's custom dimension by the attribute that it gets."""

    id: int
    base_url: str
    has_user_ids: bool
    dimensions: Mapping[str, int]


def is_nothing(event: Event) -> bool:
    """Return whether Matomo has nothing for an event: the end of a visit says that its visitor opted out."""
    return event.name in _NOTHING or (event.name == names.USER_IDENTIFY and event.user_id is None)


def visitor_id(event: Event) -> str:
    """Return the visitor as Matomo's ids are: 16 hexadecimal digits."""
    return sha256(event.visitor_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def grouped(batch: Sequence[Event]) -> Iterator[tuple[Event, ...]]:
    """Return which events make one request: a start and the page view that it began with, every other one alone.

    So a visit of one page has one action, and Matomo counts it as a bounce.
    """
    starts: dict[str, Event] = {}
    pages: dict[str, Event] = {}  # the first page view after a start, by the id of the start
    for event in batch:
        start = starts.get(event.session_key)
        if event.name == names.SESSION_START:
            starts[event.session_key] = event
        elif start and event.name == names.PAGE_VIEW and 0 <= event.time - start.time < _SAME_SECOND_MS:
            pages.setdefault(start.id, event)
    merged = {page.id for page in pages.values()}
    for event in batch:
        if not is_nothing(event) and event.id not in merged:
            yield (event, pages[event.id]) if event.id in pages else (event,)


def request(events: Sequence[Event], site: Site) -> dict[str, Any]:
    """Return the tracking request of a group."""
    first, last = events[0], events[-1]
    attributes = {**with_client(first), **last.attributes}
    parameters: dict[str, Any] = {
        "idsite": site.id,
        "rec": 1,
        "apiv": 1,
        "bots": 1,  # Sojourn has sorted them out; Matomo would drop the rest without a word
        "cid": visitor_id(first),
        "cdt": _second(first),
        "cip": _text(attributes.get("client.address")) or _NOWHERE,
    }
    if agent := attributes.get("user_agent.original"):
        parameters["ua"] = _text(agent)
    if first.name == names.SESSION_START:
        parameters |= _opening(first)
    elif site.has_user_ids and first.user_id:
        # Not while the visitor may be unknown to Matomo: it would then look for a visit by browser and address.
        parameters["uid"] = first.user_id
    parameters |= _action(last, attributes, site)
    for name, number in site.dimensions.items():
        if (value := attributes.get(name)) is not None:
            parameters[f"dimension{number}"] = _text(value)[:_LONGEST]
    return parameters


def _second(event: Event) -> int:
    """Return the time of an event for Matomo: the second in which it was.

    A session that follows another begins a second later at most: of two visits whose last actions are in one second, Matomo
    would continue the earlier one.
    """
    is_successor = event.name == names.SESSION_START and "session.previous_id" in event.attributes
    return -(-event.time // 1000) if is_successor else event.time // 1000


def _opening(start: Event) -> dict[str, Scalar]:
    opening: dict[str, Scalar] = {}
    # A visitor without an earlier session has no visit to continue. Without it, a repeated request opens no second one.
    if "session.previous_id" in start.attributes:
        opening["new_visit"] = 1
    if referrer := start.attributes.get(_REFERRER):
        opening["urlref"] = _text(referrer)
    return opening


def _action(event: Event, attributes: Mapping[str, Scalar], site: Site) -> dict[str, Scalar]:
    if event.name in _WITHOUT_ACTION:
        return {"ping": 1}
    path = attributes.get("url.path")
    query = attributes.get("url.query")
    url = f"{site.base_url}{path or '/'}{f'?{query}' if query else ''}"
    match event.name:
        case names.PAGE_VIEW:
            page: dict[str, Scalar] = {"url": url, "action_name": _text(attributes.get("http.route") or path or "/")}
            if (took := _number(attributes.get("page_view.duration_ms"))) is not None:
                page["pf_srv"] = round(took)
            return page
        case names.SESSION_START:
            what: dict[str, Scalar] = {"e_c": "session", "e_a": "start"}
        case names.EXCEPTION:
            what = _named("exception", attributes.get("exception.type"), attributes.get("exception.place"))
        case names.LOG:
            what = _named("log", attributes.get("log.severity"), attributes.get("log.body"))
        case name:
            what = _named("event", name, attributes.get(f"{EVENT_PREFIX}name"))
            if (value := _number(attributes.get(f"{EVENT_PREFIX}value"))) is not None:
                what["e_v"] = value
    return {"url": url, **what} if path is not None else what


def _named(category: str, action: Scalar | None, name: Scalar | None) -> dict[str, Scalar]:
    # An event without an action would be a page view.
    event: dict[str, Scalar] = {"e_c": category, "e_a": _text(action).strip()[:_LONGEST_OF_EVENT] or "unknown"}
    if name is not None:
        event["e_n"] = _text(name)[:_LONGEST_OF_EVENT]
    return event


def _number(value: Scalar | None) -> int | float | None:
    """Return a number that Matomo's columns can hold, or `None`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -_GREATEST < value < _GREATEST else None


def _text(value: Scalar | None) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
