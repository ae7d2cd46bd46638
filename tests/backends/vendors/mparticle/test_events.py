"""mParticle: the encoding of events, and one batch for each user in each session."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from sojourn.backends.vendors.mparticle.events import session_ids
from sojourn.core import events as names
from sojourn.core.events import Scalar
from sojourn.testing.backend_contract import deliver, many_events, sample_events
from sojourn.testing.vendors import FakeMParticle
from tests.backends.vendors.mparticle.calls import SESSION_NUMBERS
from tests.backends.vendors.mparticle.samples import (
    LONGEST_VALUE,
    backend,
    batches,
    calls,
    encoded,
    event_of,
    session,
    wanted,
)

# --- the session


@pytest.mark.parametrize(("uuid", "number"), SESSION_NUMBERS)
def test_session_number_matches_the_library(uuid: str, number: int) -> None:
    assert session_ids(uuid.lower()) == (uuid, number)


def test_every_event_names_its_session() -> None:
    sample = wanted(sample_events(), heartbeats=True)
    contents = [event["data"] for batch in batches(*sample) for event in batch["events"]]
    uuid, number = session_ids(sample[0].session_key)
    assert {(data["session_uuid"], data["session_id"]) for data in contents} == {(uuid, number)}
    assert {data["session_start_unixtime_ms"] for data in contents} == {sample[0].session_started_at}


def test_each_batch_has_the_device_also_without_the_start() -> None:
    """After a login, and in the next call, another batch begins."""
    client: dict[str, Scalar] = {"client.address": "203.0.113.0", "user_agent.original": "Firefox"}
    later = [event_of("cart.add", {}, context=client), event_of("cart.add", {}, context=client, user_id="anna")]
    made = batches(*later)
    assert [batch["ip"] for batch in made] == ["203.0.113.0"] * 2
    assert [batch["device_info"]["http_header_user_agent"] for batch in made] == ["Firefox"] * 2


def test_session_start() -> None:
    origin: dict[str, Scalar] = {
        "url.path": "/",
        "client.address": "203.0.113.0",
        "user_agent.original": "Firefox",
        "session.previous_id": "p",
        "deployment.environment.name": "test",
        "service.name": "shop",
    }
    (batch,) = batches(event_of(names.SESSION_START, origin))
    assert batch["ip"] == "203.0.113.0"
    assert batch["device_info"] == {"platform": "web", "http_header_user_agent": "Firefox"}
    assert batch["application_info"] == {"application_name": "shop"}
    (start,) = batch["events"]
    assert start["event_type"] == "session_start"
    assert start["data"]["custom_attributes"] == {
        "url.path": "/",
        "session.previous_id": "p",
        "deployment.environment.name": "test",
    }


@pytest.mark.parametrize(
    ("given_duration", "duration"),
    [
        pytest.param({"session.duration_ms": 95_250}, 95_250, id="as recorded"),
        pytest.param({"session.duration_ms": -5}, 0, id="never negative"),
        pytest.param({"session.duration_ms": 1.5}, 1_000, id="no fraction"),
        pytest.param({"session.duration_ms": True}, 1_000, id="no flag"),
        pytest.param({"session.duration_ms": 2**80}, 2**63 - 1, id="of 64 bits"),
        pytest.param({}, 1_000, id="from the start to the end"),
    ],
)
def test_session_end_has_an_integer_duration(given_duration: dict[str, Scalar], duration: int) -> None:
    started_at = many_events(1)[0].session_started_at
    data = encoded(names.SESSION_END, given_duration, time=started_at + 1_000)["data"]
    assert data["session_duration_ms"] == duration
    assert type(data["session_duration_ms"]) is int


def test_session_attributes_are_on_the_end_only() -> None:
    properties: dict[str, Scalar] = {"session_properties.plan": "team", "session.end_reason": "ended"}
    for name in (names.PAGE_VIEW, names.SESSION_START, names.EXCEPTION, names.OPT_OUT, "cart.add"):
        assert "plan" not in encoded(name, properties)["data"].get("custom_attributes", {})
    assert encoded(names.SESSION_END, properties)["data"]["custom_attributes"] == {
        "plan": "team",
        "session.end_reason": "ended",
    }
    assert not backend().accepts(event_of(names.SESSION_PROPERTIES, properties))


def test_session_attribute_names_are_case_insensitive() -> None:
    properties: dict[str, Scalar] = {
        "session_properties.Plan": "a",
        "session_properties.plan": "b",
        "session_properties.session.end_reason": "mine",
        "session.end_reason": "ended",
    }
    assert encoded(names.SESSION_END, properties)["data"]["custom_attributes"] == {
        "Plan": "b",
        "session.end_reason": "ended",
    }


def test_manual_session_id_is_an_attribute_of_its_own() -> None:
    data = encoded("cart.add", session_id="checkout-4711", is_manual=True)["data"]
    assert data["custom_attributes"] == {"session.id": "checkout-4711"}
    assert data["session_uuid"].lower() == many_events(1)[0].session_key


# --- the kinds of events


@pytest.mark.parametrize(
    ("name", "kind", "own"),
    [
        pytest.param(names.SESSION_START, "session_start", {}, id="start"),
        pytest.param(
            names.SESSION_HEARTBEAT,
            "custom_event",
            {"event_name": "session_heartbeat", "custom_event_type": "other"},
            id="heartbeat",
        ),
        pytest.param(names.OPT_OUT, "opt_out", {"is_opted_out": True}, id="opt-out"),
        pytest.param(
            names.CONNECTION_END,
            "custom_event",
            {"event_name": "connection_end", "custom_event_type": "other"},
            id="connection",
        ),
        pytest.param(names.LOG, "custom_event", {"event_name": "log", "custom_event_type": "other"}, id="log"),
        pytest.param(
            "cart.add", "custom_event", {"event_name": "cart.add", "custom_event_type": "other"}, id="tracked"
        ),
    ],
)
def test_types_of_events(name: str, kind: str, own: dict[str, object]) -> None:
    found = encoded(name)
    assert found.keys() == {"event_type", "data"}
    assert found["event_type"] == kind
    data = found["data"]
    assert own.items() <= data.items()
    assert (data["timestamp_unixtime_ms"], data["source_message_id"]) == (1_769_860_800_000, "many-000000")


@pytest.mark.parametrize(
    ("attributes", "screen"),
    [
        pytest.param({"url.path": "/a/7", "http.route": "/a/{id}"}, "/a/{id}", id="by its route"),
        pytest.param({"url.path": "/a/7"}, "/a/7", id="by its path"),
        pytest.param({}, "", id="of nothing"),
    ],
)
def test_page_view_is_a_screen_view(attributes: dict[str, Scalar], screen: str) -> None:
    found = encoded(names.PAGE_VIEW, attributes)
    assert (found["event_type"], found["data"]["screen_name"]) == ("screen_view", screen)


@pytest.mark.parametrize(
    ("attributes", "report"),
    [
        pytest.param(
            {"exception.type": "KeyError", "exception.escaped": True, "exception.stacktrace": "a.py:1"},
            {"class_name": "KeyError", "message": "KeyError", "exception_handled": False, "stack_trace": "a.py:1"},
            id="without its message",
        ),
        pytest.param(
            {"exception.type": "KeyError", "exception.message": "x"},
            {"class_name": "KeyError", "message": "x", "exception_handled": True},
            id="with its message",
        ),
    ],
)
def test_an_exception_is_a_crash_report_with_a_severity_and_a_message(
    attributes: dict[str, Scalar], report: dict[str, object]
) -> None:
    found = encoded(names.EXCEPTION, attributes)
    assert found["event_type"] == "crash_report"
    data = found["data"]
    assert data["severity"] == "error"
    assert report.items() <= data.items()
    assert "custom_attributes" not in data


def test_tracked_event_keeps_its_name_and_type() -> None:
    given_properties: dict[str, Scalar] = {
        "event_properties.sku": "A",
        "event_properties.gift": True,
        "event_properties.price": 3.5,
    }
    assert encoded("cart.add", given_properties)["data"]["custom_attributes"] == {
        "sku": "A",
        "gift": True,
        "price": 3.5,
    }


def test_values_are_cut_at_4096_characters() -> None:
    attributes: dict[str, Scalar] = {"event_properties.long": "x" * 5_000, "event_properties.full": "y" * LONGEST_VALUE}
    found = encoded("cart.add", attributes)["data"]["custom_attributes"]
    assert found == {"long": "x" * (LONGEST_VALUE - 1) + "\u2026", "full": "y" * LONGEST_VALUE}
    (batch,) = batches(event_of(names.USER_IDENTIFY, {"user.traits.bio": "z" * 5_000}, user_id="anna"))
    assert len(batch["user_attributes"]["bio"]) == LONGEST_VALUE


# --- batches


def test_batch_has_one_user_in_one_session_in_order() -> None:
    steps = [(1, None), (2, None), (1, "anna"), (2, None), (1, "anna"), (1, None)]
    events = [
        msgspec.structs.replace(event, session_key=session(of), user_id=user)
        for event, (of, user) in zip(many_events(len(steps)), steps, strict=True)
    ]
    made = [
        (batch.get("user_identities"), [event["data"]["source_message_id"] for event in batch["events"]])
        for batch in batches(*events)
    ]
    assert made == [
        (None, ["many-000000"]),
        (None, ["many-000001", "many-000003"]),
        ({"customer_id": "anna"}, ["many-000002", "many-000004"]),
        (None, ["many-000005"]),
    ]


def test_opt_out_is_the_last_word_of_a_session() -> None:
    """mParticle's own library sends nothing behind it, and the log has the end behind it."""
    order = ("session.start", "opt_out", "session.end", "connection.end")
    (batch,) = batches(*(event_of(name, id=name) for name in order))
    assert [event["event_type"] for event in batch["events"]] == [
        "session_start",
        "session_end",
        "custom_event",
        "opt_out",
    ]


