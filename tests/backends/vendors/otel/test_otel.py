"""OpenTelemetry: log records that its own decoder reads, the names of its conventions, the retry rules of OTLP."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import httpx
import msgspec
import pytest
from google.protobuf import json_format  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from sojourn.backends import OpenTelemetryBackend, backend_from_url
from sojourn.backends.http import HttpCall
from sojourn.core.events import Event, Scalar
from sojourn.errors import SettingsError
from sojourn.testing.backend_contract import hostile_events, many_events, sample_events
from sojourn.testing.vendors import FakeOpenTelemetry
from tests.backends.vendors.connected import backend_on, backend_responding

ADDRESS = "http://collector.example:4318"


def decoded(*events: Event) -> ExportLogsServiceRequest:
    (call,) = OpenTelemetryBackend(ADDRESS).encode(events)
    assert isinstance(call, HttpCall)
    request = ExportLogsServiceRequest()
    json_format.Parse(call.body, request)
    return request


def records(*events: Event) -> list[LogRecord]:
    (resource,) = decoded(*events).resource_logs
    (scope,) = resource.scope_logs
    assert scope.scope.name == "sojourn"
    return list(scope.log_records)


def plain(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    return None if kind is None else getattr(value, kind)


def attributes(record: LogRecord) -> dict[str, object]:
    return {pair.key: plain(pair.value) for pair in record.attributes}


def made(name: str = "purchase", own: Mapping[str, Scalar] | None = None, time: int = 1_769_860_800_123) -> Event:
    return msgspec.structs.replace(many_events(1)[0], name=name, time=time, attributes=own or {})


# --- what its own decoder reads


@pytest.mark.parametrize(
    ("name", "event_name"),
    [
        ("session.start", "session.start"),
        ("session.end", "session.end"),
        ("exception", "exception"),
        ("session.heartbeat", "sojourn.session.heartbeat"),
        ("page_view", "sojourn.page_view"),
        ("opt_out", "sojourn.opt_out"),
        ("purchase", "purchase"),
    ],
)
def test_event_names_outside_the_conventions_are_prefixed(name: str, event_name: str) -> None:
    assert records(made(name))[0].event_name == event_name


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("session.id", "session.id"),
        ("session.previous_id", "session.previous_id"),
        ("user.id", "user.id"),
        ("visitor.id", "enduser.pseudo.id"),
        ("http.route", "http.route"),
        ("url.path", "url.path"),
        ("exception.type", "exception.type"),
        ("exception.message", "exception.message"),
        ("exception.stacktrace", "exception.stacktrace"),
        ("exception.escaped", "sojourn.exception.escaped"),  # deprecated in the conventions
        ("session_properties.plan", "session_properties.plan"),
        ("event_properties.sku", "event_properties.sku"),
        ("session.duration_ms", "sojourn.session.duration_ms"),
        ("session.end_reason", "sojourn.session.end_reason"),
        ("user.traits.age", "sojourn.user.traits.age"),
        ("page_view.duration_ms", "sojourn.page_view.duration_ms"),
        ("sojourn.time_moved", "sojourn.time_moved"),
    ],
)
def test_attributes_outside_the_conventions_are_prefixed(name: str, key: str) -> None:
    assert attributes(records(made(own={name: "x"}))[0]) == {key: "x", "sojourn.event.id": "many-000000"}


def test_resource_and_scope_name_the_version_of_the_conventions() -> None:
    (resource,) = decoded(made()).resource_logs
    urls = {resource.schema_url, resource.scope_logs[0].schema_url}
    assert urls == {"https://opentelemetry.io/schemas/1.44.0"}


@pytest.mark.parametrize(
    ("value", "read"),
    [
        pytest.param("text", "text", id="text"),
        pytest.param("", "", id="empty"),
        pytest.param(True, True, id="bool"),
        pytest.param(False, False, id="false is sent"),
        pytest.param(0, 0, id="zero is sent"),
        pytest.param(2**53 + 1, 2**53 + 1, id="beyond a double"),
        pytest.param(-(2**63), -(2**63), id="least"),
        pytest.param(2**63, hex(2**63), id="beyond 64 bits"),
        pytest.param(1.5, 1.5, id="double"),
        pytest.param(3.0, 3.0, id="a double that is whole"),
        pytest.param(float("inf"), float("inf"), id="infinity"),
        pytest.param(float("-inf"), float("-inf"), id="negative infinity"),
    ],
)
def test_values_are_unchanged(value: Scalar, read: object) -> None:
    got = attributes(records(made(own={"x": value}))[0])["sojourn.x"]
    assert got == read
    assert type(got) is type(read)


def test_nan_arrives_as_nan() -> None:
    assert str(attributes(records(made(own={"x": float("nan")}))[0])["sojourn.x"]) == "nan"


@given(
    value=st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.booleans(), st.integers(-(2**63), 2**63 - 1))
)
def test_any_value_is_unchanged(value: Scalar) -> None:
    assert attributes(records(made(own={"x": value}))[0])["sojourn.x"] == value


def test_a_header_is_a_list_by_convention() -> None:
    name = "http.request.header.referer"
    assert attributes(records(made(own={name: "https://search.example/"}))[0])[name] == ["https://search.example/"]


def test_time_is_in_nanoseconds() -> None:
    (record,) = records(made(time=1_769_860_800_123))
    assert record.time_unix_nano == record.observed_time_unix_nano == 1_769_860_800_123_000_000


@pytest.mark.parametrize(
    ("event", "severity", "body"),
    [
        pytest.param(made("page_view"), (9, "INFO"), None, id="an event"),
        pytest.param(made("exception"), (17, "ERROR"), None, id="an exception"),
        pytest.param(
            made("log", {"log.body": "low", "log.severity": "WARNING"}), (13, "WARNING"), "low", id="a warning"
        ),
        pytest.param(made("log", {"log.severity": "NOTICE"}), (9, "NOTICE"), "", id="a level of the app's own"),
    ],
)
def test_severity_and_body(event: Event, severity: tuple[int, str], body: str | None) -> None:
    (record,) = records(event)
    assert (record.severity_number, record.severity_text) == severity
    assert plain(record.body) == body
    assert not any("log." in key for key in attributes(record))


def test_the_service_is_the_resource_and_is_on_no_record() -> None:
    (resource,) = decoded(*sample_events()).resource_logs
    assert {pair.key: plain(pair.value) for pair in resource.resource.attributes} == {
        "service.name": "shop",
        "service.version": "1.4.0",
        "deployment.environment.name": "test",
    }
    assert not any(
        key.startswith("service.") for record in resource.scope_logs[0].log_records for key in attributes(record)
    )


def test_missing_service_name_gets_the_conventional_default() -> None:
    (resource,) = decoded(made()).resource_logs
    assert [(pair.key, plain(pair.value)) for pair in resource.resource.attributes] == [
        ("service.name", "unknown_service:python")
    ]


def test_new_version_is_a_new_resource_and_order_is_kept() -> None:
    """As when a deployment falls into a batch: a start still comes after the end before it."""
    versions = ["1", "1", "2", "1"]
    batch = [
        msgspec.structs.replace(event, attributes={"service.name": "shop", "service.version": version})
        for event, version in zip(many_events(4), versions, strict=True)
    ]
    fake = FakeOpenTelemetry(is_strict=True)
    backend_on(fake).send(batch)
    assert [event.id for event in fake.events()] == [event.id for event in batch]
    assert [resource["service.version"] for resource in fake.resources] == ["1", "2", "1"]


def test_hostile_values_are_read_by_its_decoder() -> None:
    assert len(records(*hostile_events())) == len(hostile_events())


# --- where and with what


@pytest.mark.parametrize(
    ("url", "called", "headers"),
    [
        pytest.param("otel+http://c.example:4318", "http://c.example:4318/v1/logs", {}, id="plain"),
        pytest.param("otel+https://c.example/v1/logs", "https://c.example/v1/logs", {}, id="the whole path"),
        pytest.param("otel+https://c.example/otlp/", "https://c.example/otlp/v1/logs", {}, id="below a path"),
        pytest.param("otel+https://k@c.example", "https://c.example/v1/logs", {"authorization": "Bearer k"}, id="key"),
        pytest.param(
            "otel+https://u:p@c.example", "https://c.example/v1/logs", {"authorization": "Basic dTpw"}, id="password"
        ),
        pytest.param(
            "otel+https://c.example?header=X-Team:t&header=x-set%3D1",
            "https://c.example/v1/logs",
            {"x-team": "t", "x-set": "1"},
            id="headers",
        ),
    ],
)
def test_backend_from_url(url: str, called: str, headers: dict[str, str]) -> None:
    backend = backend_from_url(url)
    assert isinstance(backend, OpenTelemetryBackend)
    (call,) = backend.encode(many_events(1))
    assert isinstance(call, HttpCall)
    assert call.url == called
    assert call.headers == {**headers, "content-type": "application/json"}


@pytest.mark.parametrize("header", ["hunter2", "a%0d%0ab:hunter2", ":hunter2", "x:"])
def test_malformed_header_is_refused_without_its_value(header: str) -> None:
    with pytest.raises(SettingsError, match="header") as caught:
        backend_from_url(f"otel+https://c.example?header={header}")
    assert "hunter2" not in str(caught.value)


# --- responses


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retryable_statuses_are_retried(status: int) -> None:
    receipt = backend_responding("otel", httpx.Response(status, headers={"retry-after": "7"})).send(many_events(2))
    assert (receipt.delivered, receipt.rejected, receipt.retry_after) == (0, (), 7.0)


@pytest.mark.parametrize("status", [500, 501, 505, 408, 425])
def test_final_statuses_are_not_retried(status: int) -> None:
    receipt = backend_responding("otel", httpx.Response(status)).send(many_events(2))
    assert [(rejection.status, "OTLP calls this final" in rejection.reason) for rejection in receipt.rejected] == [
        (status, True)
    ] * 2


@pytest.mark.parametrize("status", [401, 403, 404])
def test_errors_of_the_setup_pause_delivery(status: int) -> None:
    receipt = backend_responding("otel", httpx.Response(status)).send(many_events(2))
    assert (receipt.delivered, receipt.rejected) == (0, ())
    assert receipt.pause is not None


@pytest.mark.parametrize(
    ("body", "rejected", "is_logged"),
    [
        pytest.param({}, 0, False, id="all taken"),
        pytest.param({"partialSuccess": {}}, 0, False, id="an empty one"),
        pytest.param({"partialSuccess": {"errorMessage": "a warning"}}, 0, False, id="a warning"),
        pytest.param({"partialSuccess": {"rejectedLogRecords": "3"}}, 3, False, id="all refused"),
        pytest.param({"partialSuccess": {"rejectedLogRecords": "2"}}, 0, True, id="some refused, unknown which"),
        pytest.param({"partialSuccess": {"rejectedLogRecords": "many"}}, 0, False, id="nonsense"),
        pytest.param({"partialSuccess": None}, 0, False, id="null"),
    ],
)
def test_a_partial_success_is_final(
    body: object, rejected: int, is_logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(200, json=body)

    with caplog.at_level(logging.WARNING, logger="sojourn"):
        receipt = backend_responding("otel", take).send(many_events(3))
    assert (receipt.delivered, len(receipt.rejected)) == (3 - rejected, rejected)
    assert ("rejected 2 of 3 events" in caplog.text) is is_logged
    assert len(calls) == 1


def test_limits() -> None:
    calls = [call for call in OpenTelemetryBackend().encode(many_events(2500)) if isinstance(call, HttpCall)]
    assert [len(call.events) for call in calls] == [1000, 1000, 500]
    large = [msgspec.structs.replace(event, attributes={"x": "y" * 31_000}) for event in many_events(300)]
    calls = [call for call in OpenTelemetryBackend().encode(large) if isinstance(call, HttpCall)]
    assert max(len(call.body) for call in calls) <= 4_000_000
    assert sum(len(call.events) for call in calls) == 300


# --- all of it together
