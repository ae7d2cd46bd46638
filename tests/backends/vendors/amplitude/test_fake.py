"""The fake Amplitude refuses what its API refuses, with its documents, and counts people as its documentation says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sojourn.testing.vendors import FakeAmplitude, Reply
from tests.backends.vendors import connected

KEY = "FAKEKEY"
GOOD: dict[str, Any] = {
    "event_type": "session_start",
    "device_id": "device-1",
    "time": 1_767_607_200_000,
    "session_id": 1_767_607_200_000,
    "insert_id": "i1",
    "event_properties": {"plan": "pro"},
}


def call(
    fake: FakeAmplitude, *events: object, path: str = "/2/httpapi", method: str = "POST", **document: Any
) -> Reply:
    body = {"api_key": KEY, "events": list(events), **document}
    return connected.call(fake, body, path, {}, method=method)


def said(reply: Reply) -> dict[str, Any]:
    return dict(json.loads(reply.body))


@pytest.mark.parametrize("path", ["/2/httpapi", "/batch"])
def test_valid_call_is_taken(path: str) -> None:
    fake = FakeAmplitude()
    reply = call(fake, GOOD, path=path)
    assert reply.status == 200
    assert (said(reply)["code"], said(reply)["events_ingested"]) == (200, 1)
    (event,) = fake.events()
    assert (event.name, event.session_id, event.visitor_id) == ("session_start", "1767607200000", "device-1")
    assert fake.event_ids() == ["i1"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(b"", "Missing request body", id="nothing"),
        pytest.param(b"{", "Invalid JSON request body", id="cut"),
        pytest.param(b"[]", "Invalid JSON request body", id="a list"),
        pytest.param(b"{}", "Request missing required field", id="empty"),
        pytest.param(b'{"api_key":"FAKEKEY","events":[]}', "Request missing required field", id="no events"),
        pytest.param(b'{"api_key":"FAKEKEY","events":[1]}', "Invalid event JSON", id="no objects"),
        pytest.param(b'{"api_key":"other","events":[{}]}', "Invalid API key: other", id="another key"),
    ],
)
def test_call_that_cannot_be_read_is_refused(body: bytes, error: str) -> None:
    fake = FakeAmplitude()
    reply = connected.call(fake, body, "/2/httpapi", {})
    assert (reply.status, said(reply)["error"]) == (400, error)
    assert fake.events() == []


@pytest.mark.parametrize(("path", "method"), [("/2/http", "POST"), ("/2/httpapi", "GET")])
def test_other_paths_are_refused(path: str, method: str) -> None:
    assert said(call(FakeAmplitude(), GOOD, path=path, method=method))["error"] == "Invalid request path"


@pytest.mark.parametrize(
    ("changes", "group", "field"),
    [
        pytest.param({"event_type": ""}, "events_with_missing_fields", "event_type", id="no type"),
        pytest.param({"device_id": None}, "events_with_missing_fields", "device_id", id="nobody"),
        pytest.param({"device_id": "abcd"}, "events_with_invalid_id_lengths", "device_id", id="a short device"),
        pytest.param({"user_id": "unknown"}, "events_with_invalid_fields", "user_id", id="a placeholder"),
        pytest.param({"device_id": 12345}, "events_with_invalid_fields", "device_id", id="a number"),
        pytest.param({"time": "2026-01-05T10:00:00Z"}, "events_with_invalid_fields", "time", id="a time as text"),
    ],
)
def test_bad_event_is_named_by_its_index_and_nothing_is_taken(changes: dict[str, Any], group: str, field: str) -> None:
    fake = FakeAmplitude()
    reply = call(fake, GOOD, GOOD | changes | {"insert_id": "i2"})
    assert (reply.status, said(reply)[group]) == (400, {field: [1]})
    assert fake.events() == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        pytest.param({"insert_id": ""}, "insert_id", id="nothing to recognise it by"),
        pytest.param({"event_type": "[Amplitude] Start Session"}, "event_type", id="a reserved name"),
        pytest.param({"session_id": 1_767_607_200}, "session_id", id="a session in seconds"),
        pytest.param({"event_properties": {"text": "x" * 1_025}}, "text", id="a text that is cut"),
        pytest.param({"sesion_id": 1}, "sesion_id", id="an unknown field"),
    ],
)
def test_only_a_strict_fake_refuses_what_is_of_no_use(changes: dict[str, Any], field: str) -> None:
    assert call(FakeAmplitude(), GOOD | changes).status == 200
    reply = call(FakeAmplitude(is_strict=True), GOOD | changes)
    assert said(reply)["events_with_invalid_fields"] == {field: [0]}


def test_short_user_id_is_removed_unless_the_call_allows_it() -> None:
    fake = FakeAmplitude()
    call(fake, GOOD | {"user_id": "anna"})
    call(fake, GOOD | {"user_id": "anna", "insert_id": "i2"}, options={"min_id_length": 1})
    assert [event.user_id for event in fake.events()] == [None, "anna"]


def test_limits_of_a_call() -> None:
    events = [GOOD | {"insert_id": f"i{number}"} for number in range(2_001)]
    assert call(FakeAmplitude(), *events[:2_000]).status == 200
    assert call(FakeAmplitude(), *events).status == 413
    large = GOOD | {"event_properties": {"text": "x" * 1_000_000}}
    assert call(FakeAmplitude(), large).status == 413
    assert call(FakeAmplitude(), large, path="/batch").status == 200


def test_insert_id_is_known_for_a_device_and_seven_days() -> None:
    now = [0]
    fake = FakeAmplitude(now=lambda: now[0])
    call(fake, GOOD)
    call(fake, GOOD, GOOD | {"device_id": "device-2"})
    assert (len(fake.events()), fake.duplicates) == (2, 1)
    now[0] = 7 * 24 * 3_600_000 + 1
    call(fake, GOOD)
    assert (len(fake.events()), fake.duplicates) == (3, 1), "it counts again"


@pytest.mark.parametrize(
    ("path", "users"),
    [
        pytest.param([("G", None), ("G", "john")], ["john", "john"], id="anonymous, then a user"),
        pytest.param(
            [("R", "jane"), ("R", None), ("R", "mary"), ("R", None)],
            ["jane", "jane", "mary", "mary"],
            id="several users of one device",
        ),
        pytest.param(
            [("Y", "david"), ("Z", None), ("Z", "david"), ("Z", None)], ["david"] * 4, id="one user of two devices"
        ),
        pytest.param([("A", None), ("B", None)], [None, None], id="nobody"),
    ],
)
def test_people_are_those_of_the_documentation(path: list[tuple[str, str | None]], users: list[str | None]) -> None:
    """The tables of https://amplitude.com/docs/data/sources/instrument-track-unique-users, row by row."""
    fake = FakeAmplitude()
    for number, (device, user) in enumerate(path):
        event = GOOD | {"device_id": f"device {device}", "user_id": user, "insert_id": str(number)}
        assert call(fake, event, options={"min_id_length": 1}).status == 200
    assert [fake.user_of(event) for event in fake.events()] == users


