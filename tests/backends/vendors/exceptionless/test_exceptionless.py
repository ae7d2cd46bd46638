"""Exceptionless: one row per session, also with late, repeated and missing events."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.backends import ExceptionlessBackend, backend_from_url
from sojourn.backends.http import HttpCall
from sojourn.errors import SettingsError
from sojourn.testing.backend_contract import deliver, hostile_events, many_events, sample_events
from sojourn.testing.vendors import FakeExceptionless
from tests.backends.vendors.connected import backend_on, backend_responding, changed, check_pause, sample
from tests.backends.vendors.exceptionless.samples import ADDRESS, KEY, sent
from tests.backends.vendors.recorded_visit import check_truth, deliver_in_parts, visit_events

# --- responses


@pytest.mark.parametrize(
    ("status", "says"),
    [
        pytest.param(401, "the key is unknown", id="unknown key"),
        pytest.param(402, "this month's quota", id="plan used up"),
        pytest.param(404, "scheme and host only", id="address"),
    ],
)
def test_errors_of_the_setup_pause_delivery(status: int, says: str) -> None:
    check_pause(backend_responding("exceptionless", httpx.Response(status)), says)


@pytest.mark.parametrize(
    ("response", "after"),
    [
        pytest.param(httpx.Response(429), 60.0, id="throttled"),
        pytest.param(httpx.Response(429, headers={"retry-after": "7"}), 7.0, id="throttled by a proxy that says when"),
        pytest.param(httpx.Response(503), None, id="submission is disabled"),
    ],
)
def test_temporary_errors_are_retried(response: httpx.Response, after: float | None) -> None:
    receipt = backend_responding("exceptionless", response).send(many_events(2))
    assert (receipt.delivered, receipt.rejected, receipt.pause, receipt.retry_after) == (0, (), None, after)


def test_413_halves_the_call() -> None:
    def response(request: httpx.Request) -> httpx.Response:
        return httpx.Response(413 if len(json.loads(request.content)) > 10 else 202)

    backend = ExceptionlessBackend(ADDRESS, KEY, transport=httpx.MockTransport(_plain(response)))
    assert deliver(backend, many_events(40)).delivered == 40


def _plain(response: Callable[[httpx.Request], httpx.Response]) -> Callable[[httpx.Request], httpx.Response]:
    def unpack(request: httpx.Request) -> httpx.Response:
        body = request.content
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        return response(httpx.Request("POST", request.url, content=body))

    return unpack


# --- limits and forms


def test_a_call_has_50_events_at_most() -> None:
    calls = list(ExceptionlessBackend(ADDRESS, KEY).encode(many_events(120)))
    assert [len(call.events) for call in calls] == [50, 50, 20]


def test_a_call_has_200_kb_at_most() -> None:
    batch = [changed(event, text="x" * 30_000) for event in many_events(20)]
    calls = [call for call in ExceptionlessBackend(ADDRESS, KEY).encode(batch) if isinstance(call, HttpCall)]
    assert all(len(call.body) <= 200_000 for call in calls)
    assert [len(call.events) for call in calls] == [6, 6, 6, 2]


def test_hostile_values_are_well_formed() -> None:
    fake = FakeExceptionless()
    assert deliver(backend_on(fake), hostile_events()).delivered == len(hostile_events())
    assert (fake.malformed, len(fake.events())) == ([], len(hostile_events()))


def test_long_texts_are_cut_to_what_the_server_takes() -> None:
    (event,) = sent(changed(sample("log"), **{"log.body": "x" * 5_000, "log.logger": "y" * 5_000}))
    assert (len(event["message"]), len(event["source"])) == (2_000, 2_000)


def test_sessions_are_never_closed_by_a_heartbeat_call() -> None:
    for event in visit_events():
        for call in ExceptionlessBackend(ADDRESS, KEY).encode([event]):
            assert isinstance(call, HttpCall)
            assert "close=" not in call.url
            assert "session/heartbeat" not in call.url


@pytest.mark.parametrize(
    "address", [ADDRESS, f"{ADDRESS}/", f"{ADDRESS}/api/v2/events"], ids=["host", "slash", "whole path"]
)
def test_addresses(address: str) -> None:
    (call,) = ExceptionlessBackend(address, KEY).encode(many_events(1))
    assert isinstance(call, HttpCall)
    assert call.url == f"{ADDRESS}/api/v2/events"
    assert call.headers["authorization"] == f"Bearer {KEY}"


def test_backend_from_url() -> None:
    backend = backend_from_url(f"exceptionless+https://{KEY}@collector.example?name=ex&rows=0&heartbeats=0")
    assert isinstance(backend, ExceptionlessBackend)
    assert backend.name == "ex"
    assert not backend.accepts(sample("session.heartbeat"))
    assert len(list(backend.encode(sample_events()[:3]))) == 1
    with pytest.raises(SettingsError, match="one key before the host"):
        backend_from_url("exceptionless+https://a:b@collector.example")
    with pytest.raises(SettingsError, match="key is missing"):
        backend_from_url("exceptionless+https://collector.example")


# --- all of it together


@given(
    seed=st.integers(0, 999),
    cuts=st.lists(st.integers(1, 99), max_size=6),
    times=st.integers(1, 2),
    is_taken=st.booleans(),
)
def test_rows_are_right_when_calls_fail_and_all_is_sent_twice(
    seed: int, cuts: list[int], times: int, is_taken: bool
) -> None:
    fake = FakeExceptionless()
    fake.fail(0.2, seed=seed, after_taking=is_taken)
    deliver_in_parts(backend_on(fake), cuts, times=times)
    check_truth(fake.sessions())
    assert fake.malformed == []
    assert {reason for reason, _ in fake.discarded} <= {"its reference id was taken before"}
    assert fake.duplicates > 0 or times == 1


def test_job_that_closes_inactive_sessions_changes_no_final_row() -> None:
    """It runs each minute, and ends after five minutes of silence what goes on for thirty."""
    fake = FakeExceptionless()
    backend = backend_on(fake)
    for event in visit_events():
        fake.close_inactive(event.time)
        deliver(backend, [event])
    fake.close_inactive(visit_events()[-1].time + 3_600_000)
    check_truth(fake.sessions())
