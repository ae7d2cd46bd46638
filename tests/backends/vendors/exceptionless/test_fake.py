"""The fake Exceptionless: keys, bodies, limits, and events that a 202 only queues."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from typing import Any

import pytest

from sojourn.backends.vendors.exceptionless.fake.ingest import PROJECT_ID
from sojourn.testing import ManualClock
from sojourn.testing.vendors import FakeExceptionless
from tests.backends.vendors.exceptionless.calls import (
    DAY,
    KEY,
    NOON,
    PATH,
    SESSION,
    at,
    call,
    folded,
    post,
    raw_event,
    rows,
)

# --- calls


@pytest.mark.parametrize(
    ("authorization", "query", "status"),
    [
        pytest.param(f"Bearer {KEY}", "", 202, id="bearer"),
        pytest.param(f"token {KEY}", "", 202, id="token"),
        pytest.param("Basic " + b64encode(f"client:{KEY}".encode()).decode(), "", 202, id="basic, as a password"),
        pytest.param("Basic " + b64encode(f"{KEY}:".encode()).decode(), "", 202, id="basic, as a user"),
        pytest.param("Basic " + b64encode(f"{KEY}:other".encode()).decode(), "", 401, id="basic, with a password"),
        pytest.param("Basic %%%", "", 401, id="basic, and no base64"),
        pytest.param("", f"access_token={KEY}", 202, id="in the query"),
        pytest.param("", f"apikey={KEY}", 202, id="in the query, by its other name"),
        pytest.param("", "", 401, id="none"),
        pytest.param("Bearer OTHER", "", 401, id="unknown"),
    ],
)
def test_keys_are_checked(authorization: str, query: str, status: int) -> None:
    fake = FakeExceptionless()
    body = json.dumps([raw_event("usage", 1)]).encode()
    assert call(fake, "POST", PATH, body, query, authorization=authorization).status == status
    assert len(fake.events()) == (status == 202)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        pytest.param("POST", PATH, b"[]", {}, 202, id="an array"),
        pytest.param("POST", f"/api/v2/projects/{PROJECT_ID}/events", b"[]", {}, 202, id="of the project"),
        pytest.param("POST", f"/api/v2/projects/{'0' * 24}/events", b"[]", {}, 404, id="of another project"),
        pytest.param("POST", "/api/v1/events", b"[]", {}, 404, id="another path"),
        pytest.param("PUT", PATH, b"[]", {}, 405, id="another method"),
        pytest.param("POST", PATH, b"", {}, 411, id="no body"),
        pytest.param("POST", PATH, b" " * 200_001, {}, 413, id="too large"),
        pytest.param("POST", PATH, b" " * 200_000, {}, 202, id="as large as may be"),
        pytest.param("POST", PATH, b"[]", {"content_type": "application/xml"}, 415, id="another kind"),
        pytest.param("POST", PATH, b"[]", {"content_encoding": "gzip"}, 400, id="not packed at all"),
        pytest.param("GET", "/api/v2/projects/config", b"", {}, 200, id="settings"),
        pytest.param("GET", "/api/v2/events/session/heartbeat", b"", {}, 200, id="heartbeat without an id"),
        pytest.param("GET", "/api/v2/events/Session/Heartbeat", b"", {}, 404, id="heartbeat in other letters"),
    ],
)
def test_invalid_calls_are_refused(method: str, path: str, body: bytes, headers: dict[str, str], status: int) -> None:
    fake = FakeExceptionless()
    assert call(fake, method, path, body, **headers).status == status


def test_accepted_call_has_settings_version_and_remaining_calls() -> None:
    fake = FakeExceptionless()
    reply = post(fake, raw_event("usage", 1))
    assert (reply.body, reply.headers["x-exceptionless-configversion"]) == (b"", "1")
    assert (reply.headers["x-ratelimit-limit"], reply.headers["x-ratelimit-remaining"]) == ("3500", "3499")
    assert call(fake, "GET", "/api/v2/projects/config", query="v=1").status == 304


def test_throttle_blocks_all_but_heartbeats() -> None:
    fake = FakeExceptionless()
    fake.remaining = 1
    assert [post(fake, raw_event("session", 0)).status, post(fake, raw_event("usage", 1)).status] == [202, 429]
    assert call(fake, "GET", "/api/v2/events/session/heartbeat", query=f"id={SESSION}").status == 200
    assert len(fake.events()) == 1


@pytest.mark.parametrize("status", [402, 413, 429, 500, 503])
def test_failures_are_problem_documents(status: int) -> None:
    fake = FakeExceptionless()
    fake.fail_next(status)
    reply = post(fake, raw_event("usage", 1))
    assert (reply.status, json.loads(reply.body)["status"]) == (status, status)
    assert reply.headers["content-type"] == "application/problem+json"
    assert fake.events() == []


def test_limit_applies_as_sent_and_tenfold_when_decompressed() -> None:
    fake = FakeExceptionless()
    for size in (1_500_000, 2_500_000):
        packed = gzip.compress(json.dumps([raw_event("log", 1, message="x" * size)]).encode())
        assert call(fake, "POST", PATH, packed, content_encoding="gzip", content_length=str(len(packed))).status == 202
    assert (len(fake.events()), len(fake.malformed)) == (1, 1)


def test_single_event_needs_no_array_and_plain_text_is_a_log() -> None:
    fake = FakeExceptionless()
    assert call(fake, "POST", PATH, json.dumps(raw_event("usage", 1)).encode()).status == 202
    assert call(fake, "POST", PATH, b"one\n\ntwo\n", content_type="text/plain").status == 202
    assert [event.name for event in fake.events()] == ["usage", "log", "log"]


# --- events: a 202 only says that they are in the queue


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        pytest.param("text", "an event is a JSON object", id="no object"),
        pytest.param({"type": "t" * 101}, "type is a text of at most 100", id="long type"),
        pytest.param({"type": 7}, "type is a text", id="number as type"),
        pytest.param({"type": "usage", "date": "yesterday"}, "date is a timestamp", id="date in words"),
        pytest.param({"type": "usage", "date": NOON}, "date is a timestamp", id="date as a number"),
        pytest.param({"type": "usage", "data": []}, "data is a JSON object", id="list as data"),
        pytest.param({"type": "usage", "source": 7}, "source is a text", id="number as source"),
        pytest.param({"type": "usage", "tags": "a"}, "tags is a list of texts", id="text as tags"),
    ],
)
def test_one_unreadable_event_discards_its_call(event: object, reason: str) -> None:
    fake = FakeExceptionless()
    assert post(fake, raw_event("usage", 1), event).status == 202
    assert fake.events() == []
    assert reason in fake.malformed[0]


def test_invalid_json_is_accepted_and_lost() -> None:
    fake = FakeExceptionless()
    assert call(fake, "POST", PATH, b"[").status == 202
    assert fake.malformed == ["it is no JSON"]


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        pytest.param({"@error": {}}, "error", id="with an error"),
        pytest.param({"data": {"@simple_error": {}}}, "error", id="with a simple error"),
        pytest.param({"message": "m"}, "log", id="with nothing"),
    ],
)
def test_an_event_without_a_type_has_one(event: dict[str, Any], kind: str) -> None:
    assert folded([event]).events()[0].name == kind


def test_unknown_names_become_data_and_an_id_the_reference() -> None:
    (event,) = folded([{"type": "usage", "date": at(1), "plan": "team", "id": "reference-1"}]).events()
    assert (event.attributes["plan"], event.id) == ("team", "reference-1")


@pytest.mark.parametrize("reference", ["short", "x" * 101, "under_score", "a b c d e"])
def test_malformed_reference_is_ignored(reference: str) -> None:
    (event,) = folded([raw_event("usage", 1, reference_id=reference)]).events()
    assert (event.id, event.attributes["InvalidReferenceId"]) == ("invalid-reference-id", reference)


def test_reference_is_accepted_once_a_day() -> None:
    clock = ManualClock(NOON)
    fake = FakeExceptionless(now=clock.now)
    event = raw_event("usage", 0, reference_id="reference-1")
    for _ in range(2):
        post(fake, event)
    assert (len(fake.events()), fake.duplicates, len(fake.discarded)) == (1, 1, 1)
    clock.advance(DAY)
    post(fake, event)
    assert (fake.duplicates, len(fake.discarded)) == (2, 1)


def test_dates_are_checked_if_the_fake_has_a_clock() -> None:
    fake = FakeExceptionless(now=lambda: NOON + 3 * DAY * 1000)
    post(fake, raw_event("session", -1), raw_event("usage", 4 * DAY))
    assert fake.discarded == [("it is older than three days", "session")]
    assert fake.events()[1].at == NOON + 3 * DAY * 1000


def test_bot_address_loses_all_its_events() -> None:
    def start(number: int, address: str) -> dict[str, Any]:
        return raw_event("session", number, f"session-{number:03}", data={"@request": {"client_ip_address": address}})

    fake = FakeExceptionless(bot_limit=3)
    post(fake, start(1, "203.0.113.7"), start(2, "203.0.113.7"), start(3, "10.0.0.1"), start(4, "10.0.0.1"))
    post(fake, start(5, "10.0.0.1"), start(6, "198.51.100.1"))
    assert len(fake.sessions()) == 6
    post(fake, start(7, "203.0.113.7"))
    assert [session.session_id for session in fake.sessions()] == [f"session-{n:03}" for n in (3, 4, 5, 6)]
    post(fake, start(400, "203.0.113.7"))
    assert len(fake.sessions()) == 5


# --- what people say about an event, and reading


def describe(fake: FakeExceptionless, reference: str, words: object) -> int:
    body = json.dumps(words).encode()
    return call(fake, "POST", f"{PATH}/by-ref/{reference}/user-description", body).status


def test_description_data_overrides_that_of_the_event() -> None:
    fake = folded([raw_event("session", 0)])
    assert describe(fake, SESSION, {"description": "signed in", "data": {"@user": {"identity": "anna"}}}) == 202
    assert fake.sessions()[0].user_id == "anna"


@pytest.mark.parametrize(
    ("reference", "words", "status", "lost"),
    [
        pytest.param(SESSION, {"data": {}}, 400, 0, id="without a description"),
        pytest.param(SESSION, [], 400, 0, id="no object"),
        pytest.param("short", {"description": "d"}, 404, 0, id="no reference"),
        pytest.param("unknown-event", {"description": "d"}, 202, 1, id="unknown event"),
    ],
)
def test_descriptions_are_checked(reference: str, words: object, status: int, lost: int) -> None:
    fake = folded([raw_event("session", 0)])
    assert describe(fake, reference, words) == status
    assert len(fake.malformed) == lost


def test_event_may_be_submitted_as_a_query() -> None:
    fake = FakeExceptionless()
    query = f"source=checkout&reference=reference-1&date=2026-01-31T12:00:05Z&@ref:session={SESSION}&identity=anna&x=1&tags=a,b"
    assert call(fake, "GET", "/api/v2/events/submit/usage", query=query).status == 200
    (event,) = fake.events()
    assert (event.name, event.id, event.session_id, event.user_id) == ("usage", "reference-1", SESSION, "anna")
    assert (event.attributes["source"], event.attributes["x"]) == ("checkout", "1")
    assert rows(fake) == [(5, None, 0)]


def test_sessions_and_their_events_can_be_read() -> None:
    fake = folded([raw_event("session", 0), raw_event("usage", 5), raw_event("session", 9, "another-session")])
    listed = json.loads(call(fake, "GET", f"{PATH}/sessions").body)
    assert [row["session_id"] for row in listed] == [SESSION, "another-session"]
    of_one = json.loads(call(fake, "GET", f"{PATH}/sessions/{SESSION}").body)
    assert [row["name"] for row in of_one] == ["session", "usage"]


def test_clear_forgets_all() -> None:
    fake = folded([raw_event("session", 0, reference_id=SESSION)])
    fake.clear()
    assert (fake.sessions(), fake.events(), fake.discarded) == ([], [], [])
    post(fake, raw_event("session", 0))
    assert len(fake.sessions()) == 1


def test_on_event_is_called_for_each_event() -> None:
    fake = FakeExceptionless()
    names: list[str] = []
    fake.on_event = lambda event: names.append(event.name)
    post(fake, raw_event("session", 0), raw_event("usage", 1))
    assert names == ["session", "usage"]
