"""mParticle: one batch for each user in each session; what is sent is shown in golden/mparticle.json."""

from __future__ import annotations

import json
import logging
from base64 import b64decode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import mparticle  # type: ignore[import-untyped]
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.backends import Backend, MParticleBackend, backend_from_url
from sojourn.backends.http import HttpCall, Refusal
from sojourn.backends.mparticle import LIMITS, OLD_AFTER_MS
from sojourn.backends.mparticle_batches import BATCH_BYTES
from sojourn.backends.mparticle_events import LONGEST_VALUE, session_ids
from sojourn.core import events as names
from sojourn.core.events import Event, Scalar
from sojourn.core.ids import uuid7
from sojourn.errors import SettingsError
from sojourn.testing.backend_contract import BackendContract, deliver, hostile_events, many_events, sample_events
from sojourn.testing.vendors import FakeMParticle
from tests.backends.golden_files import check_golden
from tests.backends.played_visit import TRUTH, Twice, play

ADDRESS = "https://s2s.eu1.mparticle.com"
KEY, SECRET = "FAKEKEY", "FAKESECRET"
NOW_MS = 1_769_860_900_000
NOW = NOW_MS / 1000


class TestMParticle(BackendContract):
    def make_backend(self, tmp_path: Path) -> Backend:
        self.fake = FakeMParticle()
        return MParticleBackend(ADDRESS, KEY, SECRET, transport=self.fake.transport())

    def received(self) -> None:
        """Who the user is goes out beside the events, under no id; what is said of ids stands below."""


def backend(fake: FakeMParticle | None = None, **options: Any) -> MParticleBackend:
    transport = None if fake is None else fake.transport()
    return MParticleBackend(ADDRESS, KEY, SECRET, wall=lambda: NOW, transport=transport, **options)


def calls(events: Sequence[Event], **options: Any) -> list[HttpCall]:
    made = list(backend(**options).encode(events))
    return [call for call in made if isinstance(call, HttpCall)]


def batches(*events: Event, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for call in calls(events, **options):
        document = json.loads(call.body)
        found += document if isinstance(document, list) else [document]
    return found


def event_of(name: str, attributes: Mapping[str, Scalar] | None = None, **fields: Any) -> Event:
    return msgspec.structs.replace(many_events(1)[0], name=name, attributes=attributes or {}, **fields)


def encoded(name: str, attributes: Mapping[str, Scalar] | None = None, **fields: Any) -> dict[str, Any]:
    """What an event of this name becomes."""
    (batch,) = batches(event_of(name, attributes, **fields))
    (found,) = batch["events"]
    return dict(found)


def wanted(events: Sequence[Event], **options: Any) -> list[Event]:
    chosen = backend(**options)
    return [event for event in events if chosen.accepts(event)]


def test_what_a_visit_sends() -> None:
    check_golden("mparticle", backend(heartbeats=True, environment="development"))


# --- the session


@pytest.mark.parametrize(
    ("uuid", "number"),
    [
        ("76F1ABB9-7A9A-4D4E-AB4D-56C8FF79CAD1", -6881666186511944082),
        ("222F6BEA-F6A8-4DFC-A950-744EFD6FEC3D", 7868951891731938297),
        ("B469F3A1-79B6-4E83-823A-53CFC41C3880", -5269132687922921892),
        ("84E1B361-A282-4ADF-8A6D-1D31E6DD5A9E", 6051321688317951794),
    ],
)
def test_the_number_of_a_session_is_that_which_their_own_libraries_make(uuid: str, number: int) -> None:
    assert session_ids(uuid.lower()) == (uuid, number)


def test_every_event_names_its_session() -> None:
    sample = wanted(sample_events(), heartbeats=True)
    told = [event["data"] for batch in batches(*sample) for event in batch["events"]]
    uuid, number = session_ids(sample[0].session_key)
    assert {(data["session_uuid"], data["session_id"]) for data in told} == {(uuid, number)}
    assert {data["session_start_unixtime_ms"] for data in told} == {sample[0].session_started_at}


def test_a_start() -> None:
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
        pytest.param({"session.duration_ms": 95_250}, 95_250, id="as told"),
        pytest.param({"session.duration_ms": -5}, 0, id="never negative"),
        pytest.param({"session.duration_ms": 1.5}, 1_000, id="an integer"),
        pytest.param({}, 1_000, id="from the start to the end"),
    ],
)
def test_an_end_has_an_integer_duration(given_duration: dict[str, Scalar], duration: int) -> None:
    started_at = many_events(1)[0].session_started_at
    data = encoded(names.SESSION_END, given_duration, time=started_at + 1_000)["data"]
    assert data["session_duration_ms"] == duration
    assert type(data["session_duration_ms"]) is int


