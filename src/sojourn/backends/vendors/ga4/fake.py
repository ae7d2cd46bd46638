"""A fake of the Measurement Protocol, after its documentation: success for anything, a validation server, sessions by id."""

from __future__ import annotations

import hmac
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from sojourn.core.ids import hashed_uuid
from sojourn.testing.vendors import flat
from sojourn.testing.vendors.fake import FakeVendor
from sojourn.testing.vendors.model import Received, Reply, Value, VendorEvent, VendorSession

from .backend import CALL_BYTES, CALL_EVENTS, PATH, VALIDATION_PATH
from .events import MOST_PARAMETERS, MOST_USER_PROPERTIES
from .names import (
    EVENT_NAME,
    LONGER_VALUES,
    LONGEST_USER_ID,
    LONGEST_USER_VALUE,
    LONGEST_VALUE,
    PARAMETER_NAME,
    RESERVED_EVENTS,
    RESERVED_PARAMETERS,
    RESERVED_STARTS,
    RESERVED_USER_PROPERTIES,
    USER_PROPERTY_NAME,
)

_OLDEST_MS: Final = 72 * 3_600_000
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_CLIENT: Final = re.compile(r"[1-9]\d*\.[1-9]\d*", re.ASCII)
_SESSION: Final = "session_id"
_ENGAGEMENT: Final = "engagement_time_msec"
_EVENT_ID: Final = "event_id"
_STRICT: Final = "ENFORCE_RECOMMENDATIONS"
_KNOWN: Final = frozenset(
    {
        *("client_id", "user_id", "timestamp_micros", "user_properties", "user_data", "consent", "user_location"),
        *("non_personalized_ads", "ip_override", "device", "user_agent", "validation_behavior", "events"),
    }
)

Problem = dict[str, str]


