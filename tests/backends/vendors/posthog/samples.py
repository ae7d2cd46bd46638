"""What events become at PostHog, without a network."""

from __future__ import annotations

from typing import Any

from sojourn.backends import PostHogBackend
from sojourn.core.events import Event
from tests.backends.golden_files import shown

ADDRESS = "https://us.i.posthog.com"
KEY = "phc_FAKEKEY"


def sent(*events: Event, **options: Any) -> list[dict[str, Any]]:
    """The events of a batch as they are posted."""
    (call,) = shown(PostHogBackend(ADDRESS, KEY, heartbeats=True, **options), list(events))
    return list(call["body"]["batch"])
