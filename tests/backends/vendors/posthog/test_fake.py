"""The fake PostHog: keys and batches as its capture service checks them, people and sessions."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.ids import uuid7
from sojourn.testing.vendors import FakePostHog, Received, Reply

KEY = "phc_FAKEKEY"
NOON = 1_769_860_800_000
SESSION = uuid7(NOON, b"0123456789")
VISITOR = "visitor-1"


def raw_event(
    number: int, name: str = "page", second: int = 0, user: str | None = None, /, **properties: Any
) -> dict[str, Any]:
    """An event of the session; of the visitor, unless a user is named."""
    own = {"$session_id": SESSION, "$device_id": VISITOR}
    if user is None:
        own["$process_person_profile"] = False  # type: ignore[assignment]
    return {
        "event": name,
        "uuid": f"00000000-0000-8000-8000-{number:012}",
        "distinct_id": user or VISITOR,
        "timestamp": f"2026-01-31T{12 + second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000Z",
        "properties": own | properties,
    }


def login(number: int, user: str, **properties: Any) -> dict[str, Any]:
    return raw_event(number, "$identify", number, user, **{"$anon_distinct_id": VISITOR, **properties})


def post(fake: FakePostHog, *events: object, key: str = KEY, body: bytes | None = None, **changes: Any) -> Reply:
    batch = {"api_key": key, "sent_at": "2026-01-31T12:00:00.000Z", "batch": events}
    request: dict[str, Any] = {"method": "POST", "path": "/batch/", "headers": {"content-type": "application/json"}}
    return fake.handle(Received(**{**request, "body": json.dumps(batch).encode() if body is None else body, **changes}))


def changed(**changes: Any) -> dict[str, Any]:
    event = raw_event(1) | changes
    return {name: value for name, value in event.items() if value is not ...}


# --- calls


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({}, 200, id="good"),
        pytest.param({"path": "/batch"}, 200, id="without a slash"),
        pytest.param({"path": "/flags/"}, 404, id="another path"),
        pytest.param({"method": "GET"}, 405, id="another method"),
        pytest.param({"key": ""}, 401, id="empty key"),
        pytest.param({"key": "phx_personal"}, 401, id="personal key"),
        pytest.param({"key": "phc_" + "x" * 64}, 401, id="long key"),
        pytest.param({"key": "phc_é"}, 401, id="odd key"),
        pytest.param({"key": "phc_OTHER"}, 401, id="unknown key"),
        pytest.param({"body": b"{"}, 400, id="no JSON"),
        pytest.param({"body": b"[]"}, 400, id="no batch"),
        pytest.param({"body": b'{"api_key":"phc_FAKEKEY","batch":[]}'}, 400, id="no event"),
        pytest.param({"body": b'{"batch":[]}'}, 400, id="no key"),
        pytest.param({"body": gzip.compress(b"{}"), "headers": {"content-encoding": "br"}}, 400, id="packed otherwise"),
        pytest.param({"body": b" " * (20 * 1024 * 1024 + 1)}, 413, id="too large"),
    ],
)
def test_invalid_calls_are_refused(changes: dict[str, Any], status: int) -> None:
    fake = FakePostHog()
    reply = post(fake, raw_event(1), **changes)
    assert reply.status == status
    assert len(fake.events()) == (status == 200)
    if status == 200:
        assert json.loads(reply.body) == {"status": "Ok"}


@pytest.mark.parametrize(
    ("event", "message"),
    [
        pytest.param("text", "failed to parse request", id="no object"),
        pytest.param(changed(event=...), "failed to parse request", id="no name"),
        pytest.param(changed(event=""), "empty event name", id="empty name"),
        pytest.param(changed(distinct_id=...), "without a distinct_id", id="no distinct id"),
        pytest.param(changed(distinct_id=""), "without a distinct_id", id="empty distinct id"),
        pytest.param(changed(uuid="many-000001"), "failed to parse request", id="uuid that is none"),
        pytest.param(changed(properties=[]), "failed to parse request", id="list as properties"),
        pytest.param(changed(timestamp=NOON), "failed to parse request", id="time as a number"),
        pytest.param(changed(properties={"x": "y" * 1_000_000}), "maximum event size exceeded", id="too large"),
    ],
)
def test_one_invalid_event_refuses_the_whole_call(event: object, message: str) -> None:
    fake = FakePostHog()
    reply = post(fake, raw_event(2), event)
    assert (reply.status, fake.events()) == (400, [])
    assert message in reply.body.decode()


@pytest.mark.parametrize(
    ("event", "message"),
    [
        pytest.param(changed(uuid=...), "recognised by their uuid", id="no uuid"),
        pytest.param(changed(timestamp=...), "timestamp", id="no time"),
        pytest.param(changed(timestamp="today"), "timestamp", id="time in words"),
    ],
)
def test_only_a_strict_fake_requires_what_a_retry_needs(event: dict[str, Any], message: str) -> None:
    strict, fake = FakePostHog(is_strict=True), FakePostHog()
    reply = post(strict, event)
    assert (reply.status, strict.events()) == (400, [])
    assert message in reply.body.decode()
    assert post(fake, event).status == post(fake, event).status == 200
    assert len(fake.events()) == (2 if "uuid" not in event else 1)
    assert all(taken.at >= NOON for taken in fake.events()), "without a time it is that of the call"


FORM = {"content-type": "application/x-www-form-urlencoded"}
SINGLE = json.dumps({**raw_event(1), "api_key": KEY}).encode()
FORMS = [
    pytest.param("/capture/", SINGLE, {}, id="one event"),
    pytest.param("/e/", SINGLE, {}, id="its script"),
    pytest.param("/i/v0/e/", SINGLE, {}, id="its script, new path"),
    pytest.param("/e", json.dumps([{**raw_event(1), "token": KEY}]).encode(), {}, id="a list"),
    pytest.param(
        "/e/", json.dumps([{**raw_event(1), "properties": {"token": KEY}}]).encode(), {}, id="key in the properties"
    ),
    pytest.param("/e/", gzip.compress(SINGLE), {"content-type": "text/plain"}, id="packed by its script"),
    pytest.param("/e/", b"data=" + quote_plus(b64encode(SINGLE)).encode(), FORM, id="form with base64"),
    pytest.param("/e/", b"data=" + quote_plus(SINGLE).encode(), FORM, id="form with JSON"),
    pytest.param("/capture/", json.dumps({"token": KEY, "batch": [raw_event(1)]}).encode(), {}, id="batch elsewhere"),
    pytest.param(
        "/batch/", json.dumps({"batch": [{**raw_event(1), "api_key": KEY}]}).encode(), {}, id="key in the event"
    ),
]


@pytest.mark.parametrize(("path", "body", "headers"), FORMS)
def test_calls_of_its_own_clients_are_read(path: str, body: bytes, headers: dict[str, str]) -> None:
    fake = FakePostHog()
    assert post(fake, body=body, path=path, headers=headers).status == 200
    (event,) = fake.events()
    assert (event.id, event.name, event.user_id) == (raw_event(1)["uuid"], "page", VISITOR)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        pytest.param(gzip.compress(SINGLE)[:-9], {}, 400, id="packed and cut"),
        pytest.param(b"data=%%%", FORM, 400, id="form with nothing"),
        pytest.param(json.dumps(raw_event(1)).encode(), {}, 401, id="no key"),
    ],
)
def test_calls_that_cannot_be_read_are_refused(body: bytes, headers: dict[str, str], status: int) -> None:
    assert post(FakePostHog(), body=body, path="/e/", headers=headers).status == status


def test_strict_fake_takes_batches_only() -> None:
    assert post(FakePostHog(is_strict=True), body=SINGLE, path="/capture/").status == 404


def test_properties_of_a_person_may_stand_beside_those_of_the_event() -> None:
    fake = FakePostHog()
    post(fake, {**raw_event(1, "$set", 0, "anna"), "$set": {"plan": "team"}, "$set_once": {"plan": "free", "seen": 1}})
    post(fake, {**raw_event(2, "$set", 1, "anna"), "$set_once": {"plan": "pro", "seen": 2}})
    assert fake.people.profile("anna") == {"plan": "team", "seen": 1}


@pytest.mark.parametrize(("own_id", "alias"), [("anna", VISITOR), (VISITOR, "anna")], ids=["Node", "Python"])
def test_alias_makes_two_ids_one_person(own_id: str, alias: str) -> None:
    """PostHog's libraries send the two the other way round."""
    fake = FakePostHog()
    post(fake, raw_event(1), raw_event(2, "$create_alias", 1, own_id, alias=alias), raw_event(3, "page", 2, "anna"))
    assert fake.people.user_of(VISITOR) == fake.people.user_of("anna") == "anna"


