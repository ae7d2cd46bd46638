"""Raw calls to the fake Exceptionless, and the rows that they make."""

from __future__ import annotations

import json
from typing import Any

from sojourn.testing.vendors import FakeExceptionless, Received, Reply, VendorSession

PATH = "/api/v2/events"
KEY = "FAKEKEYFAKEKEY"
NOON = 1_769_860_800_000
SESSION = "5e55104f00d"
DAY = 24 * 3600


def at(second: float) -> str:
    """A moment after noon, as the server takes it."""
    hours, rest = divmod(round(second * 1000), 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds, ms = divmod(rest, 1000)
    day, hour = divmod(12 + hours, 24)
    return f"2026-{'01-31' if day == 0 else f'02-{day:02}'}T{hour:02}:{minutes:02}:{seconds:02}.{ms:03}+00:00"


def raw_event(kind: str, second: float, session: str | None = SESSION, **more: Any) -> dict[str, Any]:
    """An event of the session; a start refers to itself."""
    event: dict[str, Any] = {"type": kind, "date": at(second), "data": dict(more.pop("data", {}))}
    if kind == "session":
        event["reference_id"] = session
    elif session is not None:
        event["data"]["@ref:session"] = session
    if user := more.pop("user", None):
        event["data"]["@user"] = {"identity": user}
    return event | more


def call(fake: FakeExceptionless, method: str, path: str, body: bytes = b"", query: str = "", **headers: str) -> Reply:
    own = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    own |= {name.replace("_", "-"): value for name, value in headers.items()}
    return fake.handle(Received(method=method, path=path, query=query, headers=own, body=body))


def post(fake: FakeExceptionless, *events: object, path: str = PATH, **headers: str) -> Reply:
    return call(fake, "POST", path, json.dumps(events).encode(), **headers)


def rows(fake: FakeExceptionless) -> list[tuple[float, float | None, float]]:
    """Start, end and duration of each session, in seconds since noon."""
    return [_row(session) for session in fake.sessions()]


def _row(session: VendorSession) -> tuple[float, float | None, float]:
    assert session.started_at is not None
    assert session.duration_ms is not None
    end = None if session.ended_at is None else (session.ended_at - NOON) / 1000
    return ((session.started_at - NOON) / 1000, end, session.duration_ms / 1000)


def folded(*batches: list[dict[str, Any]]) -> FakeExceptionless:
    fake = FakeExceptionless()
    for batch in batches:
        assert post(fake, *batch).status == 202
    return fake
