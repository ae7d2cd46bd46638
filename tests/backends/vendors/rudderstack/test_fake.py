"""The fake RudderStack refuses what the gateway refuses, with its texts, and a batch as a whole."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from sojourn.testing.vendors import FakeRudderStack, Reply
from tests.backends.vendors import connected

KEY = "FAKEKEY"
GOOD: dict[str, Any] = {
    "type": "track",
    "event": "Session Started",
    "anonymousId": "a1",
    "userId": "u1",
    "channel": "server",
    "messageId": "m1",
    "timestamp": "2026-01-05T10:00:00.000Z",
    "originalTimestamp": "2026-01-05T10:00:00.000Z",
    "sentAt": "2026-01-05T10:00:02.000Z",
    "integrations": {"All": True},
    "properties": {"plan": "pro"},
    "context": {"sessionId": 1767607200000, "sessionStart": True, "library": {"name": "x", "version": "0.1.0"}},
}


def authorization(key: str = KEY) -> dict[str, str]:
    return connected.basic(key)


def call(
    fake: FakeRudderStack,
    body: object,
    *,
    path: str = "/v1/batch",
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    return connected.call(fake, body, path, authorization() if headers is None else headers, method=method)


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    event = copy.deepcopy(GOOD)
    change(event)
    return event


def put(*path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(event: dict[str, Any]) -> None:
        *folders, last = path
        for folder in folders:
            event = event[folder]
        event[last] = value

    return change


def without(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(event: dict[str, Any]) -> None:
        *folders, last = path
        for folder in folders:
            event = event[folder]
        del event[last]

    return change


def test_valid_batch_gets_a_plain_ok() -> None:
    fake = FakeRudderStack()
    reply = call(fake, {"batch": [GOOD]})
    assert (reply.status, reply.body) == (200, b"ok")
    (event,) = fake.events()
    assert (event.id, event.name, event.session_id) == ("m1", "Session Started", "1767607200000")
    assert (event.visitor_id, event.user_id, event.at) == ("a1", "u1", 1_767_607_200_000)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        pytest.param({}, b"failed to read writekey from header\n", id="none"),
        pytest.param({"authorization": "Bearer FAKEKEY"}, b"failed to read writekey from header\n", id="bearer"),
        pytest.param({"authorization": "Basic %%%"}, b"failed to read writekey from header\n", id="not base64"),
        pytest.param(authorization(""), b"failed to read writekey from header\n", id="empty"),
        pytest.param(authorization("other"), b"invalid write key\n", id="another"),
    ],
)
def test_unknown_write_key_is_refused(headers: Mapping[str, str], said: bytes) -> None:
    fake = FakeRudderStack()
    reply = call(fake, {"batch": [GOOD]}, headers=headers)
    assert (reply.status, reply.body) == (401, said)
    assert fake.events() == []


def test_disabled_source_is_refused() -> None:
    reply = call(FakeRudderStack(), {"batch": [GOOD]}, headers=authorization("FAKEDISABLED"))
    assert (reply.status, reply.body) == (404, b"source is disabled\n")


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        pytest.param("/health", "GET", 200, id="health"),
        pytest.param("/v2/batch", "POST", 404, id="elsewhere"),
        pytest.param("/v1/batch", "GET", 405, id="method"),
    ],
)
def test_addresses(path: str, method: str, status: int) -> None:
    assert call(FakeRudderStack(), {"batch": [GOOD]}, path=path, method=method).status == status


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"", b"request body is nil\n", id="nothing"),
        pytest.param(b"{", b"invalid json\n", id="cut"),
        pytest.param(b"\xff", b"invalid json\n", id="not text"),
        pytest.param({"batch": []}, b"empty batch payload\n", id="empty"),
        pytest.param({"events": [GOOD]}, b"empty batch payload\n", id="no batch"),
        pytest.param({"batch": {}}, b"empty batch payload\n", id="no list"),
        pytest.param([GOOD], b"empty batch payload\n", id="a list"),
        pytest.param({"batch": [7]}, b"event is not a valid rudder event\n", id="a number"),
        pytest.param(
            {"batch": [json.loads('{"userId":"u","p":' + "[" * 250 + "]" * 250 + "}")]},
            b"invalid json\n",
            id="nested too deep",
        ),
    ],
)
def test_malformed_bodies_are_refused(body: object, said: bytes) -> None:
    reply = call(FakeRudderStack(), body)
    assert (reply.status, reply.body) == (400, said)


def test_brackets_in_texts_do_not_count_as_nesting() -> None:
    event = changed(put("properties", "text", value='\\"' + "[" * 300))
    assert call(FakeRudderStack(), {"batch": [event]}).status == 200


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda event: (event.pop("userId"), event.pop("anonymousId")), id="absent"),
        pytest.param(lambda event: event.update(userId=" ", anonymousId="\t"), id="spaces"),
        pytest.param(lambda event: event.update(userId=None, anonymousId=""), id="null"),
    ],
)
def test_event_without_visitor_and_user_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    reply = call(FakeRudderStack(), {"batch": [changed(change)]})
    assert (reply.status, reply.body) == (400, b"request neither has anonymousId nor userId\n")


SPOILT = [
    pytest.param(put("type", value="heartbeat"), id="type"),
    pytest.param(without("type"), id="no type"),
    pytest.param(without("event"), id="track without a name"),
    pytest.param(put("event", value=""), id="track with an empty name"),
    pytest.param(put("context", "sessionId", value="1767607200000"), id="session id as text"),
    pytest.param(put("context", "sessionId", value=1767607200000.5), id="session id with a fraction"),
    pytest.param(put("context", "sessionId", value=True), id="session id as flag"),
    pytest.param(put("context", "sessionId", value=-1767607200000), id="session id below zero"),
    pytest.param(put("context", "sessionId", value=123456789), id="session id of nine digits"),
    pytest.param(without("context", "sessionId"), id="start of no session"),
    pytest.param(put("context", "sessionStart", value=False), id="start is false"),
    pytest.param(put("context", "sessionStart", value=1), id="start is one"),
    pytest.param(put("context", "library", "version", value="0.1.0.dev0"), id="version of Python's kind"),
    pytest.param(put("context", "library", value="x"), id="library is a text"),
    pytest.param(put("context", value=[]), id="context is a list"),
    pytest.param(put("sentAt", value="yesterday"), id="sent at no time"),
    pytest.param(lambda event: event.update(timestamp="x", originalTimestamp="y"), id="no time"),
]


@pytest.mark.parametrize("change", SPOILT)
def test_strict_mode_refuses_what_destinations_would_misread(change: Callable[[dict[str, Any]], object]) -> None:
    fake = FakeRudderStack(is_strict=True)
    reply = call(fake, {"batch": [{**GOOD, "messageId": "m0"}, changed(change)]})
    assert (reply.status, reply.body) == (400, b"event is not a valid rudder event\n")
    assert fake.events() == []  # all of a call or nothing


@pytest.mark.parametrize("change", SPOILT)
def test_fake_accepts_what_the_gateway_accepts(change: Callable[[dict[str, Any]], object]) -> None:
    fake = FakeRudderStack()
    assert call(fake, {"batch": [changed(change)]}).status == 200
    assert fake.events()[0].at > 1_700_000_000_000, "without a time it is that of the call"


@pytest.mark.parametrize("is_strict", [True, False])
def test_traits_may_stand_at_the_root_in_the_context_or_in_both(is_strict: bool) -> None:
    """RudderStack's library for Node sends both; its transformer reads the root first."""
    fake = FakeRudderStack(is_strict=is_strict)
    event = {**GOOD, "type": "identify", "traits": {"plan": "team"}}
    event["context"] = {**event["context"], "traits": {"plan": "free", "age": 7}}
    assert call(fake, {"batch": [event]}).status == 200
    assert fake.users() == {"u1": {"plan": "team", "age": 7}}