def test_session_attributes_go_out_with_the_end_and_nowhere_else() -> None:
    properties: dict[str, Scalar] = {"session_properties.plan": "team", "session.end_reason": "ended"}
    for name in (names.PAGE_VIEW, names.SESSION_START, names.EXCEPTION, names.OPT_OUT, "cart.add"):
        assert "plan" not in encoded(name, properties)["data"].get("custom_attributes", {})
    assert encoded(names.SESSION_END, properties)["data"]["custom_attributes"] == {
        "plan": "team",
        "session.end_reason": "ended",
    }
    assert not backend().accepts(event_of(names.SESSION_PROPERTIES, properties))


def test_names_of_session_attributes_are_compared_without_regard_to_case() -> None:
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


def test_an_id_that_was_given_stands_beside_ours() -> None:
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
def test_kinds(name: str, kind: str, own: dict[str, object]) -> None:
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
def test_a_page_is_a_screen(attributes: dict[str, Scalar], screen: str) -> None:
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


def test_what_was_tracked_goes_by_its_own_name_with_its_type() -> None:
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


def session(number: int) -> str:
    return uuid7(1_769_860_800_000, number.to_bytes(10, "big"))


def test_a_batch_is_of_one_user_in_one_session_and_keeps_the_order() -> None:
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


def test_a_user_is_told_in_the_head_of_the_batch_with_traits() -> None:
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


def test_a_user_has_100_attributes_at_most() -> None:
    traits: dict[str, Scalar] = {f"user.traits.t{number}": number for number in range(150)}
    (batch,) = batches(event_of(names.USER_IDENTIFY, traits, user_id="anna"))
    assert batch["user_attributes"] == {f"t{number}": number for number in range(100)}


def test_who_the_user_is_comes_again_when_its_call_failed() -> None:
    fake = FakeMParticle()
    fake.fail_next(503)
    identify = event_of(names.USER_IDENTIFY, {"user.traits.plan": "pro"}, user_id="anna")
    assert backend(fake).send([identify]).delivered == 0
    assert deliver(backend(fake), [identify, event_of(names.PAGE_VIEW, user_id="anna", id="page")]).delivered == 2
    assert fake.users() == {"anna": {"plan": "pro"}}


def test_that_a_user_is_taken_off_is_no_event_of_theirs() -> None:
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
def test_only_an_address_is_sent_as_one(address: str, ip: str | None) -> None:
    (batch,) = batches(event_of(names.SESSION_START, {"client.address": address}))
    assert batch.get("ip") == ip


def test_a_batch_has_the_same_id_whenever_the_same_events_are_sent() -> None:
    sample = wanted(sample_events())
    once, again, part = batches(*sample), batches(*sample), batches(*sample[:1])
    assert [batch["source_request_id"] for batch in once] == [batch["source_request_id"] for batch in again]
    assert part[0]["source_request_id"] != once[0]["source_request_id"]
    assert len({batch["source_request_id"] for batch in once}) == len(once)


# --- addresses and keys


@pytest.mark.parametrize(
    ("of_sessions", "age_ms", "path"),
    [
        pytest.param(1, 0, "/v2/events", id="one batch"),
        pytest.param(2, 0, "/v2/bulkevents", id="several"),
        pytest.param(1, OLD_AFTER_MS, "/v2/events", id="thirty days old"),
        pytest.param(1, OLD_AFTER_MS + 1, "/v2/bulkevents/historical", id="older"),
    ],
)
def test_addresses_of_calls(of_sessions: int, age_ms: int, path: str) -> None:
    events = [
        msgspec.structs.replace(event, session_key=session(number), time=NOW_MS - age_ms)
        for number, event in enumerate(many_events(of_sessions))
    ]
    (call,) = calls(events)
    assert call.url == ADDRESS + path
    assert isinstance(json.loads(call.body), dict if path == "/v2/events" else list)
    assert not call.has_gzip


