"""What events become at Google Analytics, without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from sojourn.backends import GA4Backend
from sojourn.backends.http import HttpCall
from sojourn.core.events import Event, Scalar
from sojourn.testing.backend_contract import many_events

ADDRESS = "https://www.google-analytics.com"
KEY, SECRET = "G-FAKE000001", "FAKE-SECRET"


def bodies(*events: Event, **options: Any) -> list[dict[str, Any]]:
    return [
        json.loads(call.body)
        for call in GA4Backend(ADDRESS, KEY, SECRET, **options).encode(events)
        if isinstance(call, HttpCall)
    ]


def body(name: str, attributes: Mapping[str, Scalar] | None = None, **fields: Any) -> dict[str, Any]:
    """The body of the call that an event of this name becomes."""
    event = msgspec.structs.replace(many_events(1)[0], name=name, attributes=attributes or {}, **fields)
    (found,) = bodies(event)
    return found


def encoded(
    name: str, attributes: Mapping[str, Scalar] | None = None, *, site: str | None = None, **fields: Any
) -> dict[str, Any]:
    """What an event of this name becomes."""
    event = msgspec.structs.replace(many_events(1)[0], name=name, attributes=attributes or {}, **fields)
    (found,) = bodies(event, site=site)
    (only,) = found["events"]
    return dict(only)