def test_user_and_traits_are_in_the_head_of_the_batch() -> None:
    traits: dict[str, Scalar] = {"user.name": "Anna", "user.traits.plan": "pro", "user.traits.seats": 3}
    identify = event_of(names.USER_IDENTIFY, traits, user_id="anna")
    page = event_of(names.PAGE_VIEW, user_id="anna", id="page")
    (alone,) = batches(identify)
    (together,) = batches(identify, page)
    for batch in (alone, together):
        assert batch["user_identities"] == {"customer_id": "anna"}
        assert batch["user_attributes"] == {"name": "Anna", "plan": "pro", "seats": 3}
    assert alone["events"] == []
    assert [event["event_type"] for event in together["events"]] == ["screen_view"]


def test_user_has_at_most_100_attributes() -> None:
    traits: dict[str, Scalar] = {f"user.traits.t{number}": number for number in range(150)}
    (batch,) = batches(event_of(names.USER_IDENTIFY, traits, user_id="anna"))
    assert batch["user_attributes"] == {f"t{number}": number for number in range(100)}


@pytest.mark.parametrize("is_last", [False, True], ids=["first", "last"])
def test_user_is_sent_again_after_a_failed_call(is_last: bool) -> None:
    fake = FakeMParticle(is_strict=True)
    fake.fail_next(503)
    identify = event_of(names.USER_IDENTIFY, {"user.traits.plan": "pro"}, user_id="anna")
    page = event_of(names.PAGE_VIEW, user_id="anna", id="page")
    assert backend(fake).send(batch := [page, identify] if is_last else [identify, page]).delivered == 0
    assert fake.users() == {}
    assert deliver(backend(fake), batch).delivered == 2
    assert fake.users() == {"anna": {"plan": "pro"}}


