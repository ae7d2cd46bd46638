"""Amplitude: addresses, keys, responses, limits, and a whole visit."""

from __future__ import annotations

import json
from typing import Any

import httpx
import msgspec
import pytest

from sojourn.backends import AmplitudeBackend, backend_from_url
from sojourn.backends.http import HttpCall
from sojourn.backends.vendors.amplitude.backend import LIMITS
from sojourn.testing.backend_contract import deliver, many_events, sample_events
from sojourn.testing.vendors import FakeAmplitude
from tests.backends.vendors.amplitude.samples import ADDRESS, KEY
from tests.backends.vendors.connected import backend_on, backend_responding, check_pause, check_wrong_url, sample
from tests.backends.vendors.played_visit import TRUTH, Twice, check_visit, play
from tests.backends.vendors.recorded_visit import deliver_in_parts, visit_events


def only_call(backend: AmplitudeBackend, count: int = 1) -> HttpCall:
    (call,) = backend.encode(many_events(count))
    assert isinstance(call, HttpCall)
    return call


@pytest.mark.parametrize(
    ("address", "called"),
    [
        pytest.param(ADDRESS, f"{ADDRESS}/2/httpapi", id="host"),
        pytest.param("https://api.eu.amplitude.com/", "https://api.eu.amplitude.com/2/httpapi", id="EU"),
        pytest.param(f"{ADDRESS}/2/httpapi", f"{ADDRESS}/2/httpapi", id="the whole path"),
        pytest.param(f"{ADDRESS}/batch", f"{ADDRESS}/batch", id="the batch API"),
    ],
)
def test_addresses(address: str, called: str) -> None:
    assert only_call(AmplitudeBackend(address, KEY)).url == called


def test_key_and_least_length_of_ids_are_in_the_body() -> None:
    body = json.loads(only_call(AmplitudeBackend(ADDRESS, "K")).body)
    assert (body["api_key"], body["options"]) == ("K", {"min_id_length": 1})


def test_backend_from_url() -> None:
    backend = backend_from_url(f"amplitude+{ADDRESS.replace('://', '://K@')}?name=a&gzip=0&site=https://shop.example")
    assert isinstance(backend, AmplitudeBackend)
    (call,) = backend.encode([sample("page_view")])
    assert isinstance(call, HttpCall)
    assert (backend.name, call.has_gzip) == ("a", False)
    assert b"https://shop.example/products/17" in call.body


@pytest.mark.parametrize(
    ("url", "says"),
    [
        pytest.param("amplitude+https://hunter2:hunter2@a.example", "there is one key", id="two keys"),
        pytest.param("amplitude+https://a.example", "key is missing", id="no key"),
        pytest.param("amplitude+https://hunter2@a.example?sites=x", "did you mean site", id="misspelt option"),
    ],
)
def test_wrong_url_names_the_fix_without_the_key(url: str, says: str) -> None:
    check_wrong_url(url, says)


# --- responses


def answer(status: int, **document: object) -> httpx.Response:
    return httpx.Response(status, json={"code": status, **document})


@pytest.mark.parametrize(
    ("response", "says"),
    [
        pytest.param(answer(400, error=f"Invalid API key: {KEY}"), "the API key is unknown", id="unknown key"),
        pytest.param(
            answer(400, error="Request missing required field", missing_field="api_key"), "unknown", id="no key"
        ),
        pytest.param(answer(400, error="Invalid request path"), "check the URL", id="path"),
        pytest.param(httpx.Response(200, json={"code": 100}), "Amplitude responds with 200", id="another service"),
    ],
)
def test_errors_of_the_setup_pause_delivery(response: httpx.Response, says: str) -> None:
    check_pause(backend_responding("amplitude", response), says)
    assert KEY not in str(backend_responding("amplitude", response).send(many_events(1)))


