"""The fake OTLP receiver: lowerCamelCase names, one value per attribute, times, the conventions for sessions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from sojourn.testing.vendors import FakeOpenTelemetry, Received, Reply


def pair(key: str, value: Any) -> dict[str, Any]:
    return {"key": key, "value": value if isinstance(value, dict) else {"stringValue": value}}


def record(**changes: Any) -> dict[str, Any]:
    good = {
        "timeUnixNano": "1769860800000000000",
        "severityNumber": 9,
        "eventName": "session.start",
        "attributes": [pair("session.id", "s-1"), pair("enduser.pseudo.id", "v-1"), pair("sojourn.event.id", "e-1")],
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def body(*records: dict[str, Any], resource: Any = ...) -> dict[str, Any]:
    known = {"attributes": [pair("service.name", "shop")]} if resource is ... else resource
    return {"resourceLogs": [{"resource": known, "scopeLogs": [{"scope": {"name": "x"}, "logRecords": list(records)}]}]}


def post(fake: FakeOpenTelemetry, document: object, **changes: Any) -> Reply:
    request: dict[str, Any] = {
        "method": "POST",
        "path": "/v1/logs",
        "headers": {"content-type": "application/json"},
        "body": json.dumps(document).encode(),
    }
    return fake.handle(Received(**{**request, **changes}))


def test_valid_call_is_accepted() -> None:
    fake = FakeOpenTelemetry()
    reply = post(fake, body(record()))
    assert (reply.status, json.loads(reply.body)) == (200, {})
    (event,) = fake.events()
    assert (event.id, event.name, event.at) == ("e-1", "session.start", 1_769_860_800_000)
    assert (event.session_id, event.visitor_id, event.user_id) == ("s-1", "v-1", None)
    assert fake.resources == [{"service.name": "shop"}]


@pytest.mark.parametrize(
    ("document", "status"),
    [
        pytest.param(body(record(timeUnixNano=..., observedTimeUnixNano="1769860800000000000")), 200, id="observed"),
        pytest.param(body(record(timeUnixNano=1_769_860_800_000_000_000)), 200, id="time as a number"),
        pytest.param(body(record(timeUnixNano="now")), 400, id="time is a word"),
        pytest.param(body(record(severityNumber="INFO")), 400, id="severity by name"),
        pytest.param(body(record(attributes=[pair("session.id", {"intValue": 7})])), 200, id="int as a number"),
        pytest.param(body(record(attributes=[pair("session.id", {"intValue": "7"})])), 200, id="int as text"),
        pytest.param(body(record(attributes=[pair("session.id", {"intValue": "x"})])), 400, id="int is a word"),
        pytest.param(body(record(attributes=[pair("session.id", {"intValue": str(2**63)})])), 400, id="int of 65 bits"),
        pytest.param(body(record(attributes=[pair("session.id", {"stringValue": 7})])), 400, id="text is a number"),
        pytest.param(
            body(record(attributes=[pair("session.id", {"stringValue": "s", "intValue": "7"})])), 400, id="two values"
        ),
        pytest.param(body(record(attributes={"session.id": "s"})), 400, id="attributes as an object"),
        pytest.param(body(record(attributes=[], eventName="x")), 200, id="another event without a session"),
        pytest.param([], 400, id="a list"),
        pytest.param({}, 200, id="nothing"),
    ],
)
def test_invalid_records_are_refused(document: object, status: int) -> None:
    fake = FakeOpenTelemetry()
    reply = post(fake, document)
    assert reply.status == status
    if status == 400:
        assert json.loads(reply.body)["code"] == 3
        assert fake.events() == []


PAIRS = {"kvlistValue": {"values": [pair("a", {"intValue": "1"}), pair("b", {"boolValue": True})]}}


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(body(record(time_unix_nano="1")), id="snake_case"),
        pytest.param(body(record(timeUnixNano=..., observedTimeUnixNano=...)), id="no time"),
        pytest.param(body(record(severityNumber=25)), id="no such severity"),
        pytest.param(body(record(attributes=[pair("session.id", {"string_value": "s"})])), id="value in snake_case"),
        pytest.param(body(record(attributes=[pair("session.id", "s"), pair("session.id", "t")])), id="a key twice"),
        pytest.param(body(record(attributes=[pair("", "x")], eventName="x")), id="an empty key"),
        pytest.param(body(record(attributes=[])), id="a start without a session"),
        pytest.param(
            body(record(attributes=[pair("session.id", "s"), pair("session.previous_id", "s")])), id="its own previous"
        ),
        pytest.param(body(record(), resource={"attributes": []}), id="no service"),
        pytest.param(body(record(), resource=None), id="no resource"),
        pytest.param(
            body(record(), resource={"attributes": [pair("service.name", "x")], "entityRefs": [{"type": "service"}]}),
            id="a name of a later version",
        ),
        pytest.param(
            body(record(), resource={"attributes": [pair("service.name", "x"), pair("service.name", "y")]}),
            id="a key of the resource twice",
        ),
        pytest.param({"resource_logs": []}, id="the whole in snake_case"),
    ],
)
def test_only_a_strict_fake_refuses_what_every_receiver_takes(document: object) -> None:
    """Receivers of OTLP/JSON must ignore unknown fields, and the protocol requires no attribute."""
    strict = FakeOpenTelemetry(is_strict=True)
    assert (post(strict, document).status, strict.events()) == (400, [])
    assert post(FakeOpenTelemetry(), document).status == 200


@pytest.mark.parametrize("is_strict", [True, False])
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(PAIRS, '{"a": 1, "b": true}', id="pairs"),
        pytest.param({"bytesValue": "AAEC"}, "AAEC", id="bytes"),
        pytest.param({"arrayValue": {"values": [{"stringValue": "a"}, PAIRS]}}, 'a, {"a": 1, "b": true}', id="nested"),
        pytest.param({}, None, id="empty"),
    ],
)
def test_values_of_every_kind_are_read(value: dict[str, Any], shown: object, is_strict: bool) -> None:
    fake = FakeOpenTelemetry(is_strict=is_strict)
    document = body(record(eventName="x", attributes=[pair("odd", value)], body=value))
    assert post(fake, document).status == 200
    assert (fake.events()[0].attributes["odd"], fake.events()[0].attributes["body"]) == (shown, shown)


def test_records_without_an_id_of_ours_are_all_kept() -> None:
    fake = FakeOpenTelemetry()
    post(fake, body(record(attributes=[pair("n", "1")]), record(attributes=[pair("n", "1")])))
    assert (len(fake.events()), fake.duplicates) == (2, 0)


# --- protobuf

BINARY = {"content-type": "application/x-protobuf"}


def binary(document: dict[str, Any]) -> bytes:
    return bytes(json_format.ParseDict(document, ExportLogsServiceRequest()).SerializeToString())


def test_protobuf_is_read_as_the_same_document_in_json() -> None:
    odd = record(
        eventName="x",
        severityText="WARN",
        flags=1,
        traceId="00" * 16,
        spanId="00" * 8,
        droppedAttributesCount=300,
        observedTimeUnixNano="1769860800000000001",
        body=PAIRS,
        attributes=[
            pair("sojourn.event.id", "e-2"),
            pair("text", "Straße"),
            pair("flag", {"boolValue": True}),
            pair("negative", {"intValue": "-7"}),
            pair("large", {"intValue": str(2**62)}),
            pair("double", {"doubleValue": -0.5}),
            pair("bytes", {"bytesValue": "AAEC"}),
            pair("array", {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "1"}]}}),
            pair("pairs", PAIRS),
            pair("empty", {}),
        ],
    )
    document = body(record(), odd)
    document["resourceLogs"][0]["schemaUrl"] = "https://opentelemetry.io/schemas/1.44.0"
    document["resourceLogs"][0]["scopeLogs"][0]["scope"] |= {"version": "1", "attributes": [pair("a", "b")]}
    document["resourceLogs"][0]["resource"]["droppedAttributesCount"] = 1
    fakes = [FakeOpenTelemetry(is_strict=True), FakeOpenTelemetry(is_strict=True)]
    assert post(fakes[0], document).status == 200
    raw = json.loads(json.dumps(document))
    for one in raw["resourceLogs"][0]["scopeLogs"][0]["logRecords"]:
        for name in ("traceId", "spanId"):  # hexadecimal in OTLP only
            one.pop(name, None)
    reply = post(fakes[1], None, body=binary(raw), headers=BINARY)
    assert (reply.status, reply.body, reply.headers["content-type"]) == (200, b"", "application/x-protobuf")
    assert fakes[0].events() == fakes[1].events()
    assert fakes[0].resources == fakes[1].resources
    assert len(fakes[1].events()) == 2


@given(raw=st.binary(max_size=60))
def test_no_bytes_make_the_fake_fail(raw: bytes) -> None:
    assert post(FakeOpenTelemetry(), None, body=raw, headers=BINARY).status in (200, 400)
    assert post(FakeOpenTelemetry(), None, body=binary(body(record())) + raw, headers=BINARY).status in (200, 400)


def test_responses_to_protobuf_are_protobuf() -> None:
    fake = FakeOpenTelemetry(reject=lambda event: event.name == "noise")
    reply = post(fake, None, body=binary(body(record(eventName="noise"))), headers=BINARY)
    response = ExportLogsServiceResponse.FromString(reply.body)
    assert response.partial_success.rejected_log_records == 1
    assert response.partial_success.error_message
    refused = post(FakeOpenTelemetry(is_strict=True), None, body=binary(body(record(attributes=[]))), headers=BINARY)
    assert refused.status == 400
    assert refused.body.startswith(b"\x08\x03")
    assert b"session.id" in refused.body


@pytest.mark.parametrize("raw", [b"\x0a\x05abc", b"\x0b", b"\xff", b"\x0a\x02\x0a\x7f"])
def test_protobuf_that_is_none_is_refused(raw: bytes) -> None:
    assert post(FakeOpenTelemetry(), None, body=raw, headers=BINARY).status == 400


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({"path": "/v1/traces"}, 404, id="another path"),
        pytest.param({"method": "GET"}, 405, id="another method"),
        pytest.param({"headers": {"content-type": "text/plain"}}, 415, id="text"),
    ],
)
def test_invalid_calls_are_refused(changes: dict[str, Any], status: int) -> None:
    assert post(FakeOpenTelemetry(), body(record()), **changes).status == status


@pytest.mark.parametrize(("given", "status"), [("Bearer k", 200), ("Bearer other", 401), ("", 401), ("k", 401)])
def test_key_is_required_if_the_fake_has_one(given: str, status: int) -> None:
    headers = {"content-type": "application/json", "authorization": given}
    assert post(FakeOpenTelemetry("k"), body(record()), headers=headers).status == status


def test_response_counts_rejected_records() -> None:
    fake = FakeOpenTelemetry(reject=lambda event: event.name == "noise")
    noise = record(eventName="noise", attributes=[pair("sojourn.event.id", "e-2")])
    reply = post(fake, body(record(), noise, noise))
    assert reply.status == 200
    assert json.loads(reply.body)["partialSuccess"]["rejectedLogRecords"] == "2"
    assert [event.name for event in fake.events()] == ["session.start"]


def test_sessions_have_the_names_of_sojourn() -> None:
    fake = FakeOpenTelemetry()
    end = record(
        eventName="session.end",
        timeUnixNano="1769860810000000000",
        attributes=[
            pair("session.id", "s-1"),
            pair("user.id", "anna"),
            pair("sojourn.event.id", "e-2"),
            pair("sojourn.session.duration_ms", {"intValue": "10000"}),
            pair("sojourn.session.end_reason", "ended"),
            pair("session_properties.plan", "team"),
        ],
    )
    for _ in range(2):
        post(fake, body(end, record()))
    (session,) = fake.sessions()
    assert (session.user_id, session.started_at, session.duration_ms, session.reason) == (
        "anna",
        1_769_860_800_000,
        10_000,
        "ended",
    )
    assert (dict(session.properties), fake.duplicates) == ({"session_properties.plan": "team"}, 2)
    fake.clear()
    assert (fake.sessions(), fake.resources) == ([], [])
