"""A fake of mParticle's Events API, after its documentation and schema: credentials, limits, batches, sessions by UUID."""

from __future__ import annotations

import binascii
import json
import math
import time
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from sojourn.testing.vendors import flat
from sojourn.testing.vendors.fake import FakeVendor
from sojourn.testing.vendors.model import Received, Reply, Value, VendorEvent, VendorSession

from .schema import Batch, Event, read_batch, session_id_of

ONE: Final = "/v2/events"
MANY: Final = "/v2/bulkevents"
OLD: Final = "/v2/bulkevents/historical"

_REQUEST_LIMIT: Final = 256 * 1024
_BATCH_LIMIT: Final = 128 * 1024
_BATCHES: Final = 100
_USER_ATTRIBUTES: Final = 100
_LONGEST_VALUE: Final = 4096
_EVENT_NAMES: Final = 1000
_OLD_AFTER_S: Final = 30 * 24 * 3600
_HISTORICAL_AFTER_S: Final = 72 * 3600
_START: Final = "session_start"
_END: Final = "session_end"
_CUSTOM: Final = "custom_event"
_OPT_OUT: Final = "opt_out"
_OWN: Final[Mapping[str, tuple[str, ...]]] = {
    _END: ("session_duration_ms",),
    _OPT_OUT: ("is_opted_out",),
    "screen_view": ("screen_name",),
    "crash_report": ("class_name", "message"),
}
"""Fields of an event's data that are shown with its attributes."""
_FACTS: Final = frozenset(
    {
        "event.cut",
        "session.end_reason",
        "session.end_revision",
        "session.errors",
        "session.id",
        "session.page_views",
        "session.requests",
        "session_duration_ms",
    }
)
"""Names on an end that are not attributes of the session."""
_CODES: Final = {
    400: ("BAD_REQUEST", "Invalid JSON."),
    401: ("UNAUTHORIZED", "Missing or invalid authorization header."),
    403: ("FORBIDDEN", "Key and secret are not valid."),
    404: ("NOT_FOUND", "Not found."),
    405: ("METHOD_NOT_ALLOWED", "Method not allowed."),
    413: ("REQUEST_TOO_LARGE", "Request is too large."),
    429: ("TOO_MANY_REQUESTS", "Rate limit exceeded."),
    503: ("SERVICE_UNAVAILABLE", "Service unavailable."),
}

_many = msgspec.json.Decoder(list[msgspec.Raw])


