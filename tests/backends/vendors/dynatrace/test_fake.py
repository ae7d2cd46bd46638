"""The fake Dynatrace: tokens, paths, CloudEvents, and the sessions that a query would show."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sojourn.testing.vendors import FakeDynatrace, Received, Reply

PATH = "/api/v2/bizevents/ingest"
TOKEN = "dt0c01.FAKE.TOKEN"
GOOD: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/sojourn/shop",
    "type": "session.start",
    "time": "2026-01-31T12:00:00.000Z",
    "data": {"session.id": "s-1", "visitor.id": "v-1", "user.id": "anna"},
}


def post(fake: FakeDynatrace, events: object, **changes: Any) -> Reply:
    headers = {"authorization": f"Api-Token {TOKEN}", "content-type": "application/cloudevent-batch+json"}
    request: dict[str, Any] = {"method": "POST", "path": PATH, "body": json.dumps(events).encode()}
    request["headers"] = {**headers, **changes.pop("headers", {})}
    return fake.handle(Received(**{**request, **changes}))


def changed(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}


def test_valid_batch_is_accepted() -> None:
    fake = FakeDynatrace()
    reply = post(fake, [GOOD])
    assert (reply.status, reply.body) == (202, b"{}")
    (event,) = fake.events()
    assert (event.id, event.name, event.at, event.user_id) == ("e-1", "session.start", 1_769_860_800_000, "anna")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({"path": "/api/v2/events/ingest"}, 404, id="another path"),
        pytest.param({"path": "/e/abc/api/v2/bizevents/ingest"}, 202, id="of an ActiveGate"),
        pytest.param({"path": "/platform/classic/environment-api/v2/bizevents/ingest"}, 202, id="of the platform"),
        pytest.param({"method": "GET"}, 405, id="another method"),
        pytest.param({"headers": {"authorization": ""}}, 401, id="no token"),
        pytest.param({"headers": {"authorization": "Api-Token dt0c01.X.Y"}}, 401, id="unknown token"),
        pytest.param({"headers": {"authorization": f"Bearer {TOKEN}"}}, 401, id="wrong scheme"),
        pytest.param({"headers": {"authorization": "Api-Token dt0c01.FAKE.POWERLESS"}}, 403, id="no scope"),
        pytest.param({"headers": {"content-type": "text/plain"}}, 415, id="another kind"),
        pytest.param(
            {"headers": {"content-type": "application/cloudevents-batch+json; x=y"}}, 202, id="other spelling"
        ),
        pytest.param({"body": b"["}, 400, id="no JSON"),
        pytest.param({"body": b"{}"}, 400, id="no array"),
        pytest.param({"body": b'["' + b"x" * 5_000_000 + b'"]'}, 413, id="too large"),
    ],
)
def test_invalid_calls_are_refused(changes: dict[str, Any], status: int) -> None:
    fake = FakeDynatrace()
    reply = post(fake, [GOOD], **changes)
    assert reply.status == status
    assert len(fake.events()) == (status == 202)
    if status != 202:
        assert json.loads(reply.body)["error"]["code"] == status


def test_bearer_scheme_is_for_tokens_other_than_api_tokens() -> None:
    fake = FakeDynatrace("dt0s16.PLATFORM.TOKEN")
    assert post(fake, [GOOD], headers={"authorization": "Bearer dt0s16.PLATFORM.TOKEN"}).status == 202


def test_single_event_media_type_is_accepted() -> None:
    fake = FakeDynatrace()
    assert post(fake, GOOD, headers={"content-type": "application/cloudevent+json"}).status == 202
    assert len(fake.events()) == 1


@pytest.mark.parametrize(
    ("event", "message"),
    [
        pytest.param("text", "no JSON object", id="no object"),
        pytest.param(changed(id=...), "attribute id is missing", id="no id"),
        pytest.param(changed(id=7), "attribute id is missing or no text", id="id is a number"),
        pytest.param(changed(source=""), "attribute source", id="empty source"),
        pytest.param(changed(type=...), "attribute type", id="no type"),
        pytest.param(changed(specversion="0.3"), "specversion must be 1.0", id="older version"),
        pytest.param(changed(time="2026-01-31"), "no timestamp of RFC 3339", id="a date"),
        pytest.param(changed(time="2026-02-31T12:00:00Z"), "no timestamp of RFC 3339", id="no such day"),
        pytest.param(changed(time=1_769_860_800_000), "no timestamp of RFC 3339", id="a number"),
        pytest.param(changed(data=[1]), "data is no JSON object", id="data is a list"),
        pytest.param(changed(sessionId="x"), "a name that CloudEvents does not allow", id="capitals"),
    ],
)
def test_valid_events_of_an_invalid_batch_are_accepted(event: object, message: str) -> None:
    fake = FakeDynatrace()
    reply = post(fake, [changed(id="before"), event, changed(id="after")])
    assert reply.status == 400
    (error,) = json.loads(reply.body)["errors"]
    assert error["index"] == 1
    assert message in error["message"]
    assert [taken.id for taken in fake.events()] == ["before", "after"]


@pytest.mark.parametrize(
    "event", [changed(time=...), changed(data=...), changed(subject="s"), changed(time="2026-01-31T13:00:00+01:00")]
)
def test_optional_attributes_may_be_absent(event: dict[str, Any]) -> None:
    assert post(FakeDynatrace(), [event]).status == 202


def test_nested_values_become_text() -> None:
    fake = FakeDynatrace()
    post(fake, [changed(data={"customer": {"plan": "team"}})])
    assert fake.events()[0].attributes == {"customer": '{"plan": "team"}'}


def raw_event(number: int, name: str, at: int, **data: Any) -> dict[str, Any]:
    time = f"2026-01-31T12:{at // 60:02}:{at % 60:02}.000Z"
    return changed(id=f"e-{number}", type=name, time=time, data={"session.id": "s-1", **data})


def test_session_has_all_events_with_its_id() -> None:
    """In any order, each event once; the last revision of the end counts, and what came late changes nothing."""
    visit = [
        raw_event(1, "session.start", 0, **{"session.previous_id": "s-0"}),
        raw_event(2, "user.identify", 5, **{"user.id": "anna"}),
        raw_event(
            3, "session.end", 10, **{"user.id": "anna", "session.duration_ms": 10_000, "session.end_reason": "ended"}
        ),
        raw_event(4, "cart.add", 20, **{"session.late": True}),
        raw_event(
            5,
            "session.end",
            30,
            **{
                "user.id": "anna",
                "session.duration_ms": 30_000,
                "session.end_reason": "idle_timeout",
                "session.end_revision": 1,
                "session_properties.plan": "team",
            },
        ),
    ]
    for order in (visit, visit[::-1], [*visit, *visit]):
        fake = FakeDynatrace()
        post(fake, order)
        (session,) = fake.sessions()
        assert (session.session_id, session.user_id, session.previous_id) == ("s-1", "anna", "s-0")
        assert session.ended_at is not None
        assert session.started_at is not None
        assert (session.duration_ms, session.ended_at - session.started_at) == (30_000, 30_000)
        assert (session.reason, dict(session.properties)) == ("idle_timeout", {"session_properties.plan": "team"})
        assert session.names == ("session.start", "user.identify", "session.end", "cart.add", "session.end")


def test_late_event_does_not_change_the_user_without_an_end() -> None:
    fake = FakeDynatrace()
    post(
        fake,
        [raw_event(1, "session.start", 0, **{"user.id": "anna"}), raw_event(2, "log", 9, **{"session.late": True})],
    )
    assert [session.user_id for session in fake.sessions()] == ["anna"]


@pytest.mark.parametrize(
    ("events", "user"),
    [
        pytest.param([("user.identify", "anna")], "anna", id="named"),
        pytest.param([("user.identify", "anna"), ("user.identify", None)], None, id="and unnamed"),
        pytest.param([("page_view", "anna")], "anna", id="on a page"),
    ],
)
def test_an_open_session_has_the_user_of_its_last_event(events: list[tuple[str, str | None]], user: str | None) -> None:
    fake = FakeDynatrace()
    visit = [raw_event(0, "session.start", 0)]
    visit += [
        raw_event(n, name, n, **({} if who is None else {"user.id": who})) for n, (name, who) in enumerate(events, 1)
    ]
    post(fake, visit)
    (session,) = fake.sessions()
    assert (session.user_id, session.ended_at, session.duration_ms, session.reason) == (user, None, None, None)


def test_sessions_are_sorted_by_start() -> None:
    fake = FakeDynatrace()
    post(
        fake, [changed(id=str(n), time=f"2026-01-31T12:00:0{9 - n}Z", data={"session.id": f"s-{n}"}) for n in range(3)]
    )
    assert [session.session_id for session in fake.sessions()] == ["s-2", "s-1", "s-0"]
