"""Google Analytics: addresses, keys, a success that proves nothing, the validation server, and a whole visit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from sojourn.backends import GA4Backend, backend_from_url
from sojourn.backends.checking import check_backend, check_events
from sojourn.backends.http import HttpCall
from sojourn.testing.backend_contract import many_events
from sojourn.testing.vendors import FakeGA4
from tests.backends.vendors.connected import backend_on, backend_responding, check_wrong_url
from tests.backends.vendors.ga4.samples import ADDRESS, KEY, SECRET
from tests.backends.vendors.played_visit import TRUTH, Twice, check_visit, play


def only_call(backend: GA4Backend) -> HttpCall:
    (call,) = backend.encode(many_events(1))
    assert isinstance(call, HttpCall)
    return call


@pytest.mark.parametrize(
    ("address", "host"),
    [
        pytest.param(ADDRESS, ADDRESS, id="host"),
        pytest.param(f"{ADDRESS}/mp/collect", ADDRESS, id="the whole path"),
        pytest.param("https://region1.google-analytics.com/", "https://region1.google-analytics.com", id="EU"),
    ],
)
def test_addresses(address: str, host: str) -> None:
    call = only_call(GA4Backend(address, "G-1", "a&b"))
    assert call.url == f"{host}/mp/collect?measurement_id=G-1&api_secret=a%26b"
    assert "a%26b" not in repr(call)


def test_backend_from_url() -> None:
    backend = backend_from_url(f"ga4+https://{KEY}:{SECRET}@www.google-analytics.com?site=https://shop.example&ads=1")
    assert isinstance(backend, GA4Backend)
    assert b'"GRANTED"' in only_call(backend).body
    assert (backend.oldest_accepted, backend.is_compressing) == (timedelta(hours=72), False)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        pytest.param("ga4+https://www.google-analytics.com", "measurement id is missing", id="no keys"),
        pytest.param("ga4+https://G-1@www.google-analytics.com", "secret is missing", id="no secret"),
        pytest.param("ga4+https://hunter2:hunter2@a.example?ad=1", "did you mean ads", id="misspelt option"),
    ],
)
def test_wrong_url_names_the_fix_without_the_keys(url: str, says: str) -> None:
    check_wrong_url(url, says)


# --- responses


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_errors_of_what_is_in_between_are_retried(status: int) -> None:
    receipt = backend_responding("ga4", httpx.Response(status)).send(many_events(2))
    assert (receipt.delivered, receipt.rejected, receipt.pause) == (0, (), None)


def test_a_wrong_secret_looks_like_a_success() -> None:
    fake = FakeGA4(is_strict=True)
    backend = GA4Backend(ADDRESS, KEY, "other", transport=fake.transport())
    assert backend.send(many_events(2)).delivered == 2
    assert (fake.counted, fake.discarded) == ([], ["unknown measurement_id or api_secret"])


# --- sojourn check


def validated(*messages: dict[str, Any], status: int = 200) -> Any:
    """A backend whose validation server finds this, and whose server accepts anything."""

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/debug/mp/collect":
            assert b'"validation_behavior":"ENFORCE_RECOMMENDATIONS"' in request.content
            return httpx.Response(status, json={"validationMessages": list(messages)})
        assert b"validation_behavior" not in request.content, "Google advises against it"
        return httpx.Response(204)

    return backend_responding("ga4", respond)


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        pytest.param(
            {"fieldPath": "events", "description": "Event has invalid name [_x].", "validationCode": "NAME_INVALID"},
            "NAME_INVALID: Event has invalid name [_x].",
            id="a message",
        ),
        pytest.param({"validationCode": "VALUE_INVALID", "description": "a\nb"}, "VALUE_INVALID", id="odd characters"),
        pytest.param({"validationCode": "N", "description": "x" * 999}, "N: " + "x" * 197, id="a long one"),
    ],
)
def test_check_reports_what_the_validation_server_finds(message: dict[str, str], problem: str) -> None:
    result = check_backend(validated(message, message), check_events(1_769_860_800_000, bytes(16)))
    assert (result.taken, result.problem) == (3, problem)


def test_check_says_that_a_success_proves_no_key() -> None:
    result = check_backend(validated(), check_events(1_769_860_800_000, bytes(16)))
    assert result.is_well
    assert "look for the test session under Realtime" in " ".join(result.warnings)


def test_check_says_when_the_validation_server_cannot_be_asked() -> None:
    result = check_backend(validated(status=503), check_events(1_769_860_800_000, bytes(16)))
    assert "the validation server cannot be asked: " in result.problem
    assert "HTTP 503" in result.problem


def test_check_needs_an_answer_of_the_validation_server() -> None:
    backend = backend_responding("ga4", httpx.Response(204))
    assert 'responds with {"validationMessages": [...]}' in str(backend.problems_of(many_events(1)))


def test_the_validation_server_keeps_nothing() -> None:
    fake = FakeGA4(is_strict=True)
    assert backend_on(fake).problems_of(many_events(30)) == []
    assert fake.counted == []


# --- limits


def test_a_call_has_25_events_of_one_client() -> None:
    batch = many_events(60)
    calls = [call for call in GA4Backend(ADDRESS, KEY, SECRET).encode(batch) if isinstance(call, HttpCall)]
    assert [len(call.events) for call in calls] == [25, 25, 10]


def test_a_call_is_smaller_than_130_kb() -> None:
    texts = {f"event_properties.{'t' * 30}{number}": "ü" * 100 for number in range(25)}
    context = {"user_agent.original": "ü" * 5_000}
    batch = [msgspec.structs.replace(event, attributes=texts, context=context) for event in many_events(25)]
    calls = [call for call in GA4Backend(ADDRESS, KEY, SECRET).encode(batch) if isinstance(call, HttpCall)]
    assert all(len(call.body) < 130_000 for call in calls)
    assert len(calls) == 2


# --- all of it together


def check_visit_at_google(fake: FakeGA4) -> None:
    check_visit(fake)
    assert [list(session.properties) for session in fake.sessions()] == [["session_properties_plan"], [], []]
    assert len({event.visitor_id for event in fake.counted}) == 1


@pytest.mark.parametrize("rate", [0.0, 0.2], ids=["all is well", "a fifth fails"])
def test_engagement_of_each_session_is_its_duration(rate: float) -> None:
    """And one millisecond, that of the start."""
    fake = FakeGA4(is_strict=True)
    fake.fail(rate, seed=8)
    play([GA4Backend(ADDRESS, KEY, SECRET, transport=fake.transport())])
    check_visit_at_google(fake)
    assert fake.duplicates == 0
    assert list(fake.engagement_ms().values()) == [truth.duration_ms + 1 for truth in TRUTH]


def test_lost_responses_count_twice_but_make_no_session_and_no_user() -> None:
    """Google has nothing to recognise an event by that comes again. Its sessions and users are those of ids."""
    fake = FakeGA4(is_strict=True)
    fake.fail(0.2, seed=8, after_taking=True)
    play([Twice(GA4Backend(ADDRESS, KEY, SECRET, transport=fake.transport()))])
    check_visit_at_google(fake)
    assert fake.duplicates > 0
    assert len(fake.counted) == len(fake.events()) + fake.duplicates
    assert sum(fake.engagement_ms().values()) > sum(truth.duration_ms + 1 for truth in TRUTH)
    assert {event.user_id for event in fake.counted} == {None, "anna", "ben"}
