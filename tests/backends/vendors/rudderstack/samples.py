"""What events become at RudderStack, without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from sojourn.backends import RudderStackBackend
from sojourn.backends.http import HttpCall
from sojourn.core.events import Event, Scalar
from sojourn.testing.backend_contract import many_events

ADDRESS = "https://shop.dataplane.rudderstack.com"
KEY = "FAKEKEY"
NOW = 1_769_860_900.5
SENT_AT = "2026-01-31T12:01:40.500Z"


def messages(*events: Event, **options: Any) -> list[dict[str, Any]]:
    return [
        message
        for call in RudderStackBackend(ADDRESS, KEY, wall=lambda: NOW, **options).encode(events)
        if isinstance(call, HttpCall)
        for message in json.loads(call.body)["batch"]
    ]


def message(
    name: str, attributes: Mapping[str, Scalar] | None = None, *, site: str | None = None, **fields: Any
) -> dict[str, Any]:
    """What an event of this name becomes."""
    event = msgspec.structs.replace(many_events(1)[0], name=name, attributes=attributes or {}, **fields)
    (found,) = messages(event, site=site)
    return found
