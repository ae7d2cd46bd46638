"""A fake OTLP/HTTP receiver of logs, in JSON and in protobuf."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from sojourn.testing.vendors import flat
from sojourn.testing.vendors.fake import FakeVendor
from sojourn.testing.vendors.model import Received, Reply, Value, VendorEvent, VendorSession

from . import protobuf
from .document import ExportLogs, KeyValue, LogRecord, check_names, from_fields, from_json

PATH: Final = "/v1/logs"

_OWN: Final = "sojourn."
_CODES: Final = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 8, 415: 3, 429: 8, 502: 14, 503: 14, 504: 4}
_UNKNOWN: Final = 13
_JSON: Final = "application/json"
_PROTOBUF: Final = "application/x-protobuf"


class FakeOpenTelemetry(FakeVendor):
    """Accepts `POST /v1/logs` in JSON or protobuf; with a `key`, only with `Authorization: Bearer <key>`.

    `reject`: names of events to refuse for good, as the limits of a collector do; the response is a partial success that says
    how many. `is_strict`: refuse names that the protocol does not have, records without a time, resources without a
    `service.name`, and sessions that the conventions do not allow; any receiver would take them. `fail()` uses the statuses
    that OTLP allows to be retried.
    """

    vendor = "otel"
    transient = (429, 502, 503, 504)

    def __init__(
        self,
        key: str | None = None,
        *,
        reject: Callable[[VendorEvent], bool] | None = None,
        is_strict: bool = False,
    ) -> None:
        super().__init__(*([] if key is None else [key]))
        self.is_strict = is_strict
        self._key = key
        self._reject = reject
        self._received = 0
        self.resources: list[Mapping[str, Value]] = []
        """The resource of each group of records, in the order of arrival."""

    def respond(self, request: Received) -> Reply:
        if request.path != PATH:
            return self.failure(404)
        if request.method != "POST":
            return self.failure(405)
        if self._key is not None and not self._is_known(request.headers.get("authorization", "")):
            return self.failure(401)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in (_JSON, _PROTOBUF):
            return self.failure(415)
        is_binary = media_type == _PROTOBUF
        try:
            events = list(self._read(self._decoded(request.body, is_binary=is_binary)))
        except (ValueError, msgspec.DecodeError) as error:
            message = str(error)[:200]
            if is_binary:
                return _binary(400, protobuf.status(_CODES[400], message))
            return _json(400, {"code": _CODES[400], "message": message})
        refused = 0
        for event in events:
            if self._reject is not None and self._reject(event):
                refused += 1
            else:
                self.take(event)
        if is_binary:
            return _binary(200, protobuf.partial_success(refused, "a limit of this receiver"))
        if refused:
            partial_success = {"rejectedLogRecords": str(refused), "errorMessage": "a limit of this receiver"}
            return _json(200, {"partialSuccess": partial_success})
        return _json(200, {})

    def sessions(self) -> list[VendorSession]:
        """Return what a query by `session.id` shows. The conventions define start, end and previous session."""
        return flat.sessions_of(self.events())

    def failure(self, status: int) -> Reply:
        return _json(
            status, {"code": _CODES.get(status, _UNKNOWN), "message": f"the fake was set to respond with {status}"}
        )

    def clear(self) -> None:
        super().clear()
        self.resources.clear()

    def _is_known(self, authorization: str) -> bool:
        return hmac.compare_digest(authorization.encode(), f"Bearer {self._key}".encode())

    def _decoded(self, body: bytes, *, is_binary: bool) -> ExportLogs:
        if is_binary:
            return from_fields(protobuf.export_of(body))
        document = from_json(body)
        if self.is_strict:
            check_names(body, document)
        return document

    def _read(self, document: ExportLogs) -> Iterator[VendorEvent]:
        for group in document.resource_logs:
            resource = _flat(group.resource.attributes if group.resource else [])
            if self.is_strict:
                _check_keys(group.resource.attributes if group.resource else [])
                if not resource.get("service.name"):
                    msg = "strict: a resource has a service.name"
                    raise ValueError(msg)
            self.resources.append(resource)
            for scope in group.scope_logs:
                for record in scope.log_records:
                    if self.is_strict:
                        _check(record)
                    self._received += 1
                    yield _event(record, self._received)


def _check(record: LogRecord) -> None:
    """Raise `ValueError` for a record that a receiver takes but no consumer could use."""
    _check_keys(record.attributes)
    own, name = _flat(record.attributes), record.event_name
    if _time(record) <= 0:
        msg = "strict: a log record has a time"
        raise ValueError(msg)
    if not 0 <= record.severity_number <= 24:
        msg = "strict: severityNumber is from 0 to 24"
        raise ValueError(msg)
    if name in (flat.START, flat.END) and not own.get("session.id"):
        msg = f"strict: {name} has a session.id"
        raise ValueError(msg)
    if name == flat.START and own.get("session.previous_id") == own["session.id"]:
        msg = "strict: session.previous_id differs from session.id"
        raise ValueError(msg)


def _check_keys(pairs: list[KeyValue]) -> None:
    keys = {pair.key for pair in pairs}
    if len(keys) != len(pairs) or "" in keys:
        msg = "strict: keys of attributes are unique, and not empty"
        raise ValueError(msg)


def _event(record: LogRecord, number: int) -> VendorEvent:
    own, at, name = _flat(record.attributes), _time(record), record.event_name
    attributes = {key.removeprefix(_OWN): value for key, value in own.items()}
    if record.body is not None:
        attributes["body"] = record.body.plain()
    return VendorEvent(
        id=str(attributes.get("event.id") or f"record-{number}"),
        name=name,
        at=at // 1_000_000,
        session_id=str(own.get("session.id") or ""),
        visitor_id=_text(own.get("enduser.pseudo.id")),
        user_id=_text(own.get("user.id")),
        attributes=attributes,
    )


def _flat(pairs: list[KeyValue]) -> dict[str, Value]:
    return {pair.key: pair.value.plain() for pair in pairs}


def _time(record: LogRecord) -> int:
    return int(record.time_unix_nano) or int(record.observed_time_unix_nano)


def _text(value: Value) -> str | None:
    return None if value is None else str(value)


def _binary(status: int, body: bytes) -> Reply:
    return Reply(status=status, body=body, headers={"content-type": _PROTOBUF})


def _json(status: int, document: object) -> Reply:
    return Reply(status=status, body=json.dumps(document).encode(), headers={"content-type": "application/json"})
