"""Raw calls to the fake mParticle: a valid batch, and ways to change it."""

from __future__ import annotations

import copy
import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from sojourn.testing.vendors import FakeMParticle, Reply
from tests.backends.vendors import connected

UUID = "5F0C6C1E-6C5B-4F0E-9D2E-0B7A2F6B8C11"
STARTED_AT = 1_767_225_600_000

# The example of mParticle's facts: it passes their own schema.
GOOD: dict[str, Any] = {
    "environment": "development",
    "source_request_id": "0b0e7a36-2f4f-4b1d-9d39-6d1c7a3f4a10",
    "timestamp_unixtime_ms": 1767226021000,
    "mp_deviceid": "6b1f6c2a-3a5e-4a58-8f0f-9a1d6d0c1e77",
    "ip": "203.0.113.7",
    "user_identities": {"customer_id": "user-12345"},
    "user_attributes": {"plan": "premium"},
    "events": [
        {
            "event_type": "session_start",
            "data": {
                "timestamp_unixtime_ms": STARTED_AT,
                "session_uuid": UUID,
                "session_id": 8682646382169491228,
                "session_start_unixtime_ms": STARTED_AT,
                "source_message_id": UUID,
            },
        },
        {
            "event_type": "custom_event",
            "data": {
                "event_name": "session_heartbeat",
                "custom_event_type": "other",
                "timestamp_unixtime_ms": 1767225900000,
                "session_uuid": UUID,
                "session_start_unixtime_ms": STARTED_AT,
                "source_message_id": "a-2",
                "custom_attributes": {"request_count": "7"},
            },
        },
        {
            "event_type": "session_end",
            "data": {
                "timestamp_unixtime_ms": 1767226020000,
                "session_uuid": UUID,
                "session_id": 8682646382169491228,
                "session_start_unixtime_ms": STARTED_AT,
                "session_duration_ms": 420000,
                "source_message_id": "a-3",
                "custom_attributes": {"level_achieved": "11", "session.end_reason": "idle_timeout"},
            },
        },
        {
            "event_type": "opt_out",
            "data": {"timestamp_unixtime_ms": 1767226020001, "session_uuid": UUID, "is_opted_out": True},
        },
    ],
}
START, CUSTOM, END, OPT_OUT = range(4)
SESSION_NUMBERS = (
    ("76F1ABB9-7A9A-4D4E-AB4D-56C8FF79CAD1", -6881666186511944082),
    ("222F6BEA-F6A8-4DFC-A950-744EFD6FEC3D", 7868951891731938297),
    ("B469F3A1-79B6-4E83-823A-53CFC41C3880", -5269132687922921892),
    ("84E1B361-A282-4ADF-8A6D-1D31E6DD5A9E", 6051321688317951794),
)
"""Session ids and their numbers, as mParticle's own libraries derive them."""

Change = Callable[[dict[str, Any]], object]


def authorization(pair: str = "FAKEKEY:FAKESECRET") -> dict[str, str]:
    return {"authorization": f"Basic {b64encode(pair.encode()).decode()}", "content-type": "application/json"}


def call(
    fake: FakeMParticle,
    body: object,
    *,
    path: str = "/v2/events",
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    return connected.call(fake, body, path, authorization() if headers is None else headers, method=method)


def message(reply: Reply) -> str:
    (error,) = json.loads(reply.body)["errors"]
    assert error["code"]
    return str(error["message"])


def changed(change: Change) -> dict[str, Any]:
    batch = copy.deepcopy(GOOD)
    change(batch)
    return batch


def top(**values: object) -> Change:
    return lambda batch: batch.update(values)


def inside(number: int, **values: object) -> Change:
    return lambda batch: batch["events"][number]["data"].update(values)


def beside(number: int, **values: object) -> Change:
    return lambda batch: batch["events"][number].update(values)


def crash(**values: object) -> Change:
    return lambda batch: batch["events"].append({"event_type": "crash_report", "data": values})


def without(number: int, name: str) -> Change:
    return lambda batch: batch["events"][number]["data"].pop(name)