@pytest.mark.parametrize(
    ("event", "own_id"),
    [
        pytest.param(changed(distinct_id=23), "23", id="a number"),
        pytest.param(changed(distinct_id=..., properties={"distinct_id": "anna"}), "anna", id="among the properties"),
        pytest.param(changed(distinct_id="x" * 222), "x" * 200, id="cut"),
    ],
)
def test_distinct_id_is_read_and_truncated(event: dict[str, Any], own_id: str) -> None:
    fake = FakePostHog()
    assert post(fake, event).status == 200
    assert fake.events()[0].user_id == own_id


def test_a_uuid_counts_once_however_it_is_written() -> None:
    fake = FakePostHog()
    post(fake, changed(uuid="AAAAAAAA-0000-8000-8000-000000000001"))
    post(fake, changed(uuid="aaaaaaaa000080008000000000000001"))
    assert (len(fake.events()), fake.duplicates) == (1, 1)


def test_quota_limited_200_accepts_nothing() -> None:
    fake = FakePostHog()
    fake.is_quota_limited = True
    reply = post(fake, raw_event(1))
    assert (reply.status, json.loads(reply.body)["quota_limited"], fake.events()) == (200, ["events"], [])


@pytest.mark.parametrize("status", [429, 500, 503])
def test_failures_have_a_text(status: int) -> None:
    fake = FakePostHog()
    fake.fail_next(status)
    reply = post(fake, raw_event(1))
    assert (reply.status, fake.events()) == (status, [])
    assert reply.body
    assert post(fake, raw_event(1)).status == 200


