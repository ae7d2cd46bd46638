"""RudderStack: addresses, keys, responses, limits, and a whole visit."""

from __future__ import annotations

import json

import httpx
import msgspec
import pytest
from hypothesis import given

from sojourn.backends import RudderStackBackend, backend_from_url
from sojourn.backends.http import HttpCall
from sojourn.backends.spec.calls import EVENT_BYTES, LIMITS
from sojourn.core.events import Event, Scalar
from sojourn.pipeline.record.row_events import MAX_EVENT_BYTES, fitted
from sojourn.testing.backend_contract import deliver, many_events, sample_events
from sojourn.testing.vendors import FakeRudderStack
from tests.backends.any_events import batches as batches_of_any
from tests.backends.vendors.connected import backend_on, backend_responding, check_pause, check_wrong_url, sample
from tests.backends.vendors.played_visit import TRUTH, Twice, check_visit, play
from tests.backends.vendors.rudderstack.samples import ADDRESS, KEY, messages

# --- filters


@pytest.mark.parametrize(
    ("address", "called"),
    [
        pytest.param(ADDRESS, f"{ADDRESS}/v1/batch", id="data plane"),
        pytest.param(f"{ADDRESS}/", f"{ADDRESS}/v1/batch", id="slash"),
        pytest.param(f"{ADDRESS}/v1/batch", f"{ADDRESS}/v1/batch", id="the whole path"),
        pytest.param("http://127.0.0.1:8080/rudder", "http://127.0.0.1:8080/rudder/v1/batch", id="behind a proxy"),
    ],
)
def test_addresses(address: str, called: str) -> None:
    (call,) = RudderStackBackend(address, KEY).encode(many_events(1))
    assert isinstance(call, HttpCall)
    assert call.url == called


def test_the_key_is_a_user_without_a_password() -> None:
    (call,) = RudderStackBackend(ADDRESS, "WK").encode(many_events(1))
    assert isinstance(call, HttpCall)
    assert call.headers["authorization"] == "Basic V0s6"


def test_backend_from_url() -> None:
    backend = backend_from_url(
        f"rudderstack+{ADDRESS.replace('://', '://WK@')}?name=rs&gzip=0&site=https://shop.example"
    )
    assert isinstance(backend, RudderStackBackend)
    (call,) = backend.encode(many_events(1))
    assert isinstance(call, HttpCall)
    assert (backend.name, call.has_gzip, call.url) == ("rs", False, f"{ADDRESS}/v1/batch")
    (page,) = backend.encode([sample("page_view")])
    assert isinstance(page, HttpCall)
    assert b"https://shop.example/products/17" in page.body


@pytest.mark.parametrize(
    ("url", "says"),
    [
        pytest.param("rudderstack+https://hunter2:hunter2@dp.example", "there is one key", id="two keys"),
        pytest.param("rudderstack+https://dp.example", "key is missing", id="no key"),
        pytest.param("rudderstack+https://hunter2@dp.example?gzpi=0", "did you mean gzip", id="misspelt option"),
        pytest.param("rudderstack+https://hunter2@dp.example?gzip=x", "neither true nor false", id="no flag"),
    ],
)
def test_wrong_url_names_the_fix_without_the_key(url: str, says: str) -> None:
    check_wrong_url(url, says)


# --- responses


@pytest.mark.parametrize(
    ("response", "says"),
    [
        pytest.param(httpx.Response(401, text="invalid write key\n"), "the write key is unknown", id="unknown key"),
        pytest.param(httpx.Response(404, text="source is disabled\n"), "the source is disabled", id="switched off"),
        pytest.param(httpx.Response(404, text="404 page not found\n"), "check the URL", id="address"),
        pytest.param(
            httpx.Response(200, text="\n<!doctype html>"),
            "with a web page, but a data plane responds with",
            id="a web page",
        ),
    ],
)
def test_errors_of_the_setup_pause_delivery(response: httpx.Response, says: str) -> None:
    check_pause(backend_responding("rudderstack", response), says)


@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_temporary_errors_are_retried(status: int) -> None:
    receipt = backend_responding("rudderstack", httpx.Response(status, text="max requests limit reached\n")).send(
        many_events(2)
    )
    assert (receipt.delivered, receipt.rejected, receipt.pause) == (0, (), None)


def test_400_bisects_down_to_the_event() -> None:
    batch = many_events(64)
    batch[40] = msgspec.structs.replace(batch[40], time=-1, name="")  # a track without a name
    fake = FakeRudderStack(is_strict=True)
    receipt = backend_on(fake).send(batch)
    assert (receipt.delivered, [rejection.event_id for rejection in receipt.rejected]) == (63, [batch[40].id])
    assert receipt.rejected[0].reason == "HTTP 400: event is not a valid rudder event"
    assert [event.id for event in fake.events()] == [event.id for event in batch if event is not batch[40]]