@pytest.mark.parametrize(
    ("response", "after"),
    [
        pytest.param(answer(429, throttled_devices={"d": 31}, throttled_events=[0]), 30.0, id="429"),
        pytest.param(httpx.Response(429, headers={"retry-after": "7"}), 7.0, id="429 with a time"),
        pytest.param(answer(503), None, id="503"),
        pytest.param(httpx.Response(500), None, id="500"),
    ],
)
def test_temporary_errors_are_retried(response: httpx.Response, after: float | None) -> None:
    receipt = backend_responding("amplitude", response).send(many_events(2))
    assert (receipt.delivered, receipt.rejected, receipt.pause) == (0, (), None)
    assert receipt.retry_after == after


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        pytest.param(
            answer(400, error="Invalid field values on some events", events_with_invalid_fields={"time": [0]}),
            "HTTP 400: Invalid field values on some events (time)",
            id="a field",
        ),
        pytest.param(
            answer(400, error="anna is odd", events_with_missing_fields={"anna": [0], "event_type": [0]}),
            "HTTP 400: the event is invalid (event_type)",
            id="what may be of an event is not repeated",
        ),
        pytest.param(
            answer(400, error="?", events_with_invalid_fields=[1]), "HTTP 400: the event is invalid", id="odd"
        ),
        pytest.param(
            answer(400, error="Events silenced for device_id", silenced_events=[0]),
            "HTTP 400: Amplitude has silenced this device, and drops what it sends",
            id="silenced",
        ),
        pytest.param(
            answer(403, error="Forbidden"),
            "HTTP 403: Amplitude's firewall refuses the event, or calls from this region",
            id="firewall",
        ),
        pytest.param(
            answer(429, exceeded_daily_quota_users={"anna": 500_200}),
            "HTTP 429: this user or device has sent more events than Amplitude takes in a day",
            id="daily quota",
        ),
        pytest.param(answer(413), "HTTP 413: the event is larger than the receiver accepts", id="too large"),
    ],
)
def test_refused_event_becomes_a_dead_letter(response: httpx.Response, reason: str) -> None:
    (rejection,) = backend_responding("amplitude", response).send(many_events(1)).rejected
    assert rejection.reason == reason


@pytest.mark.parametrize("way", ["silenced", "spamming", "invalid"])
def test_one_bad_event_of_many_is_found(way: str) -> None:
    batch = many_events(64)
    fields: dict[str, Any] = {"name": ""} if way == "invalid" else {"visitor_id": "device-40"}
    batch[40] = msgspec.structs.replace(batch[40], **fields)
    fake = FakeAmplitude(is_strict=True)
    if way != "invalid":
        getattr(fake, way).add("device-40")
    receipt = backend_on(fake).send(batch)
    assert (receipt.delivered, [rejection.event_id for rejection in receipt.rejected]) == (63, [batch[40].id])
    assert fake.event_ids() == [event.id for event in batch if event is not batch[40]]


# --- limits


def test_a_call_has_1000_events_at_most() -> None:
    calls = list(AmplitudeBackend(ADDRESS, KEY).encode(many_events(2_500)))
    assert [len(call.events) for call in calls] == [1_000, 1_000, 500]


def test_a_call_has_less_than_1_mb() -> None:
    texts = {f"event_properties.t{number}": "x" * 1_000 for number in range(100)}
    batch = [msgspec.structs.replace(event, attributes=dict(texts)) for event in many_events(30)]
    calls = [call for call in AmplitudeBackend(ADDRESS, KEY).encode(batch) if isinstance(call, HttpCall)]
    assert sum(len(call.events) for call in calls) == 30
    assert all(len(call.body) <= LIMITS.bytes for call in calls)
    assert len(calls) == 4


def test_event_without_visitor_and_user_is_rejected_alone() -> None:
    batch = many_events(3)
    batch[1] = msgspec.structs.replace(batch[1], visitor_id=" ", user_id=None)
    receipt = backend_on(FakeAmplitude(is_strict=True)).send(batch)
    assert (receipt.delivered, [rejection.event_id for rejection in receipt.rejected]) == (2, [batch[1].id])


# --- all of it together


def test_session_id_is_the_time_of_its_start_and_the_user_has_traits() -> None:
    fake = FakeAmplitude(is_strict=True)
    deliver(backend_on(fake), sample_events())
    (session,) = fake.sessions()
    assert (session.session_id, session.visitor_id) == ("1769860800000", sample_events()[0].visitor_id)
    assert fake.users()["anna"]["name"] == "Anna Ünal"
    assert fake.users()["anna"]["referring_domain"] == "search.example", "what came before the login is hers, too"


@pytest.mark.parametrize("after_taking", [False, True], ids=["refused", "responses lost"])
def test_visit_through_an_app_shows_its_sessions_and_events(after_taking: bool) -> None:
    fake = FakeAmplitude(is_strict=True)
    fake.fail(0.2, seed=11, after_taking=after_taking)
    play([Twice(AmplitudeBackend(ADDRESS, KEY, transport=fake.transport()))])
    check_visit(fake)
    assert [session.properties for session in fake.sessions()] == [truth.properties for truth in TRUTH]
    page = "[Amplitude] Page Viewed"
    assert [session.names for session in fake.sessions()] == [
        (
            *("session_start", page, page, page, "Session Properties Set", "cart_add", page),
            *(page, "Exception", page, "session_end"),
        ),
        ("session_start", page, page, "session_end"),
        ("session_start", page, "session_end"),
    ]
    assert [event.name for event in fake.events() if not event.session_id] == ["Opted Out"]


def test_session_says_which_one_was_before() -> None:
    fake = FakeAmplitude(is_strict=True)
    deliver_in_parts(backend_on(fake), [7, 20])
    starts = [event for event in visit_events() if event.name == "session.start"]
    assert [session.previous_id for session in fake.sessions()] == [None, starts[0].session_key, starts[1].session_key]
