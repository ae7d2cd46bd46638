"""A fake of Segment's tracking API, after its documentation, its libraries' tests and its own test server.

It responds before it looks at events: `{"success": true}` for whatever is JSON. What it drops afterwards is in `discarded`.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import Any, Final

import msgspec

from sojourn.testing.vendors import flat, spec
from sojourn.testing.vendors.fake import FakeVendor
from sojourn.testing.vendors.model import Received, Reply, Value, VendorEvent, VendorSession

_BATCHES: Final = frozenset({"/v1/batch", "/v1/import"})
_SINGLE: Final = {f"/v1/{kind}": kind for kind in spec.TYPES}
_BATCH_LIMIT: Final = 500_000
_EVENT_LIMIT: Final = 32 * 1024
_MOST_EVENTS: Final = 2_500
_LONGEST_ID: Final = 99
_SHORTEST_KEY: Final = 10  # a shorter one was seen to be refused; where the limit is, is not documented


class _BadRequestError(Exception):
    """The call is not JSON, or too large, or has no key."""


class FakeSegment(FakeVendor):
    """Accepts `/v1/batch`, `/v1/import` and the calls for single events; each `messageId` once.

    `key`: the write key of a source, in the header or in the body. Calls with another key succeed, and nothing comes of them.
    The sessions are those of the destination Amplitude (Actions): Segment has none. `is_strict`: respond with 400 to events
    that Segment would drop without a word, and to sessions that Amplitude could not read.
    """

    vendor = "segment"
    transient = (429, 500, 503)

    def __init__(self, key: str = "FakeKeyOfSegmentOf32Characters00") -> None:
        super().__init__(key)
        self._key = key
        self.discarded: list[dict[str, Any]] = []
        """Messages that were accepted and dropped: an unknown key, no identity, no name."""

    def respond(self, request: Received) -> Reply:
        path = request.path.lower().rstrip("/")
        if path not in _BATCHES and path not in _SINGLE:
            return _text(404, "404 page not found")
        if request.method not in ("POST", "PUT"):
            return _text(405, "Method Not Allowed")
        try:
            key, messages = self._read(request, _SINGLE.get(path))
        except _BadRequestError:
            return self.failure(400)
        if self.is_strict and any(_problem(message) or _session_of(message) is None for message in messages):
            return self.failure(400)
        is_known = hmac.compare_digest(key.encode(), self._key.encode())
        for number, message in enumerate(messages):
            if is_known and number < _MOST_EVENTS and not _problem(message):
                self.take(self._event_of(message))
            else:
                self.discarded.append(message)
        return Reply(status=200, body=b'{"success":true}', headers={"content-type": "application/json"})

    def failure(self, status: int) -> Reply:
        reply = _text(status, {400: "Bad Request", 429: "Too Many Requests"}.get(status, "Internal Server Error"))
        if status != 429:
            return reply
        return replace(reply, headers={**reply.headers, "retry-after": "1", "x-ratelimit-reset": "1"})

    def bad_encoding(self) -> Reply:
        body = b'{"success":false,"message":"Malformed gzip content"}'
        return Reply(status=400, body=body, headers={"content-type": "application/json"})

    def sessions(self) -> list[VendorSession]:
        """Return the sessions as Amplitude shows them: by `session_id` and device, which is the anonymous id.

        `previous_id` is Sojourn's own id of the previous session, from a property.
        """
        return flat.sessions_of(
            self.events(),
            key=lambda event: (event.session_id, event.visitor_id or event.user_id),
            is_start=lambda event: event.name == spec.SESSION_STARTED,
            is_end=spec.is_end,
        )

    def users(self) -> dict[str, dict[str, Value]]:
        """Return the identified users and their traits."""
        return spec.users_of(self.events())

    # --- one call ------------------------------------------------------------------------------------------------

    def _read(self, request: Received, kind: str | None) -> tuple[str, list[dict[str, Any]]]:
        """Return the write key and the messages, those of a batch with what the batch says of all of them."""
        if len(request.body) > (_EVENT_LIMIT if kind else _BATCH_LIMIT):
            raise _BadRequestError
        try:
            document = msgspec.json.decode(request.body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise _BadRequestError from None
        if not isinstance(document, dict):
            raise _BadRequestError
        key = spec.key_of(request.headers.get("authorization", "")).decode("utf-8", "replace")
        key = key or spec.text_of(document.get("writeKey"))
        if len(key) < _SHORTEST_KEY:
            raise _BadRequestError
        if kind:
            return key, [{**document, "type": kind}]
        batch = document.get("batch")
        if not isinstance(batch, list) or not all(isinstance(message, dict) for message in batch):
            raise _BadRequestError
        return key, [_merged(document, message) for message in batch]

    def _event_of(self, message: dict[str, Any]) -> VendorEvent:
        return spec.event_of(message, _session_of(message) or "", len(self._taken))


def _merged(batch: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    shared = {name: batch[name] for name in ("context", "integrations") if isinstance(batch.get(name), dict)}
    own = {name: {**value, **spec.dict_or_empty(message.get(name))} for name, value in shared.items()}
    return {**message, **own}


def _problem(message: dict[str, Any]) -> str:
    """Return why Segment drops a message after it has accepted it, or nothing."""
    if message.get("type") not in spec.TYPES:
        return "unknown type"
    if not spec.has_identity(message):
        return "no_user_anon_id"
    if message["type"] == "track" and not (isinstance(message.get("event"), str) and message["event"]):
        return "event_not_defined"
    if len(spec.text_of(message.get("messageId"))) > _LONGEST_ID:
        return "messageId too long"
    return "too large" if len(msgspec.json.encode(message)) > _EVENT_LIMIT else ""


def _session_of(message: dict[str, Any]) -> str | None:
    """Return the session that Amplitude shows, which is a time in milliseconds: empty without one, `None` if unreadable."""
    place = spec.dict_or_empty(message.get("integrations")).get("Actions Amplitude")
    number = spec.dict_or_empty(place).get("session_id")
    if number is None:
        return ""
    return str(number) if type(number) is int and number > 0 else None


def _text(status: int, said: str) -> Reply:
    return Reply(status=status, body=f"{said}\n".encode(), headers={"content-type": "text/plain; charset=utf-8"})