def test_session_lasts_from_its_first_event_to_its_last_and_belongs_to_one_person() -> None:
    fake = FakeAmplitude()
    at = GOOD["time"]
    call(
        fake,
        GOOD,
        GOOD | {"insert_id": "i2", "time": at + 9_000, "event_type": "seen"},
        GOOD | {"insert_id": "i3", "time": at + 90_000, "session_id": -1},
        GOOD | {"insert_id": "i4", "time": at + 5_000, "device_id": "device-2"},
    )
    assert [session.duration_ms for session in fake.sessions()] == [9_000, 0]


def test_identify_is_no_event_of_a_session() -> None:
    fake = FakeAmplitude()
    traits = {"event_type": "$identify", "user_id": "anna-1", "user_properties": {"$set": {"plan": "pro"}}}
    call(fake, GOOD, GOOD | traits | {"insert_id": "i2", "time": GOOD["time"] + 9_000})
    assert [session.names for session in fake.sessions()] == [("session_start",)]
    assert fake.users() == {"anna-1": {"plan": "pro"}}


def test_clear_forgets_all() -> None:
    fake = FakeAmplitude()
    call(fake, GOOD | {"user_id": "anna-1"})
    fake.clear()
    assert (fake.events(), fake.sessions(), fake.users(), fake.duplicates) == ([], [], {}, 0)
