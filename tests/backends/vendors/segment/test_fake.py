"""The fake Segment responds before it looks at events, as Segment does, and drops without a word what Segment drops."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Mapping
from typing import Any

import pytest

from sojourn.testing.vendors import FakeSegment, Reply
from tests.backends.vendors import connected

KEY = "FakeKeyOfSegmentOf32Characters00"
GOOD: dict[str, Any] = {
    "type": "track",
    "event": "bought",
    "anonymousId": "a1",
    "userId": "u1",
    "messageId": "m1",
    "timestamp": "2026-01-05T10:00:00.000Z",
    "properties": {"plan": "pro"},
    "integrations": {"All": True, "Actions Amplitude": {"session_id": 1767607200000}},
}


def authorization(key: str = KEY) -> dict[str, str]:
    return connected.basic(key)


def call(
    fake: FakeSegment,
    body: object,
    *,
    path: str = "/v1/batch",
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    return connected.call(fake, body, path, authorization() if headers is None else headers, method=method)


def test_batch_gets_success() -> None:
    fake = FakeSegment()
    reply = call(fake, {"batch": [GOOD]})
    assert (reply.status, reply.body) == (200, b'{"success":true}')
    (event,) = fake.events()
    assert (event.id, event.name, event.session_id) == ("m1", "bought", "1767607200000")
    assert (event.visitor_id, event.user_id, event.at) == ("a1", "u1", 1_767_607_200_000)


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        pytest.param("/v1/BATCH/", "PUT", 200, id="case, slash and PUT"),
        pytest.param("/v1/import", "POST", 200, id="import"),
        pytest.param("/v1/batch", "GET", 405, id="method"),
        pytest.param("/v2/batch", "POST", 404, id="elsewhere"),
    ],
)
def test_addresses(path: str, method: str, status: int) -> None:
    assert call(FakeSegment(), {"batch": [GOOD]}, path=path, method=method).status == status


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="cut"),
        pytest.param([GOOD], id="a list"),
        pytest.param({"batch": {}}, id="no list"),
        pytest.param({"batch": [7]}, id="a number"),
        pytest.param({"batch": [], "pad": "x" * 500_000}, id="too large"),
    ],
)
def test_what_is_no_batch_is_a_bad_request(body: object) -> None:
    reply = call(FakeSegment(), body)
    assert (reply.status, reply.body) == (400, b"Bad Request\n")


def test_unknown_key_succeeds_and_nothing_comes_of_it() -> None:
    fake = FakeSegment()
    assert call(fake, {"batch": [GOOD]}, headers=authorization("y" * 32)).status == 200
    assert (fake.events(), [message["messageId"] for message in fake.discarded]) == ([], ["m1"])


@pytest.mark.parametrize("key", ["", "abc123"])
def test_short_key_is_a_bad_request(key: str) -> None:
    assert call(FakeSegment(), {"batch": [GOOD]}, headers=authorization(key)).status == 400


def test_key_may_stand_in_the_body() -> None:
    fake = FakeSegment()
    call(fake, {"batch": [GOOD], "writeKey": KEY}, headers={})
    call(fake, {**GOOD, "messageId": "m2", "writeKey": KEY}, path="/v1/track", headers={})
    assert [event.id for event in fake.events()] == ["m1", "m2"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"userId": " ", "anonymousId": None}, id="no identity"),
        pytest.param({"event": ""}, id="track without a name"),
        pytest.param({"type": "heartbeat"}, id="type"),
        pytest.param({"messageId": "m" * 100}, id="a long id"),
        pytest.param({"properties": {"text": "x" * 33_000}}, id="larger than 32 KB"),
    ],
)
def test_events_are_dropped_after_the_success(change: dict[str, Any]) -> None:
    fake = FakeSegment()
    assert call(fake, {"batch": [{**GOOD, **change}, {**GOOD, "messageId": "m2"}]}).status == 200
    assert ([event.id for event in fake.events()], len(fake.discarded)) == (["m2"], 1)
    fake.clear()
    fake.is_strict = True
    assert call(fake, {"batch": [{**GOOD, **change}, {**GOOD, "messageId": "m2"}]}).status == 400
    assert fake.events() == []


def test_a_batch_has_2500_events_at_most() -> None:
    fake = FakeSegment()
    small = {"type": "track", "event": "e", "userId": "u"}
    assert call(fake, {"batch": [{**small, "messageId": str(number)} for number in range(2_502)]}).status == 200
    assert (len(fake.events()), len(fake.discarded)) == (2_500, 2)


@pytest.mark.parametrize("session", [1767607200000.5, "x", True, -1, {}])
def test_session_that_amplitude_cannot_read_is_none(session: object) -> None:
    event = copy.deepcopy(GOOD)
    event["integrations"]["Actions Amplitude"]["session_id"] = session
    fake = FakeSegment()
    call(fake, {"batch": [event]})
    assert (len(fake.events()), fake.sessions()) == (1, [])
    fake.is_strict = True
    assert call(fake, {"batch": [event]}).status == 400


def test_what_a_batch_says_counts_for_its_events() -> None:
    fake = FakeSegment()
    bare = {name: value for name, value in GOOD.items() if name != "integrations"}
    call(fake, {"batch": [bare], "integrations": {"Actions Amplitude": {"session_id": 1767607200000}}})
    assert [event.session_id for event in fake.events()] == ["1767607200000"]


def test_each_message_id_counts_once() -> None:
    fake = FakeSegment()
    call(fake, {"batch": [GOOD, GOOD]})
    assert (len(fake.events()), fake.duplicates) == (1, 1)


def test_traits_are_those_of_the_user() -> None:
    fake = FakeSegment()
    call(fake, {"batch": [{"type": "identify", "userId": "anna", "traits": {"plan": "team"}}]})
    assert fake.users() == {"anna": {"plan": "team"}}


def test_compressed_bodies() -> None:
    fake = FakeSegment()
    body = json.dumps({"batch": [GOOD]}).encode()
    packed = {**authorization(), "content-encoding": "gzip"}
    assert call(fake, gzip.compress(body), headers=packed).status == 200
    reply = call(fake, body, headers=packed)
    assert (reply.status, reply.body) == (400, b'{"success":false,"message":"Malformed gzip content"}')


def test_busy_segment_says_when_to_come_back() -> None:
    fake = FakeSegment()
    fake.fail_next(429)
    reply = call(fake, {"batch": [GOOD]})
    assert (reply.status, reply.headers["retry-after"], reply.headers["x-ratelimit-reset"]) == (429, "1", "1")
