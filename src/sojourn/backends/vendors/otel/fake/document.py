"""An export of logs in OTLP/JSON. Names are lowerCamelCase; unknown ones are ignored, as the protocol asks of receivers.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from sojourn.testing.vendors.model import Value

_OTHER_KINDS: Final = 6
"""At least this many of the seven kinds of value are absent."""


class _Named(msgspec.Struct, frozen=True, rename="camel"):
    """The base of all parts."""


class AnyValue(_Named, frozen=True):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: str | int | None = None
    double_value: float | str | None = None
    array_value: ArrayValue | None = None
    kvlist_value: KeyValueList | None = None
    bytes_value: str | None = None
    """In base64."""

    def plain(self) -> Value:
        """Return the value; raise `ValueError` if there are several, or if a number is malformed. Nested ones become text."""
        text, flag, number, double = self.string_value, self.bool_value, self.int_value, self.double_value
        several, pairs, raw = self.array_value, self.kvlist_value, self.bytes_value
        if (text, flag, number, double, several, pairs, raw).count(None) < _OTHER_KINDS:
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
        if pairs is not None:
            return json.dumps({pair.key: pair.value.plain() for pair in pairs.values})
        if raw is not None:
            return raw
        return float(double) if isinstance(double, str) else flag if flag is not None else double


class ArrayValue(_Named, frozen=True):
    values: list[AnyValue] = []


class KeyValue(_Named, frozen=True):
    key: str = ""
    value: AnyValue = AnyValue()


class KeyValueList(_Named, frozen=True):
    values: list[KeyValue] = []


class Resource(_Named, frozen=True):
    attributes: list[KeyValue] = []
    dropped_attributes_count: int = 0


class Scope(_Named, frozen=True):
    name: str = ""
    version: str = ""
    attributes: list[KeyValue] = []
    dropped_attributes_count: int = 0


class LogRecord(_Named, frozen=True):
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


class ScopeLogs(_Named, frozen=True):
    log_records: list[LogRecord] = []
    scope: Scope | None = None
    schema_url: str = ""


class ResourceLogs(_Named, frozen=True):
    scope_logs: list[ScopeLogs] = []
    resource: Resource | None = None
    schema_url: str = ""


class ExportLogs(_Named, frozen=True):
    resource_logs: list[ResourceLogs] = []


_decoder: Final = msgspec.json.Decoder(ExportLogs)


def from_json(body: bytes) -> ExportLogs:
    """Raise `ValueError` for what is none."""
    return _decoder.decode(body)


def from_fields(document: dict[str, Any]) -> ExportLogs:
    """Return the export in a document that was read from another encoding, under the names of JSON."""
    return msgspec.convert(document, ExportLogs)


def check_names(body: bytes, export: ExportLogs) -> None:
    """Raise `ValueError` for a name that the protocol does not have: a typing error would be ignored everywhere."""
    _check(msgspec.json.decode(body), msgspec.to_builtins(export))


def _check(raw: object, known: object) -> None:
    if isinstance(raw, dict) and isinstance(known, dict):
        if unknown := raw.keys() - known.keys():
            msg = f"strict: the protocol has no {min(unknown)}"
            raise ValueError(msg)
        for name, value in raw.items():
            _check(value, known[name])
    elif isinstance(raw, list) and isinstance(known, list):
        for value, part in zip(raw, known, strict=True):
            _check(value, part)