def test_what_is_old_goes_apart() -> None:
    fake = FakeMParticle(wall=lambda: NOW)
    events = [
        msgspec.structs.replace(event, time=NOW_MS - (OLD_AFTER_MS * 2 if number % 2 else 0))
        for number, event in enumerate(many_events(6))
    ]
    assert backend(fake).send(events).delivered == 6
    assert [request.path for request in fake.requests] == ["/v2/bulkevents/historical", "/v2/bulkevents"]
    assert len(fake.events()) == 6


@pytest.mark.parametrize("address", [ADDRESS, f"{ADDRESS}/", f"{ADDRESS}/v2", f"{ADDRESS}/v2/"])
def test_addresses(address: str) -> None:
    (call,) = MParticleBackend(address, KEY, SECRET, wall=lambda: NOW).encode(many_events(1))
    assert isinstance(call, HttpCall)
    assert call.url == f"{ADDRESS}/v2/events"
    assert b64decode(call.headers["authorization"].removeprefix("Basic ")) == b"FAKEKEY:FAKESECRET"


def test_the_url_in_a_setting() -> None:
    built = backend_from_url("mparticle+https://K:S@s2s.eu1.mparticle.com?name=mp&environment=development")
    assert isinstance(built, MParticleBackend)
    (call,) = built.encode(many_events(1))
    assert isinstance(call, HttpCall)
    assert built.name == "mp"
    assert b64decode(call.headers["authorization"].removeprefix("Basic ")) == b"K:S"
    document = json.loads(call.body)
    assert (document[0] if isinstance(document, list) else document)["environment"] == "development"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        pytest.param("mparticle+https://hunter2@s2s.example", "secret is missing", id="no secret"),
        pytest.param("mparticle+https://s2s.example", "key is missing", id="no key"),
        pytest.param(
            "mparticle+https://k:hunter2@s2s.example?environment=test", "production or development", id="test"
        ),
        pytest.param("mparticle+https://k:hunter2@s2s.example?enviroment=x", "did you mean environment", id="misspelt"),
    ],
)
def test_wrong_urls_say_what_to_write(url: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        backend_from_url(url)
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_production_unless_said_otherwise() -> None:
    assert batches(*many_events(1))[0]["environment"] == "production"


def test_heartbeats_and_revised_ends_go_when_asked_for() -> None:
    optional = [event_of(names.SESSION_HEARTBEAT), event_of(names.SESSION_END, {"session.end_revision": 1})]
    assert wanted(optional) == []
    assert wanted(optional, heartbeats=True, resend_ends=True) == optional


# --- answers


def answering(answer: httpx.Response) -> MParticleBackend:
    return MParticleBackend(ADDRESS, KEY, SECRET, transport=httpx.MockTransport(lambda request: answer))


@pytest.mark.parametrize(
    ("status", "says"),
    [
        pytest.param(200, "mParticle answers 202", id="somebody else"),
        pytest.param(204, "mParticle answers 202", id="nobody"),
        pytest.param(401, "key and secret", id="no credentials"),
        pytest.param(403, "not of one input", id="wrong pair"),
        pytest.param(404, "check the URL", id="address"),
    ],
)
def test_what_somebody_has_to_mend_pauses(status: int, says: str) -> None:
    receipt = answering(httpx.Response(status)).send(many_events(2))
    assert receipt.delivered == 0
    assert says in (receipt.pause or "")


def test_it_waits_as_long_as_it_is_told() -> None:
    fake = FakeMParticle()
    fake.fail_next(429, headers={"retry-after": "7"})
    receipt = backend(fake).send(many_events(2))
    assert (receipt.delivered, receipt.retry_after) == (0, 7.0)
    fake.fail_next(503)
    assert backend(fake).send(many_events(2)).retry_after is None


@pytest.mark.parametrize("takes_part", [False, True], ids=["all or nothing", "batch by batch"])
def test_a_400_is_halved_down_to_the_event_at_fault(takes_part: bool) -> None:
    events = [
        msgspec.structs.replace(event, session_key=session(number % 7)) for number, event in enumerate(many_events(64))
    ]
    events[40] = msgspec.structs.replace(events[40], session_key="of nobody")
    fake = FakeMParticle(takes_part=takes_part)
    receipt = backend(fake).send(events)
    assert (receipt.delivered, [rejection.event_id for rejection in receipt.rejected]) == (63, [events[40].id])
    assert receipt.rejected[0].reason.startswith("HTTP 400: it is invalid: ")
    assert {event.id for event in fake.events()} == {event.id for event in events} - {events[40].id}


@given(body=st.binary(max_size=200))
def test_whatever_a_400_says_all_is_settled(body: bytes) -> None:
    receipt = answering(httpx.Response(400, content=body)).send(many_events(3))
    assert len(receipt.rejected) == 3


def test_nobody_sees_the_keys(caplog: pytest.LogCaptureFixture) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(403))
    hiding = MParticleBackend(ADDRESS, "hunter2", "hunter2", transport=transport)
    with caplog.at_level(logging.DEBUG):
        receipt = hiding.send(many_events(2))
    assert receipt.pause is not None
    assert "hunter2" not in f"{hiding!r}{receipt}{hiding.heard}{caplog.text}"


