"""Encode events as OTLP log records in JSON, under the names of the semantic conventions. Pure.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from sojourn.backends._exchange import user_agent
from sojourn.backends._json import to_json
from sojourn.backends.contexts import with_client
from sojourn.core.events import EXCEPTION, LOG, RESERVED_NAMES, SESSION_END, SESSION_START, Event, Scalar

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
"""The version of the conventions that resource and records hold to."""

_OWN: Final = "sojourn."
_RESOURCE: Final = ("service.name", "service.version", "deployment.environment.name")
_OF_A_LOG: Final = (*_RESOURCE, "log.body", "log.severity")
_REQUEST_HEADERS: Final = "http.request.header."  # a list by convention, because a header may be repeated
_OWN_EVENTS: Final = RESERVED_NAMES - {SESSION_START, SESSION_END, EXCEPTION}
_SEVERITIES: Final = {
    "TRACE": 1,
    "DEBUG": 5,
    "INFO": 9,
    "WARN": 13,
    "WARNING": 13,
    "ERROR": 17,
    "CRITICAL": 21,
    "FATAL": 21,
}
_INFO: Final = 9
_ERROR: Final = 17
_SCHEMA: Final = to_json(SCHEMA_URL)
# Defined by the conventions. Everything else gets our own prefix, so that it cannot be mistaken for something else.
_SHARED_NAMES: Final = frozenset({"session.id", "session.previous_id", "user.id", "user.name", "error.type"})
_SHARED_PREFIXES: Final = (
    _OWN,
    "client.",
    "exception.message",
    "exception.stacktrace",
    "exception.type",
    "http.",
    "network.",
    "url.",
    "user_agent.",
    "session_properties.",
    "event_properties.",
)


class _Any(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: str | None = None
    double_value: float | str | None = None
    array_value: dict[str, list[_Any]] | None = None


class _Pair(msgspec.Struct, frozen=True, gc=False):
    key: str
    value: _Any


class _Record(msgspec.Struct, frozen=True, gc=False, kw_only=True, rename="camel"):
    time_unix_nano: str
    observed_time_unix_nano: str
    severity_number: int
    severity_text: str
    event_name: str | msgspec.UnsetType
    body: _Any | msgspec.UnsetType
    attributes: list[_Pair]


def resource(event: Event) -> tuple[Scalar | None, ...]:
    """Return the values that identify a resource."""
    attributes = event.attributes
    return tuple(attributes.get(name) for name in _RESOURCE)


@lru_cache(maxsize=64)
def frame(of: tuple[Scalar | None, ...]) -> tuple[bytes, bytes]:
    """Return the JSON before and after the records of one resource."""
    # https://opentelemetry.io/docs/specs/semconv/resource/#service: a name is required; this is the default.
    named = {name: value for name, value in zip(_RESOURCE, of, strict=True) if value}
    pairs = [_pair(name, value) for name, value in ({"service.name": "unknown_service:python"} | named).items()]
    scope = {"name": "sojourn", "version": user_agent().partition("/")[2]}
    head = b'{"resourceLogs":[{"resource":{"attributes":%b},"scopeLogs":[{"scope":%b,"logRecords":['
    tail = b'],"schemaUrl":%b}],"schemaUrl":%b}]}' % (_SCHEMA, _SCHEMA)
    return head % (to_json(pairs), to_json(scope)), tail


def encoded(event: Event) -> bytes:
    """Return one log record."""
    at = f"{max(event.time, 0)}000000"
    elsewhere = _OF_A_LOG if event.name == LOG else _RESOURCE
    attributes = [
        _pair(_attribute_name(name), value) for name, value in with_client(event).items() if name not in elsewhere
    ]
    # Delivery is at least once, and the conventions have no name for an id by which to de-duplicate.
    attributes.append(_pair("sojourn.event.id", event.id))
    severity, text = _INFO, "INFO"
    body: _Any | msgspec.UnsetType = msgspec.UNSET
    if event.name == EXCEPTION:
        severity, text = _ERROR, "ERROR"
    elif event.name == LOG:
        text = str(event.attributes.get("log.severity", text))
        severity = _SEVERITIES.get(text.upper(), _INFO)
        body = _any(str(event.attributes.get("log.body", "")))
    return to_json(
        _Record(
            time_unix_nano=at,
            observed_time_unix_nano=at,
            severity_number=severity,
            severity_text=text,
            event_name=_event_name(event.name),
            body=body,
            attributes=attributes,
        )
    )


@lru_cache(maxsize=1024)
def _event_name(name: str) -> str:
    return _OWN + name if name in _OWN_EVENTS else name


@lru_cache(maxsize=4096)
def _attribute_name(name: str) -> str:
    if name == "visitor.id":
        return "enduser.pseudo.id"
    return name if name in _SHARED_NAMES or name.startswith(_SHARED_PREFIXES) else _OWN + name


def _pair(name: str, value: Scalar) -> _Pair:
    if name.startswith(_REQUEST_HEADERS):
        return _Pair(name, _Any(array_value={"values": [_any(value)]}))
    return _Pair(name, _any(value))


def _any(value: Scalar) -> _Any:
    if isinstance(value, str):
        return _Any(string_value=value)
    if isinstance(value, bool):
        return _Any(bool_value=value)
    if isinstance(value, float):
        # https://protobuf.dev/programming-guides/json/: JSON has no numbers for these three.
        return _Any(double_value=value if value - value == 0 else _odd(value))
    if -(2**63) <= value < 2**63:
        return _Any(int_value=str(value))
    return _Any(string_value=hex(value))


def _odd(value: float) -> str:
    if value != value:  # noqa: PLR0124 - only NaN is not itself
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
