"""mParticle: addresses, keys, responses, limits, and a whole visit."""

from __future__ import annotations

import json
from base64 import b64decode

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.backends import Batch, MParticleBackend, backend_from_url
from sojourn.backends.http import HttpCall, Unsendable
from sojourn.core import events as names
from sojourn.core.events import Event, Scalar
from sojourn.testing.backend_contract import deliver, many_events, sample_events
from sojourn.testing.vendors import FakeMParticle
from tests.backends.any_events import batches as batches_of_any
from tests.backends.vendors.connected import backend_responding, check_pause, check_sample_session, check_wrong_url
from tests.backends.vendors.mparticle.samples import (
    ADDRESS,
    KEY,
    NOW,
    NOW_MS,
    OLD_AFTER_MS,
    SECRET,
    backend,
    batches,
    calls,
    event_of,
    session,
    wanted,
)
from tests.backends.vendors.played_visit import Twice, check_visit, play

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


def test_old_events_go_to_the_historical_address() -> None:
    fake = FakeMParticle(wall=lambda: NOW)
    events = [
        msgspec.structs.replace(event, time=NOW_MS - (OLD_AFTER_MS * 2 if number % 2 else 0))
        for number, event in enumerate(many_events(6))
    ]
    assert backend(fake).send(events).delivered == 6
    assert [request.path for request in fake.requests] == ["/v2/bulkevents/historical", "/v2/bulkevents"]
    assert len(fake.events()) == 6


def test_batch_that_grew_old_while_it_waited_keeps_its_id_at_the_historical_address() -> None:
    """It was divided when all of it was recent; now its first event is older than 30 days."""
    ages = (OLD_AFTER_MS + 1, OLD_AFTER_MS - 60_000)
    events = [
        msgspec.structs.replace(event, time=NOW_MS - age) for event, age in zip(many_events(2), ages, strict=True)
    ]
    fake = FakeMParticle(wall=lambda: NOW)
    receipt = backend(fake).send_batches([Batch("an-id-of-before", events)])
    assert (receipt.left, receipt.rejected) == ((), ())
    (request,) = fake.requests
    (batch,) = json.loads(request.body)
    assert (request.path, batch["source_request_id"]) == ("/v2/bulkevents/historical", "an-id-of-before")
    assert len(batch["events"]) == 2


@pytest.mark.parametrize("address", [ADDRESS, f"{ADDRESS}/", f"{ADDRESS}/v2", f"{ADDRESS}/v2/"])
def test_addresses(address: str) -> None:
    (call,) = MParticleBackend(address, KEY, SECRET, wall=lambda: NOW).encode(many_events(1))
    assert isinstance(call, HttpCall)
    assert call.url == f"{ADDRESS}/v2/events"
    assert b64decode(call.headers["authorization"].removeprefix("Basic ")) == b"FAKEKEY:FAKESECRET"


def test_backend_from_url() -> None:
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
def test_wrong_url_names_the_fix_without_the_key(url: str, says: str) -> None:
    check_wrong_url(url, says)


def test_environment_defaults_to_production() -> None:
    assert batches(*many_events(1))[0]["environment"] == "production"


# --- responses


@pytest.mark.parametrize(
    ("status", "says"),
    [
        pytest.param(200, "mParticle responds with 202", id="another service"),
        pytest.param(204, "mParticle responds with 202", id="empty success"),
        pytest.param(401, "key and secret", id="no credentials"),
        pytest.param(403, "do not belong to one input", id="wrong pair"),
        pytest.param(404, "check the URL", id="address"),
    ],
)
def test_errors_of_the_setup_pause_delivery(status: int, says: str) -> None:
    check_pause(backend_responding("mparticle", httpx.Response(status)), says)


def test_retry_after_is_respected() -> None:
    fake = FakeMParticle(is_strict=True)
    fake.fail_next(429, headers={"retry-after": "7"})
    receipt = backend(fake).send(many_events(2))
    assert (receipt.delivered, receipt.retry_after) == (0, 7.0)
    fake.fail_next(503)
    assert backend(fake).send(many_events(2)).retry_after is None


@pytest.mark.parametrize("takes_part", [False, True], ids=["all or nothing", "batch by batch"])
def test_400_bisects_down_to_the_event(takes_part: bool) -> None:
    events = [
        msgspec.structs.replace(event, session_key=session(number % 7)) for number, event in enumerate(many_events(64))
    ]
    events[40] = msgspec.structs.replace(events[40], session_key="unknown")
    fake = FakeMParticle(takes_part=takes_part)
    receipt = backend(fake).send(events)
    assert (receipt.delivered, [rejection.event_id for rejection in receipt.rejected]) == (63, [events[40].id])
    assert receipt.rejected[0].reason.startswith("HTTP 400: the batch is invalid: ")
    assert {event.id for event in fake.events()} == {event.id for event in events} - {events[40].id}


@given(body=st.binary(max_size=200))
def test_any_400_settles_the_call(body: bytes) -> None:
    receipt = backend_responding("mparticle", httpx.Response(400, content=body)).send(many_events(3))
    assert len(receipt.rejected) == 3


# --- limits


def test_a_call_has_100_batches_at_most() -> None:
    events = [
        msgspec.structs.replace(event, session_key=session(number)) for number, event in enumerate(many_events(250))
    ]
    assert [len(json.loads(call.body)) for call in calls(events)] == [100, 100, 50]


