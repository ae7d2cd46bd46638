"""A fake of Amplitude's ingestion, after its documentation and libraries: ids, indexes of bad events, people, sessions."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from sojourn.core.ids import hashed_uuid
from sojourn.testing.vendors import flat
from sojourn.testing.vendors.fake import FakeVendor
from sojourn.testing.vendors.model import Received, Reply, Value, VendorEvent, VendorSession

from .backend import BATCH_PATH, PATH
from .events import IDENTIFY, LONGEST_TEXT, OUT_OF_SESSION, PLACEHOLDERS, RESERVED

_LIMITS: Final = {PATH: 1_000_000, BATCH_PATH: 20_000_000}
_EVENTS: Final = 2_000
_SHORTEST_ID: Final = 5
_KNOWN_MS: Final = 7 * 24 * 3_600_000
_LEAST_SESSION: Final = 10**12
"""Times in seconds are smaller."""
_INSERT_ID: Final = "insert_id"
_DEVICE: Final = "visitor.id"
_KNOWN: Final = frozenset(
    {
        *("event_type", "device_id", "user_id", "time", "session_id", "insert_id", "event_properties"),
        *("user_properties", "user_agent", "ip", "platform", "app_version", "library"),
    }
)
_TEXTS: Final = {
    400: "Invalid event JSON",
    403: "Forbidden",
    413: "Payload too large",
    429: "Too many requests for some devices and users",
}

Person = tuple[str, str]


class _InvalidError(Exception):
    """What is wrong with one event: a group of the response, and the field."""

    def __init__(self, group: str, field: str) -> None:
        super().__init__(group, field)
        self.group, self.field = group, field


class FakeAmplitude(FakeVendor):
    """Accepts `POST /2/httpapi` and `/batch`, a call as a whole or not at all.

    `silenced`: device ids that it has silenced; `spamming`: user or device ids above the daily quota. With `now` (returns
    milliseconds) an `insert_id` is forgotten after 7 days. `is_strict`: also refuse what is accepted but of no use: events
    without an `insert_id`, unknown fields, texts that would be cut, reserved names, sessions that are no time in milliseconds.
    """

    vendor = "amplitude"
    transient = (429, 500, 502, 503, 504)

    def __init__(self, key: str = "FAKEKEY", *, is_strict: bool = False, now: Callable[[], int] | None = None) -> None:
        super().__init__(key)
        self._key = key
        self.is_strict = is_strict
        self._now = now
        self.silenced: set[str] = set()
        self.spamming: set[str] = set()
        self.clear()

    def respond(self, request: Received) -> Reply:
        limit = _LIMITS.get(request.path)
        if limit is None or request.method != "POST":
            return _refused("Invalid request path")
        if len(request.body) > limit:
            return self.failure(413)
        if not request.body:
            return _refused("Missing request body")
        try:
            document = msgspec.json.decode(request.body)
        except (ValueError, RecursionError):
            return _refused("Invalid JSON request body")
        if not isinstance(document, dict):
            return _refused("Invalid JSON request body")
        for field in ("api_key", "events"):
            if not document.get(field):
                return _refused("Request missing required field", missing_field=field)
        key, events = str(document["api_key"]), document["events"]
        if not hmac.compare_digest(key.encode(), self._key.encode()):
            return _refused(f"Invalid API key: {key}")
        if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
            return _refused("Invalid event JSON")
        if len(events) > _EVENTS:
            return self.failure(413)
        options = document.get("options")
        shortest = options.get("min_id_length", _SHORTEST_ID) if isinstance(options, dict) else _SHORTEST_ID
        return self._each(events, shortest, len(request.body))

    def sessions(self) -> list[VendorSession]:
        """Return the sessions: events of one person with one session id. A session lasts from its first event to its last.

        `visitor_id` and `previous_id` are Sojourn's own, from properties.
        """
        groups: dict[tuple[str, Person], list[VendorEvent]] = {}
        for event in self.events():
            if event.session_id and event.name != IDENTIFY:
                groups.setdefault((event.session_id, self._person_of(event)), []).append(event)
        sessions = [flat.spanning(group, user_of=self.user_of) for group in groups.values()]
        return sorted(sessions, key=lambda session: session.started_at or 0)

    def user_of(self, event: VendorEvent) -> str | None:
        """Return the user to whom an event is counted, merged people included."""
        kind, person = self._person_of(event)
        return person if kind == "user" else None

    def users(self) -> dict[str, dict[str, Value]]:
        """Return the properties of the known users."""
        users: dict[str, dict[str, Value]] = {}
        for event in sorted(self.events(), key=lambda event: event.at):
            user = self.user_of(event)
            if user is not None:
                users.setdefault(user, {}).update(self._set[event.id])
        return users

    def event_ids(self) -> list[str]:
        return [str(event.attributes[_INSERT_ID]) for event in self.events()]

    def failure(self, status: int) -> Reply:
        document: dict[str, Any] = {"code": status, "error": _TEXTS.get(status, "Internal error")}
        if status == 429:
            document |= {"eps_threshold": 30, "throttled_devices": {"d": 31}, "throttled_events": [0]}
        return _json(status, document)

    def clear(self) -> None:
        with self._lock:
            super().clear()
            self._owners: dict[str, str] = {}
            self._first_owners: dict[str, str] = {}
            self._people: dict[str, Person] = {}
            self._set: dict[str, Mapping[str, Value]] = {}
            self._taken_at: dict[str, int] = {}

    # --- one call ------------------------------------------------------------------------------------------------

    def _each(self, events: list[dict[str, Any]], shortest: int, size: int) -> Reply:
        problems: dict[str, dict[str, list[int]]] = {}
        read: list[tuple[VendorEvent, dict[str, Any]]] = []
        for index, event in enumerate(events):
            try:
                read.append((self._read(event, shortest), event))
            except _InvalidError as problem:
                problems.setdefault(problem.group, {}).setdefault(problem.field, []).append(index)
        if problems:
            is_missing = problems.keys() == {"events_with_missing_fields"}
            error = "Request missing required field" if is_missing else "Invalid field values on some events"
            return _refused(error, **problems)
        devices = [str(event.get("device_id")) for event in events]
        if silenced := [index for index, device in enumerate(devices) if device in self.silenced]:
            return _refused("Events silenced for device_id", silenced_events=silenced)
        if quota := self.spamming & {*devices, *(str(event.get("user_id")) for event in events)}:
            document = {
                "code": 429,
                "error": _TEXTS[429],
                "exceeded_daily_quota_devices": dict.fromkeys(quota, 500_200),
            }
            return _json(429, document)
        for kept, raw in read:
            self._keep(kept, raw)
        uploaded_at = self._now() if self._now else int(time.time() * 1000)
        return _json(
            200,
            {
                "code": 200,
                "events_ingested": len(read),
                "payload_size_bytes": size,
                "server_upload_time": uploaded_at,
            },
        )

    def _keep(self, event: VendorEvent, raw: Mapping[str, Any]) -> None:
        now = self._now() if self._now else 0
        if now - self._taken_at.get(event.id, now) > _KNOWN_MS:
            self._taken[f"{event.id} before {now}"] = self._taken.pop(event.id)  # forgotten: it counts again
        if not self.take(event):
            return
        self._taken_at[event.id] = now
        device = str(raw.get("device_id") or "")
        user = event.user_id
        if user:
            self._owners[device] = user
            self._first_owners.setdefault(device, user)
        owner = user or self._owners.get(device)
        self._people[event.id] = ("user", owner) if owner else ("device", device)
        changes = raw.get("user_properties") or {}
        self._set[event.id] = changes.get("$set", {}) if event.name == IDENTIFY else changes

    def _person_of(self, event: VendorEvent) -> Person:
        """Return who an event is counted for. What nobody did at a device belongs to the first who logged in there."""
        person = self._people[event.id]
        owner = self._first_owners.get(person[1]) if person[0] == "device" else None
        return ("user", owner) if owner else person

    def _read(self, event: dict[str, Any], shortest: int) -> VendorEvent:
        """Return an event as it is kept; raise if the call is refused for it."""
        if not event.get("event_type"):
            raise _InvalidError("events_with_missing_fields", "event_type")
        for field, kind in (("event_type", str), ("time", int), ("session_id", int), ("insert_id", str)):
            if field in event and type(event[field]) is not kind:
                raise _InvalidError("events_with_invalid_fields", field)
        ids = {field: event[field] for field in ("device_id", "user_id") if event.get(field) is not None}
        for field, value in ids.items():
            if not isinstance(value, str) or value.strip().lower() in PLACEHOLDERS or not value.strip():
                raise _InvalidError("events_with_invalid_fields", field)
        long_enough = {field: value for field, value in ids.items() if len(value) >= shortest}
        if not long_enough:
            group = "events_with_invalid_id_lengths" if ids else "events_with_missing_fields"
            raise _InvalidError(group, next(iter(ids), "device_id"))
        if self.is_strict and (useless := _useless(event)):
            raise _InvalidError("events_with_invalid_fields", useless)
        properties = _flat(event.get("event_properties"))
        session = event.get("session_id", OUT_OF_SESSION)
        device = long_enough.get("device_id", "")
        insert_id = event.get("insert_id") or hashed_uuid("amplitude", str(len(self._taken)))
        return VendorEvent(
            id=hashed_uuid(device, insert_id),
            name=event["event_type"],
            at=event.get("time", int(time.time() * 1000)),
            session_id="" if session == OUT_OF_SESSION else str(session),
            visitor_id=str(properties.get(_DEVICE, device)) or None,
            user_id=long_enough.get("user_id"),
            attributes={**properties, _INSERT_ID: insert_id},
        )


def _useless(event: Mapping[str, Any]) -> str | None:
    """Return the field that Amplitude would take, but not as it is meant."""
    if unknown := event.keys() - _KNOWN:
        return min(unknown)
    if not event.get("insert_id"):
        return "insert_id"
    if event["event_type"] in RESERVED - {IDENTIFY}:
        return "event_type"
    session = event.get("session_id", OUT_OF_SESSION)
    if session != OUT_OF_SESSION and session < _LEAST_SESSION:
        return "session_id"
    texts = {**event, **_flat(event.get("event_properties"))}
    return next((field for field, text in texts.items() if isinstance(text, str) and len(text) > LONGEST_TEXT), None)


def _flat(value: object) -> dict[str, Value]:
    return (
        {}
        if not isinstance(value, dict)
        else {name: json.dumps(item) if isinstance(item, dict | list) else item for name, item in value.items()}
    )


def _refused(error: str, **details: object) -> Reply:
    return _json(400, {"code": 400, "error": error, **details})


def _json(status: int, document: object) -> Reply:
    return Reply(status=status, body=json.dumps(document).encode(), headers={"content-type": "application/json"})
