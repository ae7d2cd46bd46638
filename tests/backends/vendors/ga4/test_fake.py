"""The fake Measurement Protocol: success for anything, and what the validation server finds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sojourn.testing.vendors import FakeGA4, Received, Reply

KEYS = "measurement_id=G-FAKE000001&api_secret=FAKE-SECRET"
GOOD: dict[str, Any] = {
    "client_id": "123.456",
    "user_id": "anna",
    "events": [
        {
            "name": "page_view",
            "timestamp_micros": 1_767_607_200_000_000,
            "params": {"session_id": 1_767_607_200_000, "engagement_time_msec": 7, "event_id": "e1"},
        }
    ],
}


def call(fake: FakeGA4, body: object, *, path: str = "/mp/collect", query: str = KEYS, method: str = "POST") -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return fake.handle(Received(method=method, path=path, query=query, body=raw))


def event(**changes: Any) -> dict[str, Any]:
    return {**GOOD, "events": [{**GOOD["events"][0], **changes}]}


def codes(body: object, *, fake: FakeGA4 | None = None) -> list[str]:
    reply = call(fake or FakeGA4(), body, path="/debug/mp/collect")
    assert reply.status == 200
    return [message["validationCode"] for message in json.loads(reply.body)["validationMessages"]]


def test_valid_call_is_taken() -> None:
    fake = FakeGA4()
    reply = call(fake, GOOD)
    assert (reply.status, reply.body) == (204, b"")
    (taken,) = fake.events()
    assert (taken.name, taken.at, taken.session_id) == ("page_view", 1_767_607_200_000, "1767607200000")
    assert (taken.visitor_id, taken.user_id, fake.event_ids()) == ("123.456", "anna", ["e1"])


@pytest.mark.parametrize(
    ("body", "query"),
    [
        pytest.param(b"{", KEYS, id="cut"),
        pytest.param([], KEYS, id="a list"),
        pytest.param({"events": []}, KEYS, id="no client"),
        pytest.param({**GOOD, "events": [1]}, KEYS, id="no event"),
        pytest.param({**GOOD, "events": GOOD["events"] * 26}, KEYS, id="too many events"),
        pytest.param(event(name="session_start"), KEYS, id="a reserved name"),
        pytest.param(GOOD, "", id="no keys"),
        pytest.param(GOOD, "measurement_id=G-FAKE000001&api_secret=other", id="another secret"),
    ],
)
def test_what_is_dropped_gets_a_success_too(body: object, query: str) -> None:
    fake = FakeGA4()
    assert call(fake, body, query=query).status == 204
    assert (fake.counted, len(fake.discarded)) == ([], 1)


@pytest.mark.parametrize(("path", "method", "status"), [("/g/collect", "POST", 404), ("/mp/collect", "GET", 405)])
def test_addresses(path: str, method: str, status: int) -> None:
    assert call(FakeGA4(), GOOD, path=path, method=method).status == status


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param([], "VALUE_INVALID", id="no object"),
        pytest.param({**GOOD, "client_id": ""}, "VALUE_REQUIRED", id="no client"),
        pytest.param({**GOOD, "client_id": "6b1f6c2a"}, "VALUE_INVALID", id="a client that is not two numbers"),
        pytest.param({**GOOD, "user_id": "u" * 257}, "VALUE_INVALID", id="a long user"),
        pytest.param({**GOOD, "events": []}, "VALUE_REQUIRED", id="no events"),
        pytest.param({**GOOD, "events": GOOD["events"] * 26}, "EXCEEDED_MAX_ENTITIES", id="26 events"),
        pytest.param(event(name="_x"), "NAME_INVALID", id="a name that begins with no letter"),
        pytest.param(event(name="x" * 41), "NAME_INVALID", id="a long name"),
        pytest.param(event(name="session_start"), "NAME_RESERVED", id="a reserved name"),
        pytest.param(event(params={f"p{n}": 1 for n in range(26)}), "EXCEEDED_MAX_ENTITIES", id="26 parameters"),
        pytest.param(event(params={"ga_x": 1}), "NAME_RESERVED", id="a reserved parameter"),
        pytest.param(event(params={"x": "y" * 101}), "VALUE_OUT_OF_BOUNDS", id="a long value"),
        pytest.param(event(params={"x": True}), "VALUE_INVALID", id="a flag"),
        pytest.param(event(timestamp_micros="now"), "VALUE_INVALID", id="a time as text"),
        pytest.param({**GOOD, "user_properties": {"user_id": {"value": 1}}}, "NAME_RESERVED", id="a user property"),
        pytest.param({**GOOD, "user_properties": {"plan": {"value": "x" * 37}}}, "VALUE_INVALID", id="its value"),
        pytest.param({**GOOD, "user_agent": "x" * 130_000}, "VALUE_OUT_OF_BOUNDS", id="130 kB"),
    ],
)
def test_the_validation_server_names_what_is_wrong_and_a_strict_fake_refuses_it(body: object, code: str) -> None:
    assert codes(body) == [code]
    strict = FakeGA4(is_strict=True)
    assert call(strict, body).status == 400
    assert strict.counted == []


def test_the_validation_server_finds_nothing_in_a_good_call_and_keeps_it_not() -> None:
    fake = FakeGA4()
    assert codes(GOOD, fake=fake) == []
    assert codes(event(params={"items": [{"item_id": "A-17"}]}), fake=fake) == []
    assert fake.counted == []


def test_event_that_comes_again_counts_again() -> None:
    fake = FakeGA4()
    for _ in range(2):
        call(fake, GOOD)
    assert (len(fake.counted), len(fake.events()), fake.duplicates) == (2, 1, 1)
    assert fake.engagement_ms() == {"1767607200000": 14}


def test_old_event_gets_a_false_date_and_the_validation_server_refuses_it() -> None:
    day = 24 * 3_600_000
    now = 1_767_607_200_000 + 4 * day
    fake = FakeGA4(now=lambda: now)
    call(fake, GOOD)
    assert [taken.at for taken in fake.events()] == [now - 3 * day]
    assert codes(GOOD, fake=fake) == ["VALUE_INVALID"]


def test_sessions_are_those_of_a_client() -> None:
    fake = FakeGA4()
    call(fake, GOOD)
    call(fake, {**event(params={"session_id": 1_767_607_200_000, "event_id": "e2"}), "client_id": "9.9"})
    call(fake, event(params={"event_id": "e3"}))
    assert [session.visitor_id for session in fake.sessions()] == ["123.456", "9.9"]


def test_clear_forgets_all() -> None:
    fake = FakeGA4()
    call(fake, GOOD)
    call(fake, b"{")
    fake.clear()
    assert (fake.events(), fake.counted, fake.discarded, fake.sessions()) == ([], [], [], [])