# --- limits


def test_a_call_has_100_batches_at_most() -> None:
    events = [
        msgspec.structs.replace(event, session_key=session(number)) for number, event in enumerate(many_events(250))
    ]
    assert [len(json.loads(call.body)) for call in calls(events)] == [100, 100, 50]


def test_a_batch_has_128_kb_and_a_call_256_kb_at_most() -> None:
    text: dict[str, Scalar] = {f"event_properties.t{number}": "x" * 4_000 for number in range(7)}
    events = [
        msgspec.structs.replace(event, attributes=text, session_key=session(number % 3))
        for number, event in enumerate(many_events(60))
    ]
    made = calls(events)
    assert all(len(call.body) <= LIMITS.bytes for call in made)
    sizes = [len(json.dumps(batch, separators=(",", ":"))) for batch in batches(*events)]
    assert all(size <= BATCH_BYTES for size in sizes)
    assert max(sizes) > BATCH_BYTES - 30_000
    fake = FakeMParticle()
    assert backend(fake).send(events).delivered == 60
    assert len(fake.events()) == 60


def test_an_event_beyond_the_limit_is_a_dead_letter_and_holds_nobody_up() -> None:
    batch = [event_of(names.USER_IDENTIFY, {"user.name": "Anna"}, id="who", user_id="anna"), *many_events(3)]
    batch[1:] = [msgspec.structs.replace(event, user_id="anna") for event in batch[1:]]
    large: dict[str, Scalar] = {f"event_properties.t{number}": "x" * 4_000 for number in range(40)}
    batch[1] = msgspec.structs.replace(batch[1], attributes=large)
    fake = FakeMParticle()
    receipt = backend(fake).send(batch)
    assert (receipt.delivered, [rejection.event_id for rejection in receipt.rejected]) == (3, [batch[1].id])
    assert isinstance(next(iter(backend().encode([batch[1]]))), Refusal)
    assert fake.users() == {"anna": {"name": "Anna"}}


def test_hostile_values_are_json() -> None:
    assert sum(len(batch["events"]) for batch in batches(*hostile_events())) == len(hostile_events())


# --- mParticle's own library


MODELS: Mapping[str, Any] = {
    "session_start": mparticle.SessionStartEvent,
    "session_end": mparticle.SessionEndEvent,
    "screen_view": mparticle.ScreenViewEvent,
    "custom_event": lambda: mparticle.AppEvent("?", "other"),
    "crash_report": mparticle.CrashReportEvent,
    "opt_out": mparticle.OptOutEvent,
}
UNKNOWN_TO_IT = frozenset({"session_start_unixtime_ms"})
"""What their schema has and their models do not."""


