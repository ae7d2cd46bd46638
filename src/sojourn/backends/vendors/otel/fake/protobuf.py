"""An export of logs in OTLP's binary encoding, which most exporters send, as the document that it is in JSON.

https://github.com/open-telemetry/opentelemetry-proto/blob/v1.9.0/opentelemetry/proto/logs/v1/logs.proto
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class _Field(NamedTuple):
    """`read`: makes a value of what is on the wire; `None` for a message of `kind`."""

    name: str
    read: Callable[[Any], object] | None = None
    kind: str = ""
    is_repeated: bool = False


def _text(raw: bytes) -> str:
    return raw.decode("utf-8")


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _double(bits: int) -> object:
    value: float = struct.unpack("<d", bits.to_bytes(8, "little"))[0]
    return value


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()


def _hex(raw: bytes) -> str:
    return raw.hex()


_MESSAGES: Final[Mapping[str, Mapping[int, _Field]]] = {
    "ExportLogs": {1: _Field("resourceLogs", kind="ResourceLogs", is_repeated=True)},
    "ResourceLogs": {
        1: _Field("resource", kind="Resource"),
        2: _Field("scopeLogs", kind="ScopeLogs", is_repeated=True),
        3: _Field("schemaUrl", _text),
    },
    "Resource": {
        1: _Field("attributes", kind="KeyValue", is_repeated=True),
        2: _Field("droppedAttributesCount", int),
    },
    "ScopeLogs": {
        1: _Field("scope", kind="Scope"),
        2: _Field("logRecords", kind="LogRecord", is_repeated=True),
        3: _Field("schemaUrl", _text),
    },
    "Scope": {
        1: _Field("name", _text),
        2: _Field("version", _text),
        3: _Field("attributes", kind="KeyValue", is_repeated=True),
        4: _Field("droppedAttributesCount", int),
    },
    "LogRecord": {
        1: _Field("timeUnixNano", int),
        2: _Field("severityNumber", int),
        3: _Field("severityText", _text),
        5: _Field("body", kind="AnyValue"),
        6: _Field("attributes", kind="KeyValue", is_repeated=True),
        7: _Field("droppedAttributesCount", int),
        8: _Field("flags", int),
        9: _Field("traceId", _hex),
        10: _Field("spanId", _hex),
        11: _Field("observedTimeUnixNano", int),
        12: _Field("eventName", _text),
    },
    "KeyValue": {1: _Field("key", _text), 2: _Field("value", kind="AnyValue")},
    "AnyValue": {
        1: _Field("stringValue", _text),
        2: _Field("boolValue", bool),
        3: _Field("intValue", _signed),
        4: _Field("doubleValue", _double),
        5: _Field("arrayValue", kind="ArrayValue"),
        6: _Field("kvlistValue", kind="KeyValueList"),
        7: _Field("bytesValue", _base64),
    },
    "ArrayValue": {1: _Field("values", kind="AnyValue", is_repeated=True)},
    "KeyValueList": {1: _Field("values", kind="KeyValue", is_repeated=True)},
}


def export_of(body: bytes) -> dict[str, Any]:
    """Return the document; raise `ValueError` for bytes that are none. Unknown fields are ignored."""
    try:
        return _message(body, "ExportLogs")
    except (IndexError, TypeError, AttributeError, RecursionError) as error:
        msg = "the body is not protobuf"
        raise ValueError(msg) from error


def status(code: int, message: str) -> bytes:
    """Return a `google.rpc.Status`."""
    return _number(1, code) + _length(2, message.encode())


def partial_success(rejected: int, message: str) -> bytes:
    """Return an `ExportLogsServiceResponse` that refuses some records; without any it is empty."""
    return _length(1, _number(1, rejected) + _length(2, message.encode())) if rejected else b""


def _message(body: bytes, kind: str) -> dict[str, Any]:
    known = _MESSAGES[kind]
    document: dict[str, Any] = {}
    for number, raw in _fields(body):
        field = known.get(number)
        if field is None:
            continue
        value = _message(raw, field.kind) if field.read is None else field.read(raw)
        if field.is_repeated:
            document.setdefault(field.name, []).append(value)
        else:
            document[field.name] = value
    return document


def _fields(body: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(body):
        tag, at = _varint(body, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value: int | bytes
            value, at = _varint(body, at)
        elif wire in (_FIXED64, _FIXED32, _BYTES):
            size = {_FIXED64: 8, _FIXED32: 4}.get(wire)
            if size is None:
                size, at = _varint(body, at)
            part = body[at : at + size]
            if len(part) < size:
                msg = "the body ends too early"
                raise ValueError(msg)
            at += size
            value = part if wire == _BYTES else int.from_bytes(part, "little")
        else:
            msg = "the body is not protobuf"
            raise ValueError(msg)
        yield number, value


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, at
        shift += 7


def _number(number: int, value: int) -> bytes:
    return _encoded(number << 3 | _VARINT) + _encoded(value)


def _length(number: int, raw: bytes) -> bytes:
    return _encoded(number << 3 | _BYTES) + _encoded(len(raw)) + raw


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
