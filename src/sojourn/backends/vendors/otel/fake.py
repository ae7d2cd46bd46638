"""A fake OTLP/HTTP receiver of logs in JSON, as strict as the protocol's definition about names, types and values."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from sojourn.testing.vendors import flat
from sojourn.testing.vendors.fake import FakeVendor
from sojourn.testing.vendors.model import Received, Reply, Value, VendorEvent, VendorSession

PATH: Final = "/v1/logs"

_OWN: Final = "sojourn."
_CODES: Final = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 8, 415: 3, 429: 8, 502: 14, 503: 14, 504: 4}
_UNKNOWN: Final = 13
_ONE_OF_FIVE: Final = 4
"""At least this many of the five kinds of value are absent."""


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Names in OTLP/JSON are lowerCamelCase; no other form is valid."""


class AnyValue(_Strict, frozen=True):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: str | int | None = None
    double_value: float | str | None = None
    array_value: ArrayValue | None = None

    def plain(self) -> Value:
        """Return the value; raise `ValueError` if there are several, or if a number is malformed."""
        text, flag, number, double = self.string_value, self.bool_value, self.int_value, self.double_value
        several = self.array_value
        if (text, flag, number, double, several).count(None) < _ONE_OF_FIVE:
            msg = "an attribute has one value"
            raise ValueError(msg)
        if text is not None:
            return text
        if number is not None:
            if not -(2**63) <= int(number) < 2**63:
                msg = "an intValue has 64 bits"
                raise ValueError(msg)
            return int(number)
        if several is not None:
            return ", ".join(str(value.plain()) for value in several.values)
        return float(double) if isinstance(double, str) else flag if flag is not None else double


class ArrayValue(_Strict, frozen=True):
    values: list[AnyValue] = []


class KeyValue(_Strict, frozen=True):
    key: str
    value: AnyValue


class Resource(_Strict, frozen=True):
    attributes: list[KeyValue] = []
    dropped_attributes_count: int = 0


class Scope(_Strict, frozen=True):
    name: str = ""
    version: str = ""
    attributes: list[KeyValue] = []


class LogRecord(_Strict, frozen=True):
    attributes: list[KeyValue] = []
    time_unix_nano: str | int = "0"
    observed_time_unix_nano: str | int = "0"
    severity_number: int = 0
    severity_text: str = ""
    event_name: str = ""
    body: AnyValue | None = None
    dropped_attributes_count: int = 0
    flags: int = 0
    trace_id: str = ""
    span_id: str = ""


class ScopeLogs(_Strict, frozen=True):
    log_records: list[LogRecord] = []
    scope: Scope | None = None
    schema_url: str = ""


class ResourceLogs(_Strict, frozen=True):
    scope_logs: list[ScopeLogs] = []
    resource: Resource | None = None
    schema_url: str = ""


class ExportLogs(_Strict, frozen=True):
    resource_logs: list[ResourceLogs] = []


_decoder = msgspec.json.Decoder(ExportLogs)


class FakeOpenTelemetry(FakeVendor):
    """Accepts `POST /v1/logs` in JSON; with a `key`, only with `Authorization: Bearer <key>`.

    `reject`: names of events to refuse for good, as the limits of a collector do; the response is a partial success that says
    how many. `fail()` uses the statuses that OTLP allows to be retried.
    """

    vendor = "otel"
    transient = (429, 502, 503, 504)

    def __init__(self, key: str | None = None, *, reject: Callable[[VendorEvent], bool] | None = None) -> None:
        super().__init__(*([] if key is None else [key]))
        self._key = key
        self._reject = reject
        self.resources: list[Mapping[str, Value]] = []
        """The resource of each group of records, in the order of arrival."""

    def respond(self, request: Received) -> Reply:
        if request.path != PATH:
            return self.failure(404)
        if request.method != "POST":
            return self.failure(405)
        if self._key is not None and not self._is_known(request.headers.get("authorization", "")):
            return self.failure(401)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return self.failure(415)
        try:
            document = _decoder.decode(request.body)
            events = list(self._read(document))
        except (ValueError, msgspec.DecodeError) as error:
            return _json(400, {"code": _CODES[400], "message": str(error)[:200]})
        refused = 0
        for event in events:
            if self._reject is not None and self._reject(event):
                refused += 1
            else:
                self.take(event)
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

    def _read(self, document: ExportLogs) -> Iterator[VendorEvent]:
        for group in document.resource_logs:
            resource = _flat(group.resource.attributes if group.resource else [])
            if not resource.get("service.name"):
                msg = "a resource has a service.name"
                raise ValueError(msg)
            self.resources.append(resource)
            for scope in group.scope_logs:
                for record in scope.log_records:
                    yield _event(record)


def _event(record: LogRecord) -> VendorEvent:
    own = _flat(record.attributes)
    at = int(record.time_unix_nano) or int(record.observed_time_unix_nano)
    if at <= 0:
        msg = "a log record has a time"
        raise ValueError(msg)
    if not 0 <= record.severity_number <= 24:
        msg = "severityNumber is from 0 to 24"
        raise ValueError(msg)
    name = record.event_name
    if name in (flat.START, flat.END) and not own.get("session.id"):
        msg = f"{name} has a session.id"
        raise ValueError(msg)
    if name == flat.START and own.get("session.previous_id") == own["session.id"]:
        msg = "session.previous_id differs from session.id"
        raise ValueError(msg)
    attributes = {key.removeprefix(_OWN): value for key, value in own.items()}
    if record.body is not None:
        attributes["body"] = record.body.plain()
    return VendorEvent(
        id=str(attributes.get("event.id") or f"{at}/{name}/{own.get('session.id')}"),
        name=name,
        at=at // 1_000_000,
        session_id=str(own.get("session.id") or ""),
        visitor_id=_text(own.get("enduser.pseudo.id")),
        user_id=_text(own.get("user.id")),
        attributes=attributes,
    )


def _flat(pairs: list[KeyValue]) -> dict[str, Value]:
    flat_ = {pair.key: pair.value.plain() for pair in pairs}
    if len(flat_) != len(pairs) or "" in flat_:
        msg = "keys of attributes are unique, and not empty"
        raise ValueError(msg)
    return flat_


def _text(value: Value) -> str | None:
    return None if value is None else str(value)


def _json(status: int, document: object) -> Reply:
    return Reply(status=status, body=json.dumps(document).encode(), headers={"content-type": "application/json"})