class FakeMParticle(FakeVendor):
    """Accepts batches at `/v2/events` and `/v2/bulkevents`; success is a 202 without a body.

    `is_strict`: also require what its OpenAPI document requires (`environment`, and `session_id` on a start), and that a
    `session_id` matches its UUID. The documentation leaves three things open: `takes_part` (whether the valid batches of a
    refused call are accepted), `too_large` (the status for a call beyond the limits) and `batches_per_second` (beyond it,
    calls get a 429; measured with `monotonic`). Events are recognised as duplicates only if the `source_request_id` of their
    batch was there before. With `wall`, data older than 30 days is accepted at its own address only.
    """

    vendor = "mparticle"
    transient = (429, 503)
    url_options = "?environment=development"

    def __init__(
        self,
        key: str = "FAKEKEY",
        secret: str = "FAKESECRET",  # noqa: S107
        *,
        is_strict: bool = False,
        takes_part: bool = False,
        too_large: int = 400,
        batches_per_second: int | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(key, secret)
        self._pair = f"{key}:{secret}".encode()
        self.is_strict = is_strict
        self._takes_part = takes_part
        self._too_large = too_large
        self._batches_per_second = batches_per_second
        self._monotonic = monotonic
        self._wall = wall
        self._second = (0, 0)
        self._names: set[str] = set()
        self._types: dict[str, str] = {}
        """The types of starts and ends, by id; a custom event may have the same name."""
        self._users: dict[str, dict[str, object]] = {}
        self.opted_out: dict[str, bool] = {}
        """By `mp_deviceid`: whether the device has opted out."""
        self._batch_ids: set[str] = set()
        self.dropped = 0
        """Events with a name beyond the first thousand: accepted with a 202, and dropped."""

    def respond(self, request: Received) -> Reply:
        if request.path not in (ONE, MANY, OLD):
            return self.failure(404)
        if request.method != "POST":
            return self.failure(405)
        if (status := self._stranger(request.headers.get("authorization", ""))) is not None:
            return self.failure(status)
        if request.headers.get("content-encoding", "identity") != "identity":
            return _bad("Content-Encoding is not supported.")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return _bad("Content-Type must be application/json.")
        if len(request.body) > _REQUEST_LIMIT:
            return self.failure(self._too_large)
        try:
            batches = [msgspec.Raw(request.body)] if request.path == ONE else _many.decode(request.body)
        except (ValueError, RecursionError):
            return self.failure(400)
        if len(batches) > _BATCHES or any(len(bytes(batch)) > _BATCH_LIMIT for batch in batches):
            return self.failure(self._too_large)
        if not self._is_slow_enough(len(batches)):
            return self.failure(429)
        return self._each(batches, is_old=request.path == OLD)

    def failure(self, status: int) -> Reply:
        code, message = _CODES.get(status, ("INTERNAL_ERROR", "Internal error."))
        limits = {"retry-after": "1", "x-mp-rate-limit-exceeded": "account"} if status == 429 else {}
        return _errors(status, code, message, limits)

    def sessions(self) -> list[VendorSession]:
        """Return the sessions by `session_uuid` (in lower case), from pairs of a start and an end."""

        def is_end(event: VendorEvent) -> bool:
            return self._types.get(event.id) == _END

        return flat.sessions_of(
            self.events(),
            is_start=lambda event: self._types.get(event.id) == _START,
            is_end=is_end,
            duration="session_duration_ms",
            properties=lambda event: _session_attributes(event.attributes) if is_end(event) else {},
        )

    def event_ids(self) -> None:
        """Return nothing: `user.identify` becomes part of the user and keeps no id."""

    def users(self) -> dict[str, dict[str, object]]:
        """Return the attributes of the users, by `customer_id`."""
        with self._lock:
            return {user: dict(attributes) for user, attributes in self._users.items()}

    def clear(self) -> None:
        with self._lock:
            super().clear()
            self._names.clear()
            self._types.clear()
            self._users.clear()
            self.opted_out.clear()
            self._batch_ids.clear()
            self.dropped = 0

    # --- one call ------------------------------------------------------------------------------------------------

    def _stranger(self, authorization: str) -> int | None:
        scheme, _, pair = authorization.partition(" ")
        try:
            credentials = b64decode(pair, validate=True)
        except binascii.Error:
            return 401
        if scheme != "Basic" or b":" not in credentials:
            return 401
        return None if credentials == self._pair else 403

    def _is_slow_enough(self, batches: int) -> bool:
        if self._batches_per_second is None:
            return True
        second = math.floor(self._monotonic())
        taken = self._second[1] if self._second[0] == second else 0
        if taken + batches > self._batches_per_second:
            return False
        self._second = (second, taken + batches)
        return True

    def _each(self, raws: Sequence[msgspec.Raw], *, is_old: bool) -> Reply:
        good: list[Batch] = []
        problem = ""
        for raw in raws:
            try:
                batch = read_batch(raw)
                self._check(batch, is_old=is_old)
                if len(bytes(raw)) > _LONGEST_VALUE:  # a shorter body cannot contain a value that is too long
                    _check_lengths(batch)
                good.append(batch)
            except (ValueError, RecursionError) as error:
                problem = problem or str(error)
        if not problem or self._takes_part:
            for batch in good:
                self._keep(batch)
        return _bad(problem) if problem else Reply(status=202)

    def _check(self, batch: Batch, *, is_old: bool) -> None:
        """Raise `ValueError` for rules that the schema does not contain."""
        if len(batch.user_attributes or ()) > _USER_ATTRIBUTES:
            raise ValueError("A batch has at most 100 user attributes.")
        if batch.mpid is None and batch.mp_deviceid is None and batch.user_identities is None:
            raise ValueError("A batch needs an mpid, an mp_deviceid or user_identities.")
        if self.is_strict and batch.user_identities is not None and batch.user_identities.customerid is not None:
            raise ValueError("Object contains unknown field `customerid` - at `$.user_identities`")
        if self.is_strict and batch.environment is None:
            raise ValueError(_required("environment"))
        now = None if self._wall is None else self._wall()
        for event in batch.events or ():
            data = event.data
            if self.is_strict:
                if data.session_id is None and event.type == _START:
                    raise ValueError(_required("session_id"))
                if data.session_uuid and data.session_id not in (None, session_id_of(data.session_uuid)):
                    raise ValueError("session_id is not that of its session_uuid.")
            at = data.timestamp_unixtime_ms
            if now is None or at is None:
                continue
            if is_old and at > (now - _HISTORICAL_AFTER_S) * 1000:
                raise ValueError("Historical data is at least 72 hours old.")
            if not is_old and at < (now - _OLD_AFTER_S) * 1000:
                raise ValueError("Data older than 30 days belongs to /bulkevents/historical.")

    def _keep(self, batch: Batch) -> None:
        """Keep a batch. The only key that mParticle documents is its id: an event that comes in two batches is there twice."""
        batch_id = str(batch.source_request_id or "")
        is_repeated = batch_id in self._batch_ids
        self._batch_ids |= {batch_id} if batch_id else set()
        named = batch.user_identities
        customer = (named.customer_id if named.customer_id is not None else named.customerid) if named else None
        user = None if customer is None else str(customer)
        if user is not None:
            self._users.setdefault(user, {}).update(batch.user_attributes or {})
        device = (batch.mp_deviceid or "").lower()
        for event in batch.events or ():
            kind = event.type
            kept = _kept(event, kind, user, device, number=len(self._taken))
            if kept.id in self._taken and not is_repeated:
                kept = replace(kept, id=f"{kept.id} again-{len(self._taken)}")
            if kind == _CUSTOM and not self._is_named(kept.name):
                self.dropped += 1
                continue
            if not self.take(kept):
                continue
            if kind in (_START, _END):
                self._types[kept.id] = kind
            elif kind == _OPT_OUT:
                self.opted_out[device] = bool(kept.attributes["is_opted_out"])

    def _is_named(self, name: str) -> bool:
        if name not in self._names and len(self._names) >= _EVENT_NAMES:
            return False
        self._names.add(name)
        return True


def _kept(event: Event, kind: str, user: str | None, device: str, *, number: int) -> VendorEvent:
    data = event.data
    attributes: dict[str, Value] = dict(data.custom_attributes or ())
    for name in _OWN.get(kind, ()):
        attributes[name] = getattr(data, name)
    return VendorEvent(
        id=data.source_message_id or f"assigned-{number}",
        name=getattr(data, "event_name", kind),
        at=data.timestamp_unixtime_ms or 0,
        session_id=(data.session_uuid or "").lower(),
        visitor_id=device or None,
        user_id=user,
        attributes=attributes,
    )


def _session_attributes(attributes: Mapping[str, Value]) -> dict[str, Value]:
    """Return a session's attributes. Names are case-insensitive; the first casing is kept."""
    casings: dict[str, str] = {}
    folded: dict[str, Value] = {}
    for name, value in attributes.items():
        if name not in _FACTS:
            folded[casings.setdefault(name.lower(), name)] = value
    return folded


def _check_lengths(batch: Batch) -> None:
    for attributes in (batch.user_attributes, *(event.data.custom_attributes for event in batch.events or ())):
        for name, value in (attributes or {}).items():
            if isinstance(value, str) and len(value) > _LONGEST_VALUE:
                raise ValueError(f"The value of attribute {name[:100]!r} is longer than 4096 characters.")


def _required(field: str) -> str:
    return f'Required event field "{field}" is missing or empty.'


def _bad(message: str) -> Reply:
    return _errors(400, "BAD_REQUEST", message, {})


def _errors(status: int, code: str, message: str, headers: Mapping[str, str]) -> Reply:
    document = {"errors": [{"code": code, "message": message}]}
    return Reply(
        status=status,
        body=json.dumps(document).encode(),
        headers={"content-type": "application/json", **headers},
    )
