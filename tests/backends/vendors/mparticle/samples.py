"""What events become at mParticle, without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sojourn.backends import MParticleBackend
from sojourn.backends.http import HttpCall
from sojourn.core.events import Event, Scalar
from sojourn.core.ids import uuid7
from sojourn.testing.backend_contract import many_events
from sojourn.testing.vendors import FakeMParticle

ADDRESS = "https://s2s.eu1.mparticle.com"
KEY, SECRET = "FAKEKEY", "FAKESECRET"
NOW_MS = 1_769_860_900_000
NOW = NOW_MS / 1000
OLD_AFTER_MS = 30 * 24 * 3600 * 1000
LONGEST_VALUE = 4096


def backend(fake: FakeMParticle | None = None, **options: Any) -> MParticleBackend:
    transport = None if fake is None else fake.transport()
    return MParticleBackend(ADDRESS, KEY, SECRET, wall=lambda: NOW, transport=transport, **options)


def calls(events: Sequence[Event], **options: Any) -> list[HttpCall]:
    made = list(backend(**options).encode(events))
    return [call for call in made if isinstance(call, HttpCall)]


def batches(*events: Event, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for call in calls(events, **options):
        document = json.loads(call.body)
        found += document if isinstance(document, list) else [document]
    return found


def event_of(name: str, attributes: Mapping[str, Scalar] | None = None, **fields: Any) -> Event:
    return msgspec.structs.replace(many_events(1)[0], name=name, attributes=attributes or {}, **fields)


def encoded(name: str, attributes: Mapping[str, Scalar] | None = None, **fields: Any) -> dict[str, Any]:
    """What an event of this name becomes."""
    (batch,) = batches(event_of(name, attributes, **fields))
    (found,) = batch["events"]
    return dict(found)


def wanted(events: Sequence[Event], **options: Any) -> list[Event]:
    chosen = backend(**options)
    return [event for event in events if chosen.accepts(event)]


def session(number: int) -> str:
    return uuid7(1_769_860_800_000, number.to_bytes(10, "big"))