def test_batch_has_at_most_128_kb_and_call_256_kb() -> None:
    text: dict[str, Scalar] = {f"event_properties.t{number}": "x" * 4_000 for number in range(7)}
    events = [
        msgspec.structs.replace(event, attributes=text, session_key=session(number % 3))
        for number, event in enumerate(many_events(60))
    ]
    made = calls(events)
    assert all(len(call.body) <= 256_000 for call in made)
    sizes = [len(json.dumps(batch, separators=(",", ":"))) for batch in batches(*events)]
    assert all(size <= 128_000 for size in sizes)
    assert max(sizes) > 128_000 - 30_000
    fake = FakeMParticle(is_strict=True)
    assert backend(fake).send(events).delivered == 60
    assert len(fake.events()) == 60


@pytest.mark.parametrize(
    ("spare", "is_taken"), [pytest.param(0, True, id="full"), pytest.param(-1, False, id="a byte more")]
)
def test_head_of_a_batch_counts_towards_its_limit(spare: int, is_taken: bool) -> None:
    def with_text(length: int) -> Event:
        texts: dict[str, Scalar] = {f"event_properties.t{number:02}": "x" * 4_000 for number in range(31)}
        return event_of(
            "cart.add", {**texts, "service.name": "shop", "event_properties.rest": "x" * length}, user_id="anna"
        )

    rest = 128_000 - len(calls([with_text(0)])[0].body)
    fake = FakeMParticle(is_strict=True)
    assert backend(fake).send([with_text(rest - spare)]).delivered == is_taken
    assert [len(request.body) for request in fake.requests] == ([128_000] if is_taken else [])


def test_a_call_is_filled_up_to_256_kb() -> None:
    text: dict[str, Scalar] = {f"event_properties.t{number}": "x" * 4_000 for number in range(3)}
    events = [
        msgspec.structs.replace(event, attributes=text, session_key=session(number))
        for number, event in enumerate(many_events(60))
    ]
    sizes = [len(call.body) for call in calls(events)]
    assert len(sizes) == 3
    assert all(256_000 - 13_000 < size <= 256_000 for size in sizes[:-1])


def test_oversized_event_does_not_lose_the_user_of_its_batch() -> None:
    batch = [event_of(names.USER_IDENTIFY, {"user.name": "Anna"}, id="who", user_id="anna"), *many_events(3)]
    batch[1:] = [msgspec.structs.replace(event, user_id="anna") for event in batch[1:]]
    large: dict[str, Scalar] = {f"event_properties.t{number}": "x" * 4_000 for number in range(40)}
    batch[1] = msgspec.structs.replace(batch[1], attributes=large)
    fake = FakeMParticle(is_strict=True)
    receipt = backend(fake).send(batch)
    assert (receipt.delivered, [rejection.event_id for rejection in receipt.rejected]) == (3, [batch[1].id])
    assert isinstance(next(iter(backend().encode([batch[1]]))), Unsendable)
    assert fake.users() == {"anna": {"name": "Anna"}}


# --- all of it together


@given(batch=batches_of_any())
def test_every_event_sent_is_kept(batch: list[Event]) -> None:
    fake = FakeMParticle(is_strict=True)
    sender = backend(fake, heartbeats=True)
    chosen = [event for event in batch if sender.accepts(event)]
    assert deliver(sender, chosen).rejected == ()
    assert len(fake.events()) == sum(event.name != names.USER_IDENTIFY for event in chosen)


@given(seed=st.integers(0, 99), after_taking=st.booleans(), takes_part=st.booleans())
def test_session_is_whole_when_calls_fail_and_all_is_sent_twice(
    seed: int, after_taking: bool, takes_part: bool
) -> None:
    fake = FakeMParticle(takes_part=takes_part)
    fake.fail(0.2, seed=seed, after_taking=after_taking)
    sample = wanted(sample_events(), heartbeats=True)
    for _ in range(2):
        assert deliver(backend(fake, heartbeats=True), sample).delivered == len(sample)
    check_sample_session(fake)
    (shown,) = fake.sessions()
    assert shown.session_id == sample[0].session_key
    assert [event.id for event in shown.events] == [event.id for event in sample if event.name != names.USER_IDENTIFY]
    assert fake.users() == {"anna": {"name": "Anna Ünal"}}


@pytest.mark.parametrize("after_taking", [False, True], ids=["refused", "responses lost"])
def test_visit_through_an_app_shows_its_sessions_and_events(after_taking: bool) -> None:
    fake = FakeMParticle(wall=lambda: NOW)
    fake.fail(0.2, seed=11, after_taking=after_taking)
    play([Twice(backend(fake, heartbeats=True))])
    check_visit(fake)
    assert [found.properties for found in fake.sessions()] == [{"plan": "team"}, {}, {}]
    assert fake.users().keys() == {"anna", "ben"}
    devices = {found.visitor_id for found in fake.sessions()}
    assert list(fake.opted_out.items()) == [(device, True) for device in devices]
    assert [found.names for found in fake.sessions()] == [
        (
            *("session_start", "screen_view", "screen_view", "screen_view", "cart_add", "screen_view"),
            *("screen_view", "crash_report", "session_heartbeat", "screen_view", "session_end"),
        ),
        ("session_start", "screen_view", "screen_view", "session_end"),
        ("session_start", "screen_view", "session_end", "opt_out"),
    ]