def test_unknown_error_texts_are_not_repeated() -> None:
    (rejection,) = (
        backend_responding("rudderstack", httpx.Response(400, text="no such user anna")).send(many_events(1)).rejected
    )
    assert "anna" not in rejection.reason


# --- limits


def test_a_call_has_100_events_at_most() -> None:
    calls = list(RudderStackBackend(ADDRESS, KEY).encode(many_events(250)))
    assert [len(call.events) for call in calls] == [100, 100, 50]


def test_a_call_has_450_kb_at_most() -> None:
    batch = [msgspec.structs.replace(event, attributes={"text": "x" * 20_000}) for event in many_events(60)]
    calls = [call for call in RudderStackBackend(ADDRESS, KEY).encode(batch) if isinstance(call, HttpCall)]
    assert [len(call.events) for call in calls] == [22, 22, 16]
    assert all(len(call.body) <= LIMITS.bytes for call in calls)


@pytest.mark.parametrize(("spare", "is_taken"), [pytest.param(0, True, id="32 KB"), pytest.param(-1, False, id="more")])
def test_event_beyond_32_kb_is_rejected_alone(spare: int, is_taken: bool) -> None:
    batch = many_events(3)
    rest = len(json.dumps(messages(batch[1])[0], separators=(",", ":"))) + len(',"t":""')
    batch[1] = msgspec.structs.replace(
        batch[1], attributes={**batch[1].attributes, "t": "x" * (EVENT_BYTES - rest - spare)}
    )
    fake = FakeRudderStack(is_strict=True)
    receipt = backend_on(fake).send(batch)
    assert receipt.delivered == (3 if is_taken else 2)
    assert [event.id for event in fake.events()] == [event.id for event in batch if is_taken or event is not batch[1]]


def test_largest_event_of_sojourn_fits() -> None:
    attributes: dict[str, Scalar] = {f"event_properties.text_{n}": "\u00fc" * 1_000 for n in range(50)}
    attributes |= {"url.path": "/" + "p" * 500, "url.query": "utm_source=" + "s" * 200, "user.id": "u" * 100}
    assert len(msgspec.json.encode(attributes)) > MAX_EVENT_BYTES
    event = msgspec.structs.replace(many_events(1)[0], attributes=fitted(attributes), user_id="u" * 100)
    (call,) = RudderStackBackend(ADDRESS, KEY).encode([event])
    assert isinstance(call, HttpCall)


def test_event_without_visitor_and_user_is_rejected_alone() -> None:
    batch = many_events(3)
    batch[1] = msgspec.structs.replace(batch[1], visitor_id=" ", user_id=None)
    fake = FakeRudderStack(is_strict=True)
    receipt = backend_on(fake).send(batch)
    assert (receipt.delivered, [rejection.event_id for rejection in receipt.rejected]) == (2, [batch[1].id])
    assert [request.status for request in fake.requests] == [200]


# --- all of it together


@given(batch=batches_of_any())
def test_every_event_sent_is_kept(batch: list[Event]) -> None:
    fake = FakeRudderStack(is_strict=True)
    sender = RudderStackBackend(ADDRESS, KEY, heartbeats=True, transport=fake.transport())
    chosen = [event for event in batch if sender.accepts(event)]
    assert deliver(sender, chosen).rejected == ()
    assert len(fake.events()) == len(chosen)


def test_session_id_is_the_time_of_its_start_and_the_user_has_traits() -> None:
    fake = FakeRudderStack(is_strict=True)
    deliver(backend_on(fake), sample_events())
    (session,) = fake.sessions()
    assert (session.session_id, session.visitor_id) == ("1769860800000", sample_events()[0].visitor_id)
    assert fake.users() == {"anna": {"name": "Anna Ünal"}}


@pytest.mark.parametrize("after_taking", [False, True], ids=["refused", "responses lost"])
def test_visit_through_an_app_shows_its_sessions_and_events(after_taking: bool) -> None:
    fake = FakeRudderStack(is_strict=True)
    fake.fail(0.2, seed=11, after_taking=after_taking)
    play([Twice(RudderStackBackend(ADDRESS, KEY, heartbeats=True, transport=fake.transport()))])
    check_visit(fake)
    assert [session.properties for session in fake.sessions()] == [truth.properties for truth in TRUTH]
    assert fake.users().keys() == {"anna", "ben"}
    assert [session.names for session in fake.sessions()] == [
        (
            *("Session Started", "page", "page", "identify", "page", "Session Properties Set", "cart_add", "page"),
            *("page", "Exception", "Session Heartbeat", "page", "Session Ended"),
        ),
        ("Session Started", "page", "page", "Session Ended"),
        ("Session Started", "identify", "page", "Opted Out", "Session Ended"),
    ]
