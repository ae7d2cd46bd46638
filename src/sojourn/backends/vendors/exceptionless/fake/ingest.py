"""A fake of Exceptionless's API: keys, the three ways to post events, heartbeats, descriptions, session rows.

Like the real server, it responds with 202 to everything that it can queue, reads it later, and drops what it does not accept:
`malformed` and `discarded` list that. The queue is processed when a test looks at the fake.
"""

from __future__ import annotations

import binascii
import hmac
import json
import re
from base64 import b64decode
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from sojourn.testing.vendors.fake import FakeVendor
from sojourn.testing.vendors.model import Received, Reply, VendorEvent, VendorSession

from .fold import DAY_MS, Document, Folding, is_identifier
from .posts import ROOT, document_of, shown

PROJECT_ID: Final = "537650f3b77efe23a47914f4"
CONFIG_VERSION: Final = 1
LIMIT: Final = 200_000

_MAX_AGE_MS: Final = 3 * DAY_MS
_CALLS: Final = 3_500
_POSTS: Final = re.compile(r"/api/v2(?:/projects/([0-9a-f]{24}))?/events/?")
_WORDS: Final = re.compile(r"/api/v2(?:/projects/([0-9a-f]{24}))?/events/by-ref/([^/]+)/user-description")
_SUBMIT: Final = re.compile(r"/api/v2/events/submit(?:/([^/]+))?")
_SESSION: Final = re.compile(r"/api/v2(?:/projects/[0-9a-f]{24})?/events/sessions(?:/([^/]+))?")
_MESSAGES: Final = {
    402: "The event limit of the organization's plan was reached.",
    413: "The request is too large.",
    429: "Too many requests.",
    503: "Event submission is disabled.",
}