def test_untagging_is_not_sent() -> None:
    untagged = event_of(names.USER_IDENTIFY, user_id=None)
    assert not backend().accepts(untagged)
    assert calls([untagged]) == []


def test_the_device_is_the_visitor_as_a_uuid() -> None:
    ours, other = "6b1f6c2a-3a5e-4a58-8f0f-9a1d6d0c1e77", "check-0123"
    devices = [batches(event_of("cart.add", visitor_id=visitor))[0]["mp_deviceid"] for visitor in (ours, other, other)]
    assert devices[0] == ours
    assert devices[1] == devices[2] == str(UUID(devices[1])) != other


@pytest.mark.parametrize(
    ("address", "ip"),
    [
        pytest.param("203.0.113.0", "203.0.113.0", id="v4"),
        pytest.param("2001:db8::", "2001:db8::", id="v6"),
        pytest.param("unix:", None, id="none"),
    ],
)
def test_ip_is_sent_only_if_it_is_valid(address: str, ip: str | None) -> None:
    (batch,) = batches(event_of(names.SESSION_START, {"client.address": address}))
    assert batch.get("ip") == ip


def test_batch_id_depends_on_its_events_only() -> None:
    sample = wanted(sample_events())
    once, again, part = batches(*sample), batches(*sample), batches(*sample[:1])
    assert [batch["source_request_id"] for batch in once] == [batch["source_request_id"] for batch in again]
    assert part[0]["source_request_id"] != once[0]["source_request_id"]
    assert len({batch["source_request_id"] for batch in once}) == len(once)
