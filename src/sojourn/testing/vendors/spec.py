"""What fakes of receivers of the Segment spec have in common: keys, messages, users, ends. Pure but for the clock."""

from __future__ import annotations

import binascii
import json
import time
from base64 import b64decode
from collections.abc import Iterable
from typing import Any, Final

from .instants import ms_of
from .model import Value, VendorEvent

TYPES: Final = frozenset({"alias", "group", "identify", "page", "screen", "track"})
SESSION_STARTED: Final = "Session Started"
SESSION_ENDED: Final = "Session Ended"

_TRAITS: Final = "context.traits."


def key_of(authorization: str) -> bytes:
    """Return the write key of a header: the user of basic authentication; empty if there is none."""
    scheme, _, pair = authorization.partition(" ")
    try:
        return b64decode(pair, validate=True).partition(b":")[0] if scheme.lower() == "basic" else b""
    except binascii.Error:
        return b""


def event_of(message: dict[str, Any], session_id: str, number: int) -> VendorEvent:
    """Return an event as a warehouse would show it. `number`: for the id of one that comes without."""
    context = dict_or_empty(message.get("context"))
    kind = str(message.get("type", ""))
    attributes = _flat_all(dict_or_empty(message.get("properties")))
    if kind == "identify":
        # At the root first, where the spec has them, and where RudderStack's library for Node repeats them.
        traits = dict_or_empty(context.get("traits")) | dict_or_empty(message.get("traits"))
        attributes |= {_TRAITS + name: value for name, value in _flat_all(traits).items()}
    elif message.get("name") is not None:
        attributes.setdefault("name", str(message["name"]))
    at = time_of(message)
    return VendorEvent(
        id=text_of(message.get("messageId")) or f"assigned-{number}",
        name=str(message.get("event", "")) if kind == "track" else kind,
        at=at if at is not None else ms_of(message.get("sentAt")) or int(time.time() * 1000),
        session_id=session_id,
        visitor_id=text_of(message.get("anonymousId")) or None,
        user_id=text_of(message.get("userId")) or None,
        attributes=attributes,
    )


def time_of(message: dict[str, Any]) -> int | None:
    """Return when a message says that it happened, in milliseconds; `None` if it cannot be read."""
    at = ms_of(message.get("timestamp"))
    return ms_of(message.get("originalTimestamp")) if at is None else at


def users_of(events: Iterable[VendorEvent]) -> dict[str, dict[str, Value]]:
    """Return the identified users and their traits."""
    users: dict[str, dict[str, Value]] = {}
    for event in sorted(events, key=lambda event: event.at):
        if event.name == "identify" and event.user_id:
            traits = {
                name.removeprefix(_TRAITS): value
                for name, value in event.attributes.items()
                if name.startswith(_TRAITS)
            }
            users.setdefault(event.user_id, {}).update(traits)
    return users


def is_end(event: VendorEvent) -> bool:
    """Return whether the event ends a session. An app may track this name, but cannot give it a session's duration."""
    return event.name == SESSION_ENDED and "session.duration_ms" in event.attributes


def has_identity(message: dict[str, Any]) -> bool:
    """Return whether a message says whose it is."""
    return bool(text_of(message.get("anonymousId")) or text_of(message.get("userId")))


def text_of(value: object) -> str:
    """Return an id as the receivers store it: as text, stripped."""
    return "" if value is None else str(value).strip()


def dict_or_empty(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _flat_all(values: dict[str, Any]) -> dict[str, Value]:
    """Return values as columns of a warehouse: nested values become text."""
    nested = {name: json.dumps(value) for name, value in values.items() if type(value) in (dict, list)}
    return values | nested
