"""A fake of RudderStack's gateway, after its source: plain-text responses, a batch as a whole, sessions by context."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import msgspec

from sojourn.testing.vendors import flat, spec
from sojourn.testing.vendors.fake import FakeVendor
from sojourn.testing.vendors.instants import ms_of
from sojourn.testing.vendors.model import Received, Reply, Value, VendorEvent, VendorSession

BATCH: Final = "/v1/batch"
HEALTH: Final = "/health"

_TYPES: Final = spec.TYPES | {"merge"}
_SINGLE: Final = {f"/v1/{kind}": kind for kind in _TYPES}
_REQUEST_LIMIT: Final = 4_000 * 1024
_EVENT_LIMIT: Final = 32 * 1024
_DEEPEST: Final = 200
_SHORTEST_ID: Final = 10
_SEMVER: Final = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?", re.ASCII)
_START: Final = "context.sessionStart"

_NO_KEY: Final = "failed to read writekey from header"
_UNKNOWN_KEY: Final = "invalid write key"
_BAD_JSON: Final = "invalid json"
_EMPTY: Final = "empty batch payload"
_NO_BODY: Final = "request body is nil"
_NO_IDENTITY: Final = "request neither has anonymousId nor userId"
_BAD_EVENT: Final = "event is not a valid rudder event"
_SAYINGS: Final = {
    400: _BAD_JSON,
    401: _UNKNOWN_KEY,
    404: "source is disabled",
    413: "request size exceeds max limit",
    429: "max requests limit reached",
    500: "failed to read body from request",
    503: "Service Unavailable",
    504: "gateway timeout",
}

_batch_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])


class _InvalidError(Exception):
    """Why a whole call is refused: a status and a text."""

    def __init__(self, said: str, status: int = 400) -> None:
        super().__init__(said)
        self.reply = _text(status, said)


class FakeRudderStack(FakeVendor):
    """Accepts `POST /v1/batch` and the calls for single events (`/v1/track`, ...), a call as a whole or not at all.

    `key`: the write key of a source; `disabled`: that of a disabled source. `is_strict`: also refuse what the gateway accepts
    but something behind it would misread: a session id that is not an integer, a `sessionStart` other than `true`, unreadable
    times and versions, events above 32 KB. Each `messageId` is accepted once; the open-source server does so only if
    configured.
    """

    vendor = "rudderstack"
    transient = (429, 500, 503, 504)

    def __init__(self, key: str = "FAKEKEY", *, disabled: str = "FAKEDISABLED", is_strict: bool = False) -> None:
        super().__init__(key)
        self._key = key
        self._disabled = disabled
        self.is_strict = is_strict

    def respond(self, request: Received) -> Reply:
        if request.path == HEALTH:
            return Reply(status=200, body=b'{"appType":"GATEWAY","server":"UP"}')
        kind = _SINGLE.get(request.path)
        if kind is None and request.path != BATCH:
            return _text(404, "404 page not found")
        if request.method != "POST":
            return _text(405, "")
        try:
            self._know(request.headers.get("authorization", ""))
            events = [self._read(event) for event in self._unwrapped(request.body, kind)]
        except _InvalidError as problem:
            return problem.reply
        for event in events:
            self.take(event)
        return Reply(status=200, body=b"ok", headers={"content-type": "text/plain; charset=utf-8"})

    def failure(self, status: int) -> Reply:
        return _text(status, _SAYINGS.get(status, "Internal Server Error"))

    def bad_encoding(self) -> Reply:
        # The status suggests a retry, which would fail again.
        return self.failure(500)

    def sessions(self) -> list[VendorSession]:
        """Return the sessions by `context.sessionId` and visitor, which together identify a session in RudderStack.

        `session_id` is that number as text; `previous_id` is Sojourn's own id of the previous session, from a property.
        """
        return flat.sessions_of(
            self.events(),
            key=lambda event: (event.session_id, event.visitor_id or event.user_id),
            is_start=lambda event: event.attributes.get(_START) is True,
            is_end=spec.is_end,
        )

    def users(self) -> dict[str, dict[str, Value]]:
        """Return the identified users and their traits."""
        return spec.users_of(self.events())

    # --- one call ------------------------------------------------------------------------------------------------

    def _know(self, authorization: str) -> None:
        key = spec.key_of(authorization)
        if not key:
            raise _InvalidError(_NO_KEY, 401)
        if key == self._disabled.encode():
            raise _InvalidError(_SAYINGS[404], 404)
        if not hmac.compare_digest(key, self._key.encode()):
            raise _InvalidError(_UNKNOWN_KEY, 401)

    def _unwrapped(self, body: bytes, kind: str | None) -> Iterator[dict[str, Any]]:
        if not body:
            raise _InvalidError(_NO_BODY)
        if len(body) > _REQUEST_LIMIT:
            raise _InvalidError(_SAYINGS[413], 413)
        try:
            raws = [msgspec.Raw(body)] if kind else _batch(body)
            for text in map(bytes, raws):
                if self.is_strict and len(text) > _EVENT_LIMIT:
                    raise _InvalidError(_SAYINGS[413], 413)
                event = msgspec.json.decode(text)
                if not isinstance(event, dict):
                    raise _InvalidError(_BAD_EVENT)
                if _is_deep(text):
                    raise _InvalidError(_BAD_JSON)
                yield event if kind is None else event | {"type": kind}
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise _InvalidError(_BAD_JSON) from None

    def _read(self, event: dict[str, Any]) -> VendorEvent:
        if not spec.has_identity(event):
            raise _InvalidError(_NO_IDENTITY)
        context = event.get("context", {})
        if self.is_strict and (spec.time_of(event) is None or _problem(event, context)):
            raise _InvalidError(_BAD_EVENT)
        context = spec.dict_or_empty(context)
        shown = spec.event_of(event, spec.text_of(context.get("sessionId")), len(self._taken))
        if "sessionStart" not in context:
            return shown
        return replace(shown, attributes={**shown.attributes, _START: context["sessionStart"] is True})


def _batch(body: bytes) -> list[msgspec.Raw]:
    try:
        raws = _list_decoder.decode(_batch_decoder.decode(body).get("batch", b"[]"))
    except msgspec.ValidationError:
        raise _InvalidError(_EMPTY) from None
    if not raws:
        raise _InvalidError(_EMPTY)
    return raws


def _is_deep(text: bytes) -> bool:
    """Return whether JSON is nested deeper than the hosted service accepts."""
    if text.count(b"{") + text.count(b"[") <= _DEEPEST:
        return False
    depth = deepest = 0
    is_text = is_escaped = False
    for char in text:
        if is_text:
            is_text = is_escaped or char != 0x22
            is_escaped = char == 0x5C and not is_escaped
        elif char == 0x22:
            is_text = True
        elif char in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif char in b"}]":
            depth -= 1
    return deepest > _DEEPEST


def _problem(event: dict[str, Any], context: object) -> bool:
    """Return whether something behind the gateway would misread the event."""
    kind = event.get("type")
    if kind not in _TYPES or not isinstance(context, dict):
        return True
    if kind == "track" and not (isinstance(event.get("event"), str) and event["event"]):
        return True
    library = context.get("library", {})
    if not isinstance(library, dict) or not _is_version(str(library.get("version", "0.0.0"))):
        return True
    if "sentAt" in event and not _is_moment(str(event["sentAt"])):
        return True
    if "sessionStart" in context and context["sessionStart"] is not True:
        return True
    number = context.get("sessionId")
    if number is None:
        return "sessionStart" in context
    return type(number) is not int or number < 0 or len(str(number)) < _SHORTEST_ID


# The same in all events of a call, so it is parsed once.
@lru_cache(maxsize=64)
def _is_version(text: str) -> bool:
    return _SEMVER.fullmatch(text) is not None


@lru_cache(maxsize=64)
def _is_moment(text: str) -> bool:
    return ms_of(text) is not None


def _text(status: int, said: str) -> Reply:
    return Reply(status=status, body=f"{said}\n".encode(), headers={"content-type": "text/plain; charset=utf-8"})
