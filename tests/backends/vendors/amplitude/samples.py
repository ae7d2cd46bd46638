"""What events become at Amplitude, without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from sojourn.backends import AmplitudeBackend
from sojourn.backends.http import HttpCall
from sojourn.core.events import Event, Scalar
from sojourn.testing.backend_contract import many_events

ADDRESS = "https://api2.amplitude.com"
KEY = "FAKEKEY"


def sent(*events: Event, **options: Any) -> list[dict[str, Any]]:
    return [
        event
        for call in AmplitudeBackend(ADDRESS, KEY, **options).encode(events)
        if isinstance(call, HttpCall)
        for event in json.loads(call.body)["events"]
    ]


def encoded(
    name: str, attributes: Mapping[str, Scalar] | None = None, *, site: str | None = None, **fields: Any
) -> dict[str, Any]:
    """What an event of this name becomes."""
    event = msgspec.structs.replace(many_events(1)[0], name=name, attributes=attributes or {}, **fields)
    (found,) = sent(event, site=site)
    return found
