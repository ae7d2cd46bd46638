"""A backend of Exceptionless, with a fake or a response behind it, and sample events to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from sojourn.backends import ExceptionlessBackend
from sojourn.core.events import Event, Scalar
from sojourn.testing.backend_contract import sample_events
from sojourn.testing.vendors import FakeExceptionless
from tests.backends.golden_files import shown

ADDRESS = "https://collector.example"
KEY = "FAKEKEY"
SERVER: Mapping[str, str | int] = {"o_s_name": "Linux", "runtime_version": "3.13.1"}


def backend_for(fake: FakeExceptionless, **options: Any) -> ExceptionlessBackend:
    return ExceptionlessBackend(ADDRESS, KEY, transport=fake.transport(), **options)


def backend_that_hears(response: httpx.Response) -> ExceptionlessBackend:
    return ExceptionlessBackend(ADDRESS, KEY, transport=httpx.MockTransport(lambda request: response))


def sample(name: str) -> Event:
    return next(event for event in sample_events() if event.name == name)


def changed(event: Event, fields: Mapping[str, Any] | None = None, /, **attributes: Scalar) -> Event:
    return msgspec.structs.replace(event, **(fields or {}), attributes={**event.attributes, **attributes})


def sent(*events: Event, **options: Any) -> list[dict[str, Any]]:
    """The events of a batch as they are posted."""
    backend = ExceptionlessBackend(ADDRESS, KEY, environment=SERVER, **options)
    calls = [call["body"] for call in shown(backend, list(events)) if call["call"].endswith("/events")]
    return [event for body in calls for event in body]
