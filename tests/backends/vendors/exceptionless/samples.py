"""What events become at Exceptionless, without a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sojourn.backends import ExceptionlessBackend
from sojourn.core.events import Event
from tests.backends.golden_files import shown

ADDRESS = "https://collector.example"
KEY = "FAKEKEYFAKEKEY"
SERVER: Mapping[str, str | int] = {"o_s_name": "Linux", "runtime_version": "3.13.1"}


def sent(*events: Event, **options: Any) -> list[dict[str, Any]]:
    """The events of a batch as they are posted."""
    backend = ExceptionlessBackend(ADDRESS, KEY, environment=SERVER, **options)
    calls = [call["body"] for call in shown(backend, list(events)) if call["call"].endswith("/events")]
    return [event for body in calls for event in body]