def model(kind: Any, document: Mapping[str, Any]) -> Any:
    """Fill a model through its own setters, which check; every name has to be one of the model's."""
    made = kind()
    for name, value in document.items():
        if name not in UNKNOWN_TO_IT:
            assert name in made.swagger_types, name
            setattr(made, name, value)
    return made


def in_their_models(document: Mapping[str, Any]) -> Any:
    made = mparticle.Batch()
    for name, value in document.items():
        match name:
            case "events":
                made.events = [model(MODELS[event["event_type"]], event["data"]) for event in value]
            case "user_identities":
                # Their model says `customerid`, which their schema refuses.
                made.user_identities = model(mparticle.UserIdentities, {"customerid": value["customer_id"]})
            case "device_info":
                made.device_info = model(mparticle.DeviceInformation, value)
            case "application_info":
                made.application_info = model(mparticle.ApplicationInformation, value)
            case _:
                assert name in made.swagger_types, name
                setattr(made, name, value)
    return made


def test_their_own_models_accept_what_is_sent_and_say_the_same() -> None:
    sent = batches(*wanted(sample_events(), heartbeats=True), heartbeats=True)
    assert {event["event_type"] for batch in sent for event in batch["events"]} == MODELS.keys()
    for document in sent:
        said = mparticle.ApiClient.sanitize_for_serialization(in_their_models(document))
        for event in said["events"]:
            if event["event_type"] == "commerce_event":  # so their library calls crash reports, by mistake
                event["event_type"] = "crash_report"
        if "user_identities" in said:
            said["user_identities"] = {"customer_id": said["user_identities"].pop("customerid")}
        for event in document["events"]:
            for name in UNKNOWN_TO_IT:
                del event["data"][name]
        assert said == document


# --- all of it together


@given(seed=st.integers(0, 99), after_taking=st.booleans(), takes_part=st.booleans())
def test_sessions_are_whole_though_a_fifth_fails_and_all_comes_twice(
    seed: int, after_taking: bool, takes_part: bool
) -> None:
    fake = FakeMParticle(takes_part=takes_part)
    fake.fail(0.2, seed=seed, after_taking=after_taking)
    sample = wanted(sample_events(), heartbeats=True)
    for _ in range(2):
        assert deliver(backend(fake, heartbeats=True), sample).delivered == len(sample)
    (found,) = fake.sessions()
    assert found.session_id == sample[0].session_key
    assert (found.user_id, found.duration_ms, found.reason) == ("anna", 95_250, "idle_timeout")
    assert (found.started_at, found.ended_at) == (1_769_860_800_000, 1_769_860_895_250)
    told = [event.id for event in sample if event.name != names.USER_IDENTIFY]
    assert [event.id for event in found.events] == told
    assert fake.users() == {"anna": {"name": "Anna Ünal"}}
    assert fake.duplicates >= len(told)


@pytest.mark.parametrize("after_taking", [False, True], ids=["refused", "answers lost"])
def test_a_visit_through_a_real_app_ends_as_it_was(after_taking: bool) -> None:
    fake = FakeMParticle(wall=lambda: NOW)
    fake.fail(0.2, seed=11, after_taking=after_taking)
    play([Twice(backend(fake, heartbeats=True))])
    told = [(found.user_id, found.started_at, found.ended_at, found.reason) for found in fake.sessions()]
    assert told == [(truth.user, truth.started_at, truth.ended_at, truth.reason) for truth in TRUTH]
    assert [found.duration_ms for found in fake.sessions()] == [truth.duration_ms for truth in TRUTH]
    assert [found.properties for found in fake.sessions()] == [{"plan": "team"}, {}, {}]
    assert fake.users().keys() == {"anna", "ben"}
    devices = {found.visitor_id for found in fake.sessions()}
    assert list(fake.opted_out.items()) == [(device, True) for device in devices]
    assert [found.names for found in fake.sessions()] == [
        (
            *("session_start", "screen_view", "screen_view", "screen_view", "cart_add", "screen_view"),
            *("crash_report", "session_heartbeat", "screen_view", "session_end"),
        ),
        ("session_start", "screen_view", "screen_view", "session_end"),
        ("session_start", "screen_view", "opt_out", "session_end"),
    ]