# --- people


def test_visitor_without_a_profile_is_no_person() -> None:
    fake = FakePostHog()
    post(fake, raw_event(1))
    assert (fake.people.user_of(VISITOR), fake.people.profile(VISITOR)) == (None, None)


def test_login_merges_visitor_and_user() -> None:
    fake = FakePostHog()
    post(fake, raw_event(1), login(2, "anna", **{"$set": {"name": "Anna"}}), raw_event(3))
    assert fake.people.user_of(VISITOR) == "anna"
    assert fake.people.profile(VISITOR) == {"name": "Anna"}
    assert fake.warnings == []


def test_identified_person_is_not_merged_with_another() -> None:
    fake = FakePostHog()
    post(fake, login(1, "anna"), login(2, "ben"))
    assert (fake.people.user_of(VISITOR), fake.people.user_of("ben")) == ("anna", "ben")
    assert fake.warnings == ["cannot merge with a person who is identified already"]


@pytest.mark.parametrize("user", ["anonymous", "NULL", "0", "undefined", " id "])
def test_placeholder_ids_are_never_merged(user: str) -> None:
    fake = FakePostHog()
    post(fake, login(1, user))
    assert fake.people.user_of(VISITOR) is None
    assert fake.warnings == ["cannot merge with an illegal distinct id"]


def test_a_login_without_a_profile_is_warned_of() -> None:
    fake = FakePostHog()
    post(fake, login(1, "anna", **{"$process_person_profile": False}))
    assert fake.warnings == ["$identify without a profile does nothing"]


def test_a_second_visitor_of_the_user_is_the_same_person() -> None:
    fake = FakePostHog()
    post(fake, login(1, "anna"), login(2, "anna", **{"$anon_distinct_id": "visitor-2"}))
    assert (fake.people.user_of("visitor-2"), fake.warnings) == ("anna", [])


# --- sessions


def test_a_session_lasts_from_its_first_event_to_its_last() -> None:
    visit = [
        raw_event(1, "session.start", 0, **{"session.previous_id": "s-0"}),
        raw_event(2, "$identify", 5, "anna", **{"$anon_distinct_id": VISITOR}),
        raw_event(3, "page", 20, "anna", **{"session_properties.plan": "team"}),
        raw_event(4, "session.end", 30, "anna", **{"session_properties.plan": "team", "session.end_reason": "ended"}),
    ]
    for order in (visit, visit[::-1], [*visit, *visit]):
        fake = FakePostHog()
        post(fake, *order)
        (session,) = fake.sessions()
        assert (session.session_id, session.visitor_id, session.user_id) == (SESSION, VISITOR, "anna")
        assert (session.started_at, session.ended_at, session.duration_ms) == (NOON, NOON + 30_000, 30_000)
        assert (session.previous_id, session.reason) == ("s-0", "ended")
        assert session.properties == {"session_properties.plan": "team"}
        assert session.names == ("session.start", "$identify", "page", "session.end")


@pytest.mark.parametrize(
    ("session_id", "is_one"),
    [
        pytest.param(SESSION, True, id="UUIDv7"),
        pytest.param("order-4711", False, id="no UUID"),
        pytest.param(f"{SESSION[:14]}4{SESSION[15:]}", False, id="another version"),
        pytest.param(uuid7(NOON + 1, b"0123456789"), False, id="of the future"),
        pytest.param(uuid7(NOON - 86_400_001, b"0123456789"), False, id="more than a day old"),
        pytest.param(uuid7(NOON - 86_400_000, b"0123456789"), True, id="a day old"),
        pytest.param(7, False, id="a number"),
    ],
)
def test_only_a_uuid7_of_the_last_day_is_a_session(session_id: object, is_one: bool) -> None:
    fake = FakePostHog()
    assert post(fake, raw_event(1, **{"$session_id": session_id})).status == 200
    assert len(fake.sessions()) == is_one


@given(seconds=st.lists(st.integers(0, 40_000), min_size=1, max_size=20))
def test_a_duration_is_never_negative_and_depends_on_no_order(seconds: list[int]) -> None:
    fakes = FakePostHog(), FakePostHog()
    events = [raw_event(number, "page", second) for number, second in enumerate(seconds)]
    post(fakes[0], *events)
    post(fakes[1], *reversed(events))
    durations = [fake.sessions()[0].duration_ms for fake in fakes]
    assert durations[0] == durations[1] == 1000 * (max(seconds) - min(seconds))


def test_clear_forgets_all() -> None:
    fake = FakePostHog()
    post(fake, login(1, "anna"), login(2, "ben"))
    fake.clear()
    assert (fake.sessions(), fake.events(), fake.warnings) == ([], [], [])