class FakeExceptionless(FakeVendor):
    """Accepts events for one project and makes sessions by the server's rules; `close_inactive()` runs its job.

    With `now` (returns milliseconds), caches expire and dates are checked (nothing older than three days or in the future). An
    address that sends `bot_limit` events in five minutes is a bot. `remaining`: how many calls are left until the throttle.
    """

    vendor = "exceptionless"
    transient = (429, 503)

    def __init__(
        self, key: str = "FAKEKEYFAKEKEY", *, now: Callable[[], int] | None = None, bot_limit: int = 25
    ) -> None:
        super().__init__(key)
        self._key = key
        self._now = now
        self._bot_limit = bot_limit
        self._folding = Folding(now, bot_limit)
        self._queue: list[Callable[[], None]] = []
        self._malformed: list[str] = []
        self._latest = 0
        self.remaining = _CALLS

    def respond(self, request: Received) -> Reply:
        if not self._is_known(request):
            return self.failure(401)
        if request.path == "/api/v2/events/session/heartbeat" and request.method == "GET":
            return self._heartbeat(request)
        if self.remaining <= 0:
            return self.failure(429)
        self.remaining -= 1
        if request.path == "/api/v2/projects/config" and request.method == "GET":
            return self._config(request)
        if match := _SUBMIT.fullmatch(request.path):
            return self._submit(match[1], request)
        if match := _SESSION.fullmatch(request.path):
            return self._read(match[1])
        if match := _POSTS.fullmatch(request.path):
            return self._posted(match[1], request)
        if match := _WORDS.fullmatch(request.path):
            return self._described(match[1], match[2], request)
        return self.failure(404)

    def events(self) -> list[VendorEvent]:
        with self._lock:
            self._work()
            return super().events()

    def sessions(self) -> list[VendorSession]:
        """Return the rows of the sessions report, with the events listed for each."""
        with self._lock:
            self._work()
            starts = [doc for doc in self._folding.documents if doc.type == "session"]
            return [self._session(start) for start in sorted(starts, key=lambda start: start.date)]

    @property
    def duplicates(self) -> int:
        """Return how many events arrived again under a known reference id."""
        with self._lock:
            self._work()
            return self._duplicates

    @duplicates.setter
    def duplicates(self, count: int) -> None:
        self._duplicates = count

    @property
    def malformed(self) -> list[str]:
        """Return why posted contents could not be read at all."""
        with self._lock:
            self._work()
            return list(self._malformed)

    @property
    def discarded(self) -> list[tuple[str, str]]:
        """Return the events that were read and dropped: the reason, and the type."""
        with self._lock:
            self._work()
            return [(reason, doc.type) for reason, doc in self._folding.discarded]

    @property
    def stored(self) -> list[Document]:
        """Return all stored events, session rows included, in order of arrival."""
        with self._lock:
            self._work()
            return list(self._folding.documents)

    def close_inactive(self, now: int | None = None) -> None:
        """Run the job that applies heartbeats and ends sessions inactive for five minutes; the server runs it every minute."""
        with self._lock:
            self._work()
            self._folding.close_inactive(self._time() if now is None else now)

    def failure(self, status: int) -> Reply:
        if status in (401, 404, 411, 415):
            return Reply(status=status)
        title = _MESSAGES.get(status, "An error occurred while processing your request.")
        problem = {"type": "about:blank", "title": title, "status": status}
        return Reply(
            status=status, body=json.dumps(problem).encode(), headers={"content-type": "application/problem+json"}
        )

    def clear(self) -> None:
        super().clear()
        with self._lock:
            self._folding = Folding(self._now, self._bot_limit)
            self._queue.clear()
            self._malformed.clear()
            self.remaining = _CALLS

    # --- calls -------------------------------------------------------------------------------------------------------

    def _is_known(self, request: Received) -> bool:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        match scheme.lower():
            case "bearer" | "token":
                key = credentials
            case "basic":
                try:
                    user, _, password = b64decode(credentials, validate=True).decode().partition(":")
                except (binascii.Error, UnicodeDecodeError):
                    return False
                key = password if user == "client" else user if password in ("", "x-oauth-basic") else ""
            case _:
                query = dict(parse_qsl(request.query))
                key = query.get("access_token") or query.get("api_key") or query.get("apikey") or ""
        return hmac.compare_digest(key.encode(), self._key.encode())

    def _posted(self, project: str | None, request: Received) -> Reply:
        if request.method != "POST":
            return self.failure(405)
        if project not in (None, PROJECT_ID):
            return self.failure(404)
        if not request.body:
            return self.failure(411)
        # The limit is for the body as sent. Decompressed, more than ten times the limit is dropped.
        if int(request.headers.get("content-length", len(request.body))) > LIMIT:
            return self.failure(413)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("application/json", "text/plain"):
            return self.failure(415)
        self._later(partial(self._process_body, request.body, is_json=kind == "application/json"))
        return self._accepted()

    def _later(self, job: Callable[[], None]) -> None:
        self._queue.append(job)
        if self._now is not None or self.on_event is not None:
            self._work()

    def _work(self) -> None:
        """Process the queue."""
        queue, self._queue = self._queue, []
        for job in queue:
            job()

    def _process_body(self, body: bytes, *, is_json: bool) -> None:
        if len(body) > 10 * LIMIT:
            self._malformed.append("decompressed it is larger than ten times the limit")
            return
        if not is_json:
            lines = body.decode("utf-8", "replace").splitlines()
            self._process([{"type": "log", "message": line} for line in lines if line.strip()])
            return
        try:
            contents = msgspec.json.decode(body)
        except ValueError:
            self._malformed.append("it is no JSON")
            return
        self._process(contents if isinstance(contents, list) else [contents])

    def _process(self, raw_events: list[Any]) -> None:
        """Read the events of a call; one unreadable event discards the call."""
        try:
            events = [document_of(event, self._time()) for event in raw_events]
        except ValueError as problem:
            self._malformed.append(str(problem))
            return
        batch: list[Document] = []
        for event in events:
            if self._now is not None:
                event.date = min(event.date, self._now())
            self._latest = max(self._latest, event.date)
            reference = event.reference_id
            own_id = reference or f"{event.type}/{event.date}/{len(self._taken)}"
            self.take(shown(own_id, event))
            if self._now is not None and event.date < self._now() - _MAX_AGE_MS:
                self._folding.discarded.append(("it is older than three days", event))
            else:
                batch.append(event)
        self._folding.fold(batch)

    def _described(self, project: str | None, reference: str, request: Received) -> Reply:
        """Override the data of the event with this reference: the call for descriptions that users write about an error."""
        if request.method != "POST":
            return self.failure(405)
        if project not in (None, PROJECT_ID) or not is_identifier(reference):
            return self.failure(404)
        try:
            words = msgspec.json.decode(request.body)
        except ValueError:
            return self.failure(400)
        if not isinstance(words, dict) or not words.get("description"):
            return self.failure(400)
        self._later(partial(self._describe, reference, words))
        return self._accepted()

    def _describe(self, reference: str, words: dict[str, Any]) -> None:
        document = next((doc for doc in self._folding.documents if doc.reference_id == reference), None)
        if document is None:
            self._malformed.append("a description of an unknown event")
        else:
            document.data |= words.get("data") or {}
            document.data["@user_description"] = {name: value for name, value in words.items() if name != "data"}

    def _submit(self, kind: str | None, request: Received) -> Reply:
        """Accept one event as a query; parameters that are not fields become its data."""
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        event: dict[str, Any] = {"type": kind or query.pop("type", None) or "log", "data": {}}
        if identity := query.pop("identity", None):
            event["data"]["@user"] = {"identity": identity, "name": query.pop("identity.name", None)}
        event["tags"] = [tag for tag in query.pop("tags", "").split(",") if tag]
        event["reference_id"] = query.pop("reference", None)
        for name, value in query.items():
            (event if name in ROOT else event["data"])[name] = value
        self._later(partial(self._process, [event]))
        return Reply(status=200)

    def _heartbeat(self, request: Received) -> Reply:
        self._work()
        query = dict(parse_qsl(request.query))
        if own_id := query.get("id"):
            self._folding.heartbeat(own_id, self._time(), is_close=query.get("close", "").lower() == "true")
        return Reply(status=200)

    def _config(self, request: Received) -> Reply:
        if dict(parse_qsl(request.query)).get("v") == str(CONFIG_VERSION):
            return Reply(status=304)
        return _json(200, {"version": CONFIG_VERSION, "settings": {}})

    def _read(self, session_id: str | None) -> Reply:
        """List the rows, or the events of one session."""
        self._work()
        stored = self._folding.documents
        listed = [doc for doc in stored if (doc.session_id == session_id if session_id else doc.type == "session")]
        rows = [msgspec.to_builtins(shown(doc.reference_id or "", doc)) for doc in listed]
        return _json(200, rows)

    # --- what is shown -----------------------------------------------------------------------------------------------

    def _session(self, start: Document) -> VendorSession:
        own = [doc for doc in self._folding.documents if doc.session_id == start.session_id]
        own.sort(key=lambda doc: (doc.date, doc.type == "sessionend"))  # the sort is stable: order of arrival
        data = [doc.data for doc in own if doc.type != "session"] or [start.data]
        reasons = [doc.data.get("session.end_reason") for doc in own if doc.type == "sessionend"]
        return VendorSession(
            session_id=start.session_id or "",
            user_id=start.identity or None,
            visitor_id=start.data.get("visitor.id"),
            previous_id=start.data.get("@ref:previous"),
            started_at=start.date,
            ended_at=start.ended_at,
            duration_ms=start.value_ms,
            reason=next((reason for reason in reasons if reason), None),
            properties={name: value for name, value in data[-1].items() if name.startswith("session_properties.")},
            events=tuple(shown(doc.reference_id or "", doc) for doc in own),
        )

    def _accepted(self) -> Reply:
        headers = {
            "x-exceptionless-configversion": str(CONFIG_VERSION),
            "x-ratelimit-limit": str(_CALLS),
            "x-ratelimit-remaining": str(self.remaining),
        }
        return Reply(status=202, headers=headers)

    def _time(self) -> int:
        return self._latest if self._now is None else self._now()


def _json(status: int, document: object) -> Reply:
    return Reply(status=status, body=json.dumps(document).encode(), headers={"content-type": "application/json"})
