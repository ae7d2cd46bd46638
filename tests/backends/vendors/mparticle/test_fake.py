"""The fake mParticle: keys, addresses, limits; sessions are pairs of a start and an end."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from sojourn.backends.vendors.mparticle.fake.schema import session_id_of
from sojourn.testing.vendors import FakeMParticle
from tests.backends.vendors.mparticle.calls import (
    CUSTOM,
    END,
    GOOD,
    SESSION_NUMBERS,
    START,
    STARTED_AT,
    UUID,
    authorization,
    call,
    changed,
    inside,
)


def test_valid_batch_gets_an_empty_202() -> None:
    fake = FakeMParticle()
    reply = call(fake, GOOD)
    assert (reply.status, reply.body) == (202, b"")
    assert [event.name for event in fake.events()] == ["session_start", "session_heartbeat", "session_end", "opt_out"]


@pytest.mark.parametrize(("uuid", "number"), [*SESSION_NUMBERS, (UUID.lower(), 8682646382169491228)])
def test_session_number_is_derived_from_its_uuid(uuid: str, number: int) -> None:
    assert session_id_of(uuid) == number


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 401, id="none"),
        pytest.param({"authorization": "Bearer FAKEKEY:FAKESECRET"}, 401, id="bearer"),
        pytest.param({"authorization": "Basic %%%"}, 401, id="not base64"),
        pytest.param(authorization("FAKEKEY"), 401, id="no pair"),
        pytest.param(authorization("FAKEKEY:other"), 403, id="another secret"),
        pytest.param(authorization("other:FAKESECRET"), 403, id="another key"),
        pytest.param({**authorization(), "content-encoding": "gzip"}, 400, id="compressed"),
        pytest.param({**authorization(), "content-type": "text/plain"}, 400, id="not JSON"),
        pytest.param({**authorization(), "content-type": "application/json; charset=utf-8"}, 202, id="with a charset"),
    ],
)
def test_authorization_header_is_checked(headers: Mapping[str, str], status: int) -> None:
    fake = FakeMParticle()
    raw = json.dumps(GOOD).encode()
    body = gzip.compress(raw) if "content-encoding" in headers else raw
    reply = call(fake, body, headers=headers)
    assert reply.status == status
    assert bool(fake.events()) is (status == 202)


@pytest.mark.parametrize(
    ("path", "method", "body", "status"),
    [
        pytest.param("/v1/events", "POST", GOOD, 404, id="another version"),
        pytest.param("/v2/events", "GET", GOOD, 405, id="method"),
        pytest.param("/v2/events", "POST", [GOOD], 400, id="a list at the address of one"),
        pytest.param("/v2/bulkevents", "POST", GOOD, 400, id="one at the address of many"),
        pytest.param("/v2/bulkevents", "POST", [GOOD], 202, id="many"),
        pytest.param("/v2/bulkevents", "POST", b"{", 400, id="no JSON"),
        pytest.param("/v2/bulkevents/historical", "POST", [GOOD], 202, id="old"),
    ],
)
def test_addresses(path: str, method: str, body: object, status: int) -> None:
    assert call(FakeMParticle(), body, path=path, method=method).status == status


def small(number: int) -> dict[str, Any]:
    data = {
        "event_name": "x",
        "custom_event_type": "other",
        "source_message_id": f"s-{number}",
        "timestamp_unixtime_ms": STARTED_AT,
    }
    return GOOD | {"events": [{"event_type": "custom_event", "data": data}]}


def large(size: int) -> dict[str, Any]:
    batch = small(size)
    batch["events"][0]["data"]["padding"] = "x" * (size - len(json.dumps(batch)) - len(', "padding": ""'))
    return batch


@pytest.mark.parametrize(
    ("body", "is_taken"),
    [
        pytest.param([small(n) for n in range(100)], True, id="100 batches"),
        pytest.param([small(n) for n in range(101)], False, id="101 batches"),
        pytest.param([large(128 * 1024)], True, id="a batch of 128 KB"),
        pytest.param([large(128 * 1024 + 1)], False, id="a larger batch"),
        pytest.param([large(100_000), large(100_001), large(100_002)], False, id="a call of more than 256 KB"),
    ],
)
def test_limits(body: object, is_taken: bool) -> None:
    assert call(FakeMParticle(), body, path="/v2/bulkevents").status == (202 if is_taken else 400)
    assert call(FakeMParticle(too_large=413), body, path="/v2/bulkevents").status == (202 if is_taken else 413)


@pytest.mark.parametrize("takes_part", [False, True], ids=["all or nothing", "batch by batch"])
def test_one_invalid_batch_of_several(takes_part: bool) -> None:
    fake = FakeMParticle(takes_part=takes_part)
    bad = small(1) | {"ip": "x"}
    assert call(fake, [small(0), bad, small(2)], path="/v2/bulkevents").status == 400
    assert [event.id for event in fake.events()] == (["s-0", "s-2"] if takes_part else [])


def test_rate_limit_per_second() -> None:
    now = [10.0]
    fake = FakeMParticle(batches_per_second=3, monotonic=lambda: now[0])
    statuses = []
    for batches, at in ((2, 10.0), (2, 10.9), (1, 10.9), (3, 11.0), (1, 11.5)):
        now[0] = at
        statuses.append(call(fake, [small(n) for n in range(batches)], path="/v2/bulkevents").status)
    assert statuses == [202, 429, 202, 202, 429]


def test_status_of_an_oversized_call_is_configurable() -> None:
    fake = FakeMParticle()
    fake.fail_next(429)
    reply = call(fake, GOOD)
    assert int(reply.headers["retry-after"]) > 0
    assert reply.headers["x-mp-rate-limit-exceeded"] == "account"
    fake.fail_next(503)
    assert call(fake, GOOD).status == 503


def test_events_older_than_30_days_need_the_historical_address() -> None:
    now = STARTED_AT / 1000
    soon, later = FakeMParticle(wall=lambda: now), FakeMParticle(wall=lambda: now + 31 * 24 * 3600)
    paths = ("/v2/bulkevents", "/v2/bulkevents/historical")
    assert [call(soon, [small(0)], path=path).status for path in paths] == [202, 400]
    assert [call(later, [small(0)], path=path).status for path in paths] == [400, 202]
    between = FakeMParticle(wall=lambda: now + 4 * 24 * 3600)
    assert [call(between, [small(0)], path=path).status for path in paths] == [202, 202]


def test_only_the_first_thousand_event_names_are_kept() -> None:
    fake = FakeMParticle()

    def named(number: int, name: str) -> dict[str, Any]:
        data = {"event_name": name, "custom_event_type": "other", "source_message_id": f"n-{number}"}
        return {"event_type": "custom_event", "data": data}

    for group in range(0, 1_100, 100):
        events = [named(number, f"name-{number}") for number in range(group, group + 100)]
        assert call(fake, GOOD | {"events": events}).status == 202
    assert (len(fake.events()), fake.dropped) == (1_000, 100)
    assert call(fake, GOOD | {"events": [named(2_000, "name-7")]}).status == 202
    assert len(fake.events()) == 1_001


# --- sessions


def test_session_is_a_start_and_an_end_with_one_uuid() -> None:
    fake = FakeMParticle()
    call(fake, changed(inside(CUSTOM, session_uuid=UUID.lower())))
    (session,) = fake.sessions()
    assert (session.session_id, session.visitor_id) == (UUID.lower(), GOOD["mp_deviceid"])
    assert (session.started_at, session.ended_at, session.duration_ms) == (STARTED_AT, 1_767_226_020_000, 420_000)
    assert (session.user_id, session.reason) == ("user-12345", "idle_timeout")
    assert session.properties == {"level_achieved": "11"}
    assert len(session.events) == 4
    assert fake.users() == {"user-12345": {"plan": "premium"}}
    assert fake.opted_out == {GOOD["mp_deviceid"]: True}


def test_session_attribute_names_are_case_insensitive() -> None:
    fake = FakeMParticle()
    call(fake, changed(inside(END, custom_attributes={"Plan": "a", "plan": "b"})))
    assert fake.sessions()[0].properties == {"Plan": "b"}


def test_custom_event_may_have_any_name() -> None:
    fake = FakeMParticle()
    call(fake, GOOD | {"events": [GOOD["events"][START]]})
    trap = changed(inside(CUSTOM, event_name="session_end"))["events"][CUSTOM]
    call(fake, GOOD | {"events": [trap]})
    (session,) = fake.sessions()
    assert (session.started_at, session.ended_at, session.duration_ms) == (STARTED_AT, None, None)


def test_late_events_and_revised_ends() -> None:
    fake = FakeMParticle()
    call(fake, GOOD)
    attributes = {"session.end_revision": 1, "session.end_reason": "ended"}
    revised = changed(inside(END, session_duration_ms=500_000, source_message_id="a-4", custom_attributes=attributes))
    call(fake, GOOD | {"events": [revised["events"][END]]})
    late = changed(inside(CUSTOM, source_message_id="a-5", custom_attributes={"session.late": True}))
    call(fake, GOOD | {"user_identities": {"customer_id": "other"}, "events": [late["events"][CUSTOM]]})
    (session,) = fake.sessions()
    assert (session.duration_ms, session.reason, session.user_id) == (500_000, "ended", "user-12345")


def test_late_event_does_not_change_the_user() -> None:
    fake = FakeMParticle()
    call(fake, GOOD | {"events": GOOD["events"][:2]})
    late = changed(inside(CUSTOM, source_message_id="a-5", custom_attributes={"session.late": True}))
    call(fake, GOOD | {"user_identities": {"customer_id": "other"}, "events": [late["events"][CUSTOM]]})
    assert fake.sessions()[0].user_id == "user-12345"


def test_duplicates_count_once_and_clear_forgets_all() -> None:
    fake = FakeMParticle()
    for _ in range(2):
        call(fake, GOOD | {"events": GOOD["events"][:3]})
    assert (len(fake.events()), fake.duplicates) == (3, 3)
    fake.clear()
    assert (fake.events(), fake.sessions(), fake.users(), fake.opted_out) == ([], [], {}, {})


def test_serves_on_a_port() -> None:
    with FakeMParticle().serve() as url:
        address = url.removeprefix("mparticle+").partition("?")[0].replace("FAKEKEY:FAKESECRET@", "")
        reply = httpx.post(f"{address}/v2/events", json=GOOD, auth=("FAKEKEY", "FAKESECRET"), trust_env=False)
    assert (reply.status_code, reply.content) == (202, b"")
