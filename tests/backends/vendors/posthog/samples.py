"""A backend of PostHog, with a fake or a response behind it, and sample events to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from sojourn.backends import PostHogBackend
from sojourn.core.events import Event, Scalar
from sojourn.testing.backend_contract import sample_events
from sojourn.testing.vendors import FakePostHog
from tests.backends.golden_files import shown

ADDRESS = "https://us.i.posthog.com"
KEY = "phc_FAKEKEY"


def backend_for(fake: FakePostHog, **options: Any) -> PostHogBackend:
    return PostHogBackend(ADDRESS, KEY, transport=fake.transport(), **options)


def backend_that_hears(response: httpx.Response) -> PostHogBackend:
    return PostHogBackend(ADDRESS, KEY, transport=httpx.MockTransport(lambda request: response))


def sample(name: str) -> Event:
    return next(event for event in sample_events() if event.name == name)


def changed(event: Event, fields: Mapping[str, Any] | None = None, /, **attributes: Scalar) -> Event:
    return msgspec.structs.replace(event, **(fields or {}), attributes={**event.attributes, **attributes})


def sent(*events: Event, **options: Any) -> list[dict[str, Any]]:
    """The events of a batch as they are posted."""
    (call,) = shown(PostHogBackend(ADDRESS, KEY, heartbeats=True, **options), list(events))
    return list(call["body"]["batch"])