def test_merge_is_a_type_of_the_gateway() -> None:
    fake = FakeRudderStack(is_strict=True)
    assert call(fake, {**GOOD, "type": "merge"}, path="/v1/merge").status == 200


def test_size_limits() -> None:
    large = changed(put("properties", "text", value="x" * 33_000))
    assert call(FakeRudderStack(is_strict=True), {"batch": [large]}).status == 413
    assert call(FakeRudderStack(), {"batch": [large]}).status == 200
    reply = call(FakeRudderStack(), {"batch": [large] * 130})
    assert (reply.status, reply.body) == (413, b"request size exceeds max limit\n")


def test_size_limit_applies_to_the_uncompressed_body() -> None:
    body = gzip.compress(json.dumps({"batch": [GOOD], "pad": "x" * 4_096_000}).encode())
    reply = call(FakeRudderStack(), body, headers={**authorization(), "content-encoding": "gzip"})
    assert reply.status == 413


def test_body_that_does_not_decompress_gets_a_retryable_status() -> None:
    reply = call(FakeRudderStack(), b"no gzip", headers={**authorization(), "content-encoding": "gzip"})
    assert (reply.status, reply.body) == (500, b"failed to read body from request\n")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        pytest.param(429, b"max requests limit reached\n", id="too many"),
        pytest.param(503, b"Service Unavailable\n", id="busy"),
        pytest.param(504, b"gateway timeout\n", id="slow"),
    ],
)
def test_failures_use_the_words_of_the_gateway(status: int, said: bytes) -> None:
    fake = FakeRudderStack()
    fake.fail_next(status)
    reply = call(fake, {"batch": [GOOD]})
    assert (reply.status, reply.body) == (status, said)
    assert "retry-after" not in reply.headers


