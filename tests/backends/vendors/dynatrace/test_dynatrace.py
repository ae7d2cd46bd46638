"""Dynatrace: flat business events, tokens, and a 400 that accepts the valid events."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.backends import DynatraceBackend, backend_from_url
from sojourn.backends.http import HttpCall
from sojourn.errors import SettingsError
from sojourn.testing.backend_contract import many_events
from sojourn.testing.vendors import FakeDynatrace
from tests.backends.vendors.connected import backend_on, backend_responding, changed, check_pause

ADDRESS = "https://abc12345.live.dynatrace.com"
TOKEN = "dt0c01.FAKE.TOKEN"


def test_values_are_flat_and_keep_their_types() -> None:
    fake = FakeDynatrace()
    event = changed(many_events(1)[0], **{"event_properties.gift": True, "event_properties.price": 3.5})
    backend_on(fake).send([event])
    (taken,) = fake.events()
    assert taken.attributes == event.attributes
    assert type(taken.attributes["event_properties.gift"]) is bool


@pytest.mark.parametrize(
    ("address", "called"),
    [
        pytest.param("https://abc.live.dynatrace.com", "https://abc.live.dynatrace.com{}", id="environment"),
        pytest.param("https://ag.example:9999/e/abc/", "https://ag.example:9999/e/abc{}", id="ActiveGate"),
        pytest.param(
            "https://abc.apps.dynatrace.com/platform/classic/environment-api/v2/bizevents/ingest",
            "https://abc.apps.dynatrace.com/platform/classic/environment-api/v2/bizevents/ingest",
            id="the platform's whole path",
        ),
        pytest.param(
            "https://abc.apps.dynatrace.com",
            "https://abc.apps.dynatrace.com/platform/classic/environment-api/v2/bizevents/ingest",
            id="platform",
        ),
        pytest.param("https://x.example/api/v2/bizevents/ingest", "https://x.example{}", id="the whole path"),
    ],
)
def test_addresses(address: str, called: str) -> None:
    (call,) = DynatraceBackend(address, TOKEN).encode(many_events(1))
    assert isinstance(call, HttpCall)
    assert call.url == called.format("/api/v2/bizevents/ingest")


@pytest.mark.parametrize(
    ("token", "header"),
    [
        pytest.param("dt0c01.A.B", "Api-Token dt0c01.A.B", id="API token"),
        pytest.param("dt0s16.A.B", "Bearer dt0s16.A.B", id="platform token"),
        pytest.param(lambda: "eyJ.x.y", "Bearer eyJ.x.y", id="a function"),
    ],
)
def test_tokens(token: str | Callable[[], str], header: str) -> None:
    (call,) = DynatraceBackend(ADDRESS, token).encode(many_events(1))
    assert isinstance(call, HttpCall)
    assert call.headers["authorization"] == header


def test_token_function_is_called_for_every_call() -> None:
    tokens = iter(["one", "two"])
    seen: list[str] = []

    def take(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(202)

    DynatraceBackend(ADDRESS, lambda: next(tokens), transport=httpx.MockTransport(take)).send(many_events(401))
    assert seen == ["Bearer one", "Bearer two"]


def test_backend_from_url() -> None:
    backend = backend_from_url(f"dynatrace+https://{TOKEN}@abc.live.dynatrace.com?name=dt&gzip=1")
    assert isinstance(backend, DynatraceBackend)
    (call,) = backend.encode(many_events(1))
    assert isinstance(call, HttpCall)
    assert (backend.name, call.has_gzip) == ("dt", True)
    with pytest.raises(SettingsError, match="one token before the host"):
        backend_from_url("dynatrace+https://a:b@abc.live.dynatrace.com")
    with pytest.raises(SettingsError, match="token is missing"):
        backend_from_url("dynatrace+https://abc.live.dynatrace.com")


# --- responses


def test_400_rejects_invalid_events_and_never_resends_valid_ones() -> None:
    batch = many_events(5)
    fake = FakeDynatrace()
    backend = backend_on(fake)
    bad = msgspec.structs.replace(batch[2], id="")
    receipt = backend.send([*batch[:2], bad, *batch[3:]])
    assert receipt.delivered == 4
    assert [(rejection.event_id, rejection.status) for rejection in receipt.rejected] == [("", 400)]
    assert "Required attribute id" in receipt.rejected[0].reason
    assert [event.id for event in fake.events()] == [event.id for event in (*batch[:2], *batch[3:])]
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    ("errors", "rejected"),
    [
        pytest.param([{"index": 1, "message": "odd"}], [1], id="by index"),
        pytest.param([{"id": "many-000002", "index": 0}], [2], id="by id"),
        pytest.param([{"index": 0}, {"index": 0}, {"index": 4}], [0, 4], id="twice"),
        pytest.param([{"index": 77}, "x", {"index": "1"}, {"index": 3}], [3], id="and what makes no sense"),
    ],
)
def test_400_names_invalid_events_by_id_or_index(errors: list[object], rejected: list[int]) -> None:
    batch = many_events(5)
    calls: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(400, json={"errors": errors})

    receipt = backend_responding("dynatrace", take).send(batch)
    assert [rejection.event_id for rejection in receipt.rejected] == [batch[index].id for index in rejected]
    assert receipt.delivered == 5 - len(rejected)
    assert len(calls) == 1


def test_truncated_400_still_settles_the_call() -> None:
    errors = [{"index": index, "message": "m" * 4000} for index in range(400)]
    calls: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(400, json={"errors": errors})

    receipt = backend_responding("dynatrace", take).send(many_events(400))
    assert receipt.delivered + len(receipt.rejected) == 400
    assert len(receipt.rejected) > 200
    assert len(calls) == 1


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(httpx.Response(400, json={"error": {"code": 400, "message": "Could not map JSON"}}), id="whole"),
        pytest.param(httpx.Response(400, text="<html>"), id="not Dynatrace's"),
        pytest.param(httpx.Response(400, json={"errors": []}), id="no errors"),
        pytest.param(httpx.Response(400, json=[]), id="a list"),
    ],
)
def test_400_about_the_call_bisects_down_to_the_event(response: httpx.Response) -> None:
    batch = many_events(4)

    def take(request: httpx.Request) -> httpx.Response:
        return response if batch[1].id.encode() in request.content else httpx.Response(202)

    receipt = backend_responding("dynatrace", take).send(batch)
    assert (receipt.delivered, [rejection.event_id for rejection in receipt.rejected]) == (3, [batch[1].id])


@given(body=st.binary(max_size=200))
def test_any_400_settles_the_call(body: bytes) -> None:
    receipt = backend_responding("dynatrace", httpx.Response(400, content=body)).send(many_events(3))
    assert receipt.delivered + len(receipt.rejected) == 3


@pytest.mark.parametrize(
    ("status", "says"),
    [
        pytest.param(401, "the token is unknown", id="unknown token"),
        pytest.param(403, "lacks the scope bizevents.ingest", id="scope"),
        pytest.param(404, "check the URL", id="address"),
    ],
)
def test_errors_of_the_setup_pause_delivery(status: int, says: str) -> None:
    check_pause(backend_responding("dynatrace", httpx.Response(status)), says)


# --- limits


def test_a_call_has_400_events_at_most() -> None:
    calls = list(DynatraceBackend(ADDRESS, TOKEN).encode(many_events(1000)))
    assert [len(call.events) for call in calls] == [400, 400, 200]


def test_a_call_has_5_mb_at_most() -> None:
    batch = [changed(event, text="x" * 31_000) for event in many_events(400)]
    calls = [call for call in DynatraceBackend(ADDRESS, TOKEN).encode(batch) if isinstance(call, HttpCall)]
    assert all(len(call.body) <= 5_000_000 for call in calls)
    assert [len(call.events) for call in calls] == [159, 159, 82]


# --- all of it together