class FakeGA4(FakeVendor):
    """Responds with 204 to any `POST /mp/collect`, and says at `/debug/mp/collect` what is wrong with a call, keeping nothing.

    `discarded`: why events were dropped after a 204. Google does not de-duplicate: `counted` has every event that arrived, and
    `engagement_ms()` adds up all of them. `sessions()` is what a query of the BigQuery export shows that takes each `event_id`
    once. With `now` (returns milliseconds) events that are older than 72 hours get the date of then. `is_strict`: refuse with
    400, which Google never does, what its validation server would name.
    """

    vendor = "ga4"
    transient = (500, 502, 503)

    def __init__(
        self,
        measurement_id: str = "G-FAKE000001",
        secret: str = "FAKE-SECRET",  # noqa: S107
        *,
        is_strict: bool = False,
        now: Callable[[], int] | None = None,
    ) -> None:
        super().__init__(measurement_id, secret)
        self.is_strict = is_strict
        self._now = now
        self.counted: list[VendorEvent] = []
        self.discarded: list[str] = []

    def respond(self, request: Received) -> Reply:
        if request.path not in (PATH, VALIDATION_PATH):
            return Reply(status=404)
        if request.method != "POST":
            return Reply(status=405)
        try:
            call = msgspec.json.decode(request.body)
        except (ValueError, RecursionError):
            call = None
        problems = list(self._problems(call, len(request.body)))
        if request.path == VALIDATION_PATH:
            return _json(200, {"validationMessages": problems})
        if problems and (self.is_strict or not isinstance(call, dict)):
            self.discarded.extend(problem["description"] for problem in problems)
            return _json(400, problems) if self.is_strict else Reply(status=204)
        if not self._knows(request.query):
            self.discarded.append("unknown measurement_id or api_secret")
            return Reply(status=204)
        self._keep_all(call)
        return Reply(status=204)

    def sessions(self) -> list[VendorSession]:
        """Return the sessions: events of one client with one `session_id`. `previous_id` is Sojourn's own."""
        groups: dict[tuple[str, str | None], list[VendorEvent]] = {}
        for event in self.events():
            if event.session_id:
                groups.setdefault((event.session_id, event.visitor_id), []).append(event)
        sessions = [
            flat.spanning(group, user_of=lambda event: event.user_id, named=lambda name: name.replace(".", "_"))
            for group in groups.values()
        ]
        return sorted(sessions, key=lambda session: session.started_at or 0)

    def engagement_ms(self) -> Counter[str]:
        """Return the engagement of the sessions by id, as the reports add it up: events that arrived twice count twice."""
        total: Counter[str] = Counter()
        for event in self.counted:
            spent = event.attributes.get(_ENGAGEMENT, 0)
            if event.session_id and isinstance(spent, int | float):
                total[event.session_id] += int(spent)
        return total

    def event_ids(self) -> list[str]:
        return [str(event.attributes.get(_EVENT_ID, event.id)) for event in self.events()]

    def clear(self) -> None:
        with self._lock:
            super().clear()
            self.counted.clear()
            self.discarded.clear()

    # --- one call ------------------------------------------------------------------------------------------------

    def _knows(self, query: str) -> bool:
        keys = parse_qs(query)
        given = [keys.get(name, [""])[0].encode() for name in ("measurement_id", "api_secret")]
        return all(map(hmac.compare_digest, given, (key.encode() for key in self.credentials)))

    def _keep_all(self, call: dict[str, Any]) -> None:
        raws = call.get("events", [])
        if not isinstance(raws, list) or len(raws) > CALL_EVENTS or not call.get("client_id"):
            self.discarded.append("malformed request")
            return
        for raw in raws:
            if not isinstance(raw, dict) or _event_name_problem(raw.get("name")):
                self.discarded.append("event with an invalid name")
                continue
            event = self._read(raw, call)
            self.counted.append(event)
            self.take(event)

    def _read(self, raw: dict[str, Any], call: dict[str, Any]) -> VendorEvent:
        now = self._now() if self._now else int(time.time() * 1000)
        micros = raw.get("timestamp_micros", call.get("timestamp_micros", now * 1000))
        at = int(micros) // 1000
        if self._now is not None and at < now - _OLDEST_MS:
            at = now - _OLDEST_MS
        params = dict(list((raw.get("params") or {}).items())[:MOST_PARAMETERS])
        kept: dict[str, Value] = {name: value for name, value in params.items() if not _value_problem(name, value)}
        own_id = str(kept.get(_EVENT_ID) or f"{len(self.counted)}")
        user = call.get("user_id")
        return VendorEvent(
            id=hashed_uuid("ga4", own_id),
            name=raw["name"],
            at=at,
            session_id=str(kept.get(_SESSION, "")),
            visitor_id=str(call["client_id"]),
            user_id=str(user) if user else None,
            attributes=kept,
        )

    def _problems(self, call: object, size: int) -> Iterator[Problem]:
        """Yield what the validation server finds, with recommendations enforced."""
        if not isinstance(call, dict):
            yield _problem("VALUE_INVALID", "", "The request body is no JSON object.")
            return
        if self.is_strict and (unknown := call.keys() - _KNOWN):
            yield _problem("VALUE_INVALID", min(unknown), f"Unknown field [{min(unknown)}].")
        client, user = call.get("client_id"), call.get("user_id")
        if not client:
            yield _problem("VALUE_REQUIRED", "client_id", "Measurement requires a client_id.")
        elif not isinstance(client, str) or not _CLIENT.fullmatch(client):
            yield _problem("VALUE_INVALID", "client_id", "client_id must be two positive numbers, joined by a period.")
        if user is not None and (not isinstance(user, str) or not 0 < len(user) <= LONGEST_USER_ID):
            yield _problem("VALUE_INVALID", "user_id", "user_id must be text of at most 256 characters.")
        yield from _user_property_problems(call.get("user_properties", {}))
        events = call.get("events")
        if not isinstance(events, list) or not events:
            yield _problem("VALUE_REQUIRED", "events", "Measurement requires at least one event.")
        elif len(events) > CALL_EVENTS:
            yield _problem("EXCEEDED_MAX_ENTITIES", "events", "Measurement can have at most 25 events.")
        else:
            for index, event in enumerate(events):
                yield from self._event_problems(index, event)
        if size >= CALL_BYTES:
            yield _problem("VALUE_OUT_OF_BOUNDS", "", "The post body must be smaller than 130kB.")

    def _event_problems(self, index: int, event: object) -> Iterator[Problem]:
        place = f"Event at index: [{index}]"
        fields = event if isinstance(event, dict) else {}
        name, params = fields.get("name"), fields.get("params", {})
        if problem := _event_name_problem(name):
            yield _problem(problem, "events", f"{place} has invalid name [{name}].")
        at = fields.get("timestamp_micros", 1 << 62)
        if type(at) is not int or (self._now is not None and at // 1000 < self._now() - _OLDEST_MS):
            yield _problem("VALUE_INVALID", "events", f"{place} has a timestamp that is not in the last 72 hours.")
        if not isinstance(params, dict) or len(params) > MOST_PARAMETERS:
            yield _problem("EXCEEDED_MAX_ENTITIES", "events", f"{place} can have at most 25 parameters.")
            return
        for parameter, value in params.items():
            if problem := _name_problem(parameter, PARAMETER_NAME, RESERVED_PARAMETERS):
                yield _problem(problem, "events", f"{place} has invalid parameter name [{parameter}].")
            if problem := _value_problem(parameter, value):
                yield _problem(problem, "events", f"{place} has an invalid value of [{parameter}].")


def _event_name_problem(name: object) -> str:
    return _name_problem(name, EVENT_NAME, RESERVED_EVENTS)


def _name_problem(name: object, longest: int, reserved: frozenset[str]) -> str:
    """Return the code of what is wrong with a name, or nothing."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > longest:
        return "NAME_INVALID"
    return "NAME_RESERVED" if name in reserved or name.startswith(RESERVED_STARTS) else ""


def _value_problem(name: str, value: object) -> str:
    if name == "items" and isinstance(value, list):
        return ""
    if isinstance(value, str):
        return "VALUE_OUT_OF_BOUNDS" if len(value) > LONGER_VALUES.get(name, LONGEST_VALUE) else ""
    return "" if type(value) in (int, float) else "VALUE_INVALID"


def _user_property_problems(properties: object) -> Iterator[Problem]:
    fields = properties if isinstance(properties, dict) else {"": None}
    if len(fields) > MOST_USER_PROPERTIES:
        yield _problem("EXCEEDED_MAX_ENTITIES", "user_properties", "There can be at most 25 user properties.")
    for name, value in fields.items():
        if problem := _name_problem(name, USER_PROPERTY_NAME, RESERVED_USER_PROPERTIES):
            yield _problem(problem, "user_properties", f"User property has invalid name [{name}].")
        text = value.get("value") if isinstance(value, dict) else None
        if text is None or (isinstance(text, str) and len(text) > LONGEST_USER_VALUE):
            yield _problem("VALUE_INVALID", "user_properties", f"User property [{name}] has an invalid value.")


def _problem(code: str, field: str, description: str) -> Problem:
    return {"fieldPath": field, "description": description, "validationCode": code}


def _json(status: int, document: object) -> Reply:
    return Reply(status=status, body=json.dumps(document).encode(), headers={"content-type": "application/json"})