def test_single_events_have_their_own_address() -> None:
    fake = FakeRudderStack()
    assert call(fake, {"userId": "u1", "timestamp": GOOD["timestamp"]}, path="/v1/page").status == 200
    assert [event.name for event in fake.events()] == ["page"]


def test_ids_are_trimmed_and_missing_message_ids_are_generated() -> None:
    fake = FakeRudderStack()
    call(fake, {"batch": [GOOD | {"userId": 7, "anonymousId": " a ", "messageId": None}, GOOD | {"messageId": " m "}]})
    first, second = fake.events()
    assert (first.user_id, first.visitor_id, second.id) == ("7", "a", "m")
    assert first.id


def test_two_visitors_may_share_a_session_number() -> None:
    fake = FakeRudderStack()
    call(fake, {"batch": [GOOD, GOOD | {"anonymousId": "a2", "messageId": "m2"}]})
    assert [(session.session_id, session.visitor_id) for session in fake.sessions()] == [
        ("1767607200000", "a1"),
        ("1767607200000", "a2"),
    ]


def ended(duration_ms: int, revision: int | None = None) -> dict[str, Any]:
    properties: dict[str, Any] = {"session.duration_ms": duration_ms, "session.end_reason": "ended"}
    if revision is not None:
        properties["session.end_revision"] = revision
    context = {"sessionId": 1767607200000}
    return GOOD | {"event": "Session Ended", "messageId": f"e{revision}", "properties": properties, "context": context}


def test_a_session_is_folded_from_its_events() -> None:
    fake = FakeRudderStack()
    late = GOOD | {
        "messageId": "late",
        "event": "x",
        "userId": "u9",
        "properties": {"session.late": True},
        "context": {"sessionId": 1767607200000},
    }
    end = ended(0)
    end["properties"]["session_properties.plan"] = "team"
    call(fake, {"batch": [GOOD | {"userId": None}, end, late]})
    (session,) = fake.sessions()
    assert (session.user_id, session.started_at, session.ended_at) == ("u1", 1_767_607_200_000, 1_767_607_200_000)
    assert (session.duration_ms, session.reason) == (0, "ended")
    assert session.properties == {"session_properties.plan": "team"}
    assert session.names == ("Session Started", "Session Ended", "x")


def test_late_event_does_not_change_the_user() -> None:
    fake = FakeRudderStack()
    late = {"messageId": "m2", "event": "x", "userId": "u9", "properties": {"session.late": True}}
    call(fake, {"batch": [GOOD, GOOD | late | {"context": {"sessionId": 1767607200000}}]})
    assert [session.user_id for session in fake.sessions()] == ["u1"]


def test_of_several_ends_the_last_revision_counts() -> None:
    fake = FakeRudderStack()
    call(fake, {"batch": [GOOD, ended(9_000, 2), ended(5_000, 1), ended(1_000)]})
    (session,) = fake.sessions()
    assert session.duration_ms == 9_000


def test_tracked_event_named_like_an_end_does_not_end_the_session() -> None:
    fake = FakeRudderStack()
    call(fake, {"batch": [GOOD, GOOD | {"messageId": "m2", "event": "Session Ended"}]})
    (session,) = fake.sessions()
    assert (session.ended_at, session.duration_ms, session.reason) == (None, None, None)


def test_traits_belong_to_the_user() -> None:
    fake = FakeRudderStack()
    context = {"sessionId": 1767607200000, "traits": {"plan": "pro", "address": {"city": "Ulm"}}}
    call(fake, {"batch": [GOOD | {"type": "identify", "context": context}]})
    assert fake.users() == {"u1": {"plan": "pro", "address": '{"city": "Ulm"}'}}


def test_serves_on_a_port() -> None:
    with FakeRudderStack().serve() as url:
        address = url.removeprefix("rudderstack+").replace(f"{KEY}@", "")
        reply = httpx.post(f"{address}/v1/batch", json={"batch": [GOOD]}, auth=(KEY, ""), trust_env=False)
    assert (reply.status_code, reply.text) == (200, "ok")


def test_clear_forgets_all() -> None:
    fake = FakeRudderStack()
    for _ in range(2):
        call(fake, {"batch": [GOOD]})
    assert fake.duplicates == 1
    fake.clear()
    assert (fake.events(), fake.sessions(), fake.users(), fake.duplicates) == ([], [], {}, 0)
