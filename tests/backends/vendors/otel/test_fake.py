"""The fake OTLP receiver: lowerCamelCase names, one value per attribute, times, the conventions for sessions."""

from __future__ import annotations

import json
from typing import Any

import pytest

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
        pytest.param(body(record(time_unix_nano="1")), 400, id="snake_case"),
        pytest.param(body(record(timeUnixNano=..., observedTimeUnixNano=...)), 400, id="no time"),
        pytest.param(body(record(timeUnixNano=..., observedTimeUnixNano="1769860800000000000")), 200, id="observed"),
        pytest.param(body(record(timeUnixNano=1_769_860_800_000_000_000)), 200, id="time as a number"),
        pytest.param(body(record(timeUnixNano="now")), 400, id="time is a word"),
        pytest.param(body(record(severityNumber="INFO")), 400, id="severity by name"),
        pytest.param(body(record(severityNumber=25)), 400, id="no such severity"),
        pytest.param(body(record(attributes=[pair("session.id", {"intValue": 7})])), 200, id="int as a number"),
        pytest.param(body(record(attributes=[pair("session.id", {"intValue": "7"})])), 200, id="int as text"),
        pytest.param(body(record(attributes=[pair("session.id", {"intValue": "x"})])), 400, id="int is a word"),
        pytest.param(body(record(attributes=[pair("session.id", {"intValue": str(2**63)})])), 400, id="int of 65 bits"),
        pytest.param(
            body(record(attributes=[pair("session.id", {"string_value": "s"})])), 400, id="value in snake_case"
        ),
        pytest.param(body(record(attributes=[pair("session.id", {"stringValue": 7})])), 400, id="text is a number"),
        pytest.param(
            body(record(attributes=[pair("session.id", {"stringValue": "s", "intValue": "7"})])), 400, id="two values"
        ),
        pytest.param(
            body(record(attributes=[pair("session.id", "s"), pair("session.id", "t")])), 400, id="a key twice"
        ),
        pytest.param(body(record(attributes=[pair("", "x")], eventName="x")), 400, id="an empty key"),
        pytest.param(body(record(attributes={"session.id": "s"})), 400, id="attributes as an object"),
        pytest.param(body(record(attributes=[])), 400, id="a start without a session"),
        pytest.param(body(record(attributes=[], eventName="x")), 200, id="another event without a session"),
        pytest.param(
            body(record(attributes=[pair("session.id", "s"), pair("session.previous_id", "s")])),
            400,
            id="its own previous",
        ),
        pytest.param(body(record(), resource={"attributes": []}), 400, id="no service"),
        pytest.param(body(record(), resource=None), 400, id="no resource"),
        pytest.param([], 400, id="a list"),
        pytest.param({"resource_logs": []}, 400, id="the whole in snake_case"),
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


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({"path": "/v1/traces"}, 404, id="another path"),
        pytest.param({"method": "GET"}, 405, id="another method"),
        pytest.param({"headers": {"content-type": "application/x-protobuf"}}, 415, id="protobuf"),
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
