"""A fake of Dynatrace's ingest of business events, after its documentation: tokens, CloudEvents, partial success."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import msgspec

from sojourn.testing.vendors import flat
from sojourn.testing.vendors.fake import FakeVendor
from sojourn.testing.vendors.instants import ms_of
from sojourn.testing.vendors.model import Received, Reply, Value, VendorEvent, VendorSession

PATH: Final = "/v2/bizevents/ingest"
"""The end of the path, both on an environment and on the platform."""

_LIMIT: Final = 5_000_000
_OLDEST_MS: Final = 24 * 3_600_000
_AHEAD_MS: Final = 10 * 60_000
_BATCH: Final = frozenset({"application/cloudevent-batch+json", "application/cloudevents-batch+json"})
_SINGLE: Final = frozenset({"application/cloudevent+json", "application/cloudevents+json"})
_ATTRIBUTE: Final = re.compile(r"[a-z0-9]+")  # CloudEvents 1.0, naming conventions
_KNOWN: Final = frozenset({"data", "data_base64", "id", "source", "specversion", "time", "type"})
_REQUIRED: Final = ("id", "source", "specversion", "type")
_MESSAGES: Final = {
    400: "Could not map JSON",
    401: "Token Authentication failed",
    403: "Token is missing required scope. Use one of: bizevents.ingest",
    404: "Not found",
    405: "Method not allowed",
    413: "Payload too large",
    415: "Unsupported media type",
    429: "Too many requests",
}


class FakeDynatrace(FakeVendor):
    """Accepts CloudEvents at the path of bizevents, on any environment. A 400 has accepted the valid events of its call.

    `token` may ingest; `powerless` is a known token without the scope. Dynatrace has no sessions of its own: `sessions()` is
    what a query by `session.id` shows, each `event.id` once. With `now` (returns milliseconds), events older than 24 hours are
    dropped without a word, as Dynatrace does, and those from the future get a date at most ten minutes ahead.
    """

    vendor = "dynatrace"
    transient = (429, 500, 503)

    def __init__(
        self,
        token: str = "dt0c01.FAKE.TOKEN",  # noqa: S107
        *,
        powerless: str = "dt0c01.FAKE.POWERLESS",
        now: Callable[[], int] | None = None,
    ) -> None:
        super().__init__(token)
        self._now = now
        self.discarded: list[VendorEvent] = []
        """Events that were dropped for their age. Their sender got a 202."""
        self._token = token
        self._powerless = powerless

    def respond(self, request: Received) -> Reply:
        if not request.path.endswith(PATH):
            return self.failure(404)
        if request.method != "POST":
            return self.failure(405)
        if (status := self._token_problem(request.headers.get("authorization", ""))) is not None:
            return self.failure(status)
        if len(request.body) > _LIMIT:
            return self.failure(413)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _BATCH | _SINGLE:
            return self.failure(415)
        try:
            document = msgspec.json.decode(request.body)
        except ValueError:
            return self.failure(400)
        events = document if kind in _BATCH else [document]
        if not isinstance(events, list):
            return self.failure(400)
        return self._each(events)

    def sessions(self) -> list[VendorSession]:
        return flat.sessions_of(self.events())

    def failure(self, status: int) -> Reply:
        message = _MESSAGES.get(status, "Internal error")
        error = {"error": {"code": status, "message": message, "constraintViolations": []}}
        return _json(status, error)

    def _token_problem(self, authorization: str) -> int | None:
        scheme, _, token = authorization.partition(" ")
        is_api_token = token.startswith("dt0c01.")
        if scheme != ("Api-Token" if is_api_token else "Bearer"):
            return 401
        if hmac.compare_digest(token.encode(), self._token.encode()):
            return None
        return 403 if token == self._powerless else 401

    def _each(self, events: list[object]) -> Reply:
        errors: list[dict[str, Any]] = []
        for index, event in enumerate(events):
            try:
                self._keep(_read(event))
            except ValueError as problem:
                fields = event if isinstance(event, dict) else {}
                about = {
                    "id": fields.get("id"),
                    "index": index,
                    "message": str(problem),
                    "source": fields.get("source"),
                }
                errors.append(about)
        return _json(400, {"errors": errors}) if errors else _json(202, {})

    def _keep(self, event: VendorEvent) -> None:
        if self._now is not None:
            now = self._now()
            if event.at < now - _OLDEST_MS:
                self.discarded.append(event)
                return
            event = replace(event, at=min(event.at, now + _AHEAD_MS))
        self.take(event)

    def clear(self) -> None:
        with self._lock:
            super().clear()
            self.discarded.clear()


def _read(event: object) -> VendorEvent:
    """Return one CloudEvent as it is stored; raise `ValueError` with the reason if it is invalid."""
    if not isinstance(event, dict):
        raise ValueError("Event is no JSON object")
    for name in _REQUIRED:
        if not isinstance(event.get(name), str) or not event[name]:
            raise ValueError(f"Required attribute {name} is missing or no text")
    if event["specversion"] != "1.0":
        raise ValueError("Attribute specversion must be 1.0")
    for name in event.keys() - _KNOWN:
        if not _ATTRIBUTE.fullmatch(name):
            raise ValueError(f"Attribute {name} has a name that CloudEvents does not allow")
    at = ms_of(event["time"]) if "time" in event else 0
    if at is None:
        raise ValueError("Attribute time is no timestamp of RFC 3339")
    data: dict[str, Any] = event.get("data", {})
    if not isinstance(data, dict):
        raise ValueError("Attribute data is no JSON object")
    # Nested values are kept as text and cannot be queried, which is why the backend sends flat keys.
    nested = {name: json.dumps(value) for name, value in data.items() if isinstance(value, dict | list)}
    return VendorEvent(
        id=event["id"],
        name=event["type"],
        at=at,
        session_id=str(data.get("session.id") or ""),
        visitor_id=_text(data.get("visitor.id")),
        user_id=_text(data.get("user.id")),
        attributes=data | nested if nested else data,
    )


def _text(value: Value) -> str | None:
    return None if value is None else str(value)


def _json(status: int, document: object) -> Reply:
    return Reply(status=status, body=json.dumps(document).encode(), headers={"content-type": "application/json"})
