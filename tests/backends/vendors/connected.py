"""Any vendor's backend, connected to its fake or to a fixed response, and events to send."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from sojourn.backends import Backend, backend_from_url, registry
from sojourn.core.events import CONTEXT, Event, Scalar
from sojourn.core.ids import uuid7
from sojourn.errors import SettingsError
from sojourn.testing.backend_contract import many_events, sample_events
from sojourn.testing.vendors import FakeVendor, Received, Reply, make_fake

ORIGIN = "https://vendor.example"


def backend_class(scheme: str) -> Any:
    entry = registry.find(scheme)
    assert entry is not None
    return registry.load(entry)


def backend_on(fake: FakeVendor, **options: Any) -> Any:
    """The backend of a fake, connected without a socket."""
    return backend_class(fake.vendor).from_url(fake.url(ORIGIN), **{"transport": fake.transport(), **options})


def backend_responding(
    scheme: str, response: httpx.Response | Callable[[httpx.Request], httpx.Response], **options: Any
) -> Any:
    """The backend of a vendor whose server gives this response to every call."""
    handler = response if callable(response) else lambda request: response
    return backend_on(make_fake(scheme, is_strict=True), transport=httpx.MockTransport(handler), **options)


def check_pause(backend: Backend, reason: str) -> None:
    """Delivery pauses for this reason, and no event is lost."""
    receipt = backend.send(many_events(2))
    assert (receipt.delivered, receipt.rejected) == (0, ())
    assert reason in (receipt.pause or "")


def call(fake: FakeVendor, body: object, path: str, headers: Mapping[str, str], *, method: str = "POST") -> Reply:
    """Send a body to a fake: as it is, or as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return fake.handle(Received(method=method, path=path, headers=headers, body=raw))


def basic(key: str) -> dict[str, str]:
    """The header of a key that is a user without a password."""
    return {"authorization": f"Basic {b64encode(f'{key}:'.encode()).decode()}"}


def check_wrong_url(url: str, says: str) -> None:
    """The error of a URL names what is wrong with it, and not the key `hunter2`."""
    with pytest.raises(SettingsError) as caught:
        backend_from_url(url)
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)


def accepted(backend: Backend, events: list[Event]) -> list[Event]:
    return [event for event in events if backend.accepts(event)]


def logged_events() -> list[Event]:
    """The sample events with the ids that an event log has (UUIDs, a session's begins with its time) and the contexts."""
    events = sample_events()
    key = uuid7(events[0].session_started_at, bytes(10))
    fields = {"session_id": key, "session_key": key, "context": context_of(events[0])}
    return [changed(event, {"id": str(UUID(event.id)), **fields}, **{"session.id": key}) for event in events]


def context_of(start: Event) -> dict[str, Scalar]:
    """What the start says of the client, as a store gives it to the events of its session."""
    return {name: start.attributes[name] for name in CONTEXT if name in start.attributes}


def sample(name: str) -> Event:
    return next(event for event in sample_events() if event.name == name)


def changed(event: Event, fields: Mapping[str, Any] | None = None, /, **attributes: Scalar) -> Event:
    """The event with other fields, and with further attributes."""
    return msgspec.structs.replace(event, **(fields or {}), attributes={**event.attributes, **attributes})


def check_sample_session(fake: FakeVendor) -> None:
    """What the fake shows after it took the sample events twice."""
    (session,) = fake.sessions()
    assert (session.user_id, session.duration_ms, session.reason) == ("anna", 95_250, "idle_timeout")
    assert (session.started_at, session.ended_at) == (1_769_860_800_000, 1_769_860_895_250)
    assert fake.duplicates >= len(session.events)
