"""A fake of PostHog: what its capture service refuses, how people are merged, and how long a session lasts."""

from __future__ import annotations

import hmac
import json
import re
import time
from typing import Final
from uuid import UUID

import msgspec

from sojourn.core.ids import hashed_uuid
from sojourn.testing.vendors import flat
from sojourn.testing.vendors.fake import FakeVendor
from sojourn.testing.vendors.instants import ms_of
from sojourn.testing.vendors.model import Received, Reply, VendorEvent, VendorSession
from sojourn.user_agents.families import BOT, PROGRAM, client_of

from .people import People
from .reading import BATCH, PATHS, read_call
from .reading import events as raw_events

LIMIT: Final = 20 * 1024 * 1024
MAX_EVENT_BYTES: Final = 1_000_000
LONGEST_ID: Final = 200
SESSION_MS: Final = 24 * 3600 * 1000

_LONGEST_KEY: Final = 64
_VERSION: Final = 7
_TEXTS: Final = {
    401: "API key is not valid",
    413: "maximum event size exceeded",
    429: "rate limited",
    503: "transient error, please retry",
}
_CANONICAL: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class FakePostHog(FakeVendor):
    """Accepts batches with the project's key, merges people by `$identify`, and makes sessions by `$session_id`.

    It takes what PostHog's own clients send: batches, single events, forms, events without `uuid` or `timestamp`, `$set`
    beside the properties, `$create_alias`. It differs from PostHog in one thing: an unknown key gets a 401, where PostHog
    responds with 200 and drops the events. `is_strict`: accept only batches at `/batch/`, and events with `uuid` and
    `timestamp`, without which nothing sent again is recognised.
    `is_quota_limited`: respond as if the quota were used up (a 200 too). `warnings`: the ingestion warnings PostHog would show.
    """

    vendor = "posthog"
    transient = (429, 500, 502, 503, 504)

    def __init__(self, key: str = "phc_FAKEKEY", *, is_strict: bool = False) -> None:
        super().__init__(key)
        self.is_strict = is_strict
        self._key = key
        self.people = People()
        self.is_quota_limited = False
        self._received = 0

    @property
    def warnings(self) -> list[str]:
        """Return the ingestion warnings that PostHog would show."""
        return self.people.warnings

    def respond(self, request: Received) -> Reply:
        path = request.path.rstrip("/")
        if path not in PATHS or (self.is_strict and path != BATCH):
            return Reply(status=404)
        if request.method != "POST":
            return Reply(status=405)
        if len(request.body) > LIMIT:
            return self.failure(413)
        try:
            call = read_call(request)
        except ValueError as error:
            return _refused(400, f"failed to parse request: {error}")
        if not call.events:
            return _refused(400, "request holds no event")
        if problem := self._key_problem(call.key):
            return _refused(401, problem)
        try:
            events = [self._read(raw, call.sent_at) for raw in call.events]
        except ValueError as problem_of_one:
            return _refused(400, str(problem_of_one))
        if call.sent_at is not None and ms_of(call.sent_at) is None:
            return _refused(400, "failed to parse request: sent_at")
        if self.is_quota_limited:
            return _json(200, {"status": "Ok", "quota_limited": ["events"]})
        for event in events:
            if self.take(event):
                self.people.see(event)
        return _json(200, {"status": "Ok"})

    def sessions(self) -> list[VendorSession]:
        """Return the sessions: events with one `$session_id`, a UUIDv7 at most a day older than any of them."""
        groups: dict[str, list[VendorEvent]] = {}
        for event in self.events():
            began_at = _began_at(event.session_id)
            if began_at is not None and began_at <= event.at <= began_at + SESSION_MS:
                groups.setdefault(event.session_id, []).append(event)
        sessions = [flat.spanning(group, user_of=self._user_of) for group in groups.values()]
        return sorted(sessions, key=lambda session: session.started_at or 0)

    def is_bot(self, event: VendorEvent) -> bool:
        """Return whether PostHog takes an event for a bot's: its user agent is missing, or is not that of a browser.

        Such events are left out of Web analytics with "exclude bots".
        """
        return client_of(str(event.attributes.get("$raw_user_agent", ""))).device in {None, BOT, PROGRAM}

    def _user_of(self, event: VendorEvent) -> str | None:
        return self.people.user_of(str(event.user_id))

    def event_ids(self) -> list[str]:
        return [str(event.attributes.get("event.id", event.id)) for event in self.events()]

    def failure(self, status: int) -> Reply:
        return _refused(status, _TEXTS.get(status, "internal error"))

    def clear(self) -> None:
        super().clear()
        self.people = People()

    def _key_problem(self, key: str) -> str | None:
        if not key:
            return "API key is not valid: empty"
        if len(key) > _LONGEST_KEY or not key.isascii():
            return "API key is not valid: not ascii, or too long"
        if key.startswith("phx_"):
            return "API key is not valid: personal_api_key"
        return None if hmac.compare_digest(key, self._key) else "API key is not valid: unknown"

    def _read(self, raw: msgspec.Raw, sent_at: str | None) -> VendorEvent:
        """Return an event as it is stored; raise `ValueError` with the service's error text."""
        if len(bytes(raw)) > MAX_EVENT_BYTES:
            raise ValueError("maximum event size exceeded")
        try:
            event = raw_events.decode(raw)
            own_id = event.uuid and _canonical(event.uuid)
        except ValueError as error:
            raise ValueError(f"failed to parse request: {error}") from None
        if not event.event:
            raise ValueError("event submitted with an empty event name")
        properties = event.all_properties
        raw_id = event.distinct_id if event.distinct_id is not None else properties.get("distinct_id")
        distinct_id = raw_id if isinstance(raw_id, str) else "" if raw_id is None else json.dumps(raw_id)
        if not distinct_id:
            raise ValueError("event submitted without a distinct_id")
        at = ms_of(event.timestamp)
        if self.is_strict and at is None:
            raise ValueError("strict: send a timestamp of RFC 3339")
        if self.is_strict and not own_id:
            raise ValueError("strict: events are recognised by their uuid; send one")
        if at is None:
            at = ms_of(sent_at) or int(time.time() * 1000)
        self._received += 1
        session_id, device = properties.get("$session_id"), properties.get("$device_id")
        return VendorEvent(
            id=own_id or hashed_uuid("posthog", str(self._received)),
            name=event.event,
            at=at,
            session_id=session_id if isinstance(session_id, str) else "",
            visitor_id=device if isinstance(device, str) else None,
            user_id=distinct_id[:LONGEST_ID],
            attributes=properties,
        )


def _began_at(session_id: str) -> int | None:
    """Return the time in a UUIDv7; `None` for anything else, of which PostHog makes no session."""
    try:
        own = UUID(session_id)
    except ValueError:
        return None
    return own.int >> 80 if own.version == _VERSION else None


def _canonical(uuid: str) -> str:
    return uuid if _CANONICAL.fullmatch(uuid) else str(UUID(uuid))


def _refused(status: int, text: str) -> Reply:
    return Reply(status=status, body=text.encode(), headers={"content-type": "text/plain; charset=utf-8"})


def _json(status: int, document: object) -> Reply:
    return Reply(status=status, body=json.dumps(document).encode(), headers={"content-type": "application/json"})
