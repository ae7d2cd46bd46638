"""PostHog: addresses, responses, limits; sessions by UUIDv7, people by login."""

from __future__ import annotations

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.backends import PostHogBackend, backend_from_url
from sojourn.backends.http import HttpCall
from sojourn.errors import SettingsError
from sojourn.testing.backend_contract import many_events
from sojourn.testing.vendors import FakePostHog
from tests.backends.vendors.connected import backend_on, backend_responding, changed, check_pause, sample
from tests.backends.vendors.posthog.samples import ADDRESS, KEY
from tests.backends.vendors.recorded_visit import check_truth, deliver_in_parts, visit_events

SENT_AT = 1_769_860_900.0


# --- responses


@pytest.mark.parametrize(
    ("response", "says"),
    [
        pytest.param(httpx.Response(401, text="API key is not valid"), "begins with phc_", id="unknown key"),
        pytest.param(httpx.Response(404), "check the URL", id="address"),
        pytest.param(
            httpx.Response(200, json={"status": "Ok", "quota_limited": ["events"]}), "billing page", id="quota"
        ),
    ],
)
def test_errors_of_the_setup_pause_delivery(response: httpx.Response, says: str) -> None:
    check_pause(backend_responding("posthog", response), says)


@pytest.mark.parametrize(
    "body",
    [
        b'{"status":"Ok"}',
        b'{"status":1}',
        b'{"status":"Ok","quota_limited":[]}',
        b'{"status":1,"quota_limited":["recordings"]}',
    ],
)
def test_quota_of_recordings_does_not_stop_events(body: bytes) -> None:
    assert backend_responding("posthog", httpx.Response(200, content=body)).send(many_events(2)).delivered == 2


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_temporary_errors_are_retried(status: int) -> None:
    receipt = backend_responding("posthog", httpx.Response(status)).send(many_events(2))
    assert (receipt.delivered, receipt.rejected, receipt.pause) == (0, (), None)


def test_400_bisects_down_to_the_event() -> None:
    batch = many_events(8)
    bad = msgspec.structs.replace(batch[5], name="")
    fake = FakePostHog(is_strict=True)
    receipt = backend_on(fake).send([*batch[:5], bad, *batch[6:]])
    assert (receipt.delivered, [rejection.event_id for rejection in receipt.rejected]) == (7, [bad.id])


# --- limits and forms


def test_a_call_has_5_mb_at_most() -> None:
    batch = [changed(event, text="x" * 31_000) for event in many_events(300)]
    calls = [call for call in PostHogBackend(ADDRESS, KEY).encode(batch) if isinstance(call, HttpCall)]
    assert all(len(call.body) <= 5 * 1024 * 1024 for call in calls)
    assert [len(call.events) for call in calls] == [166, 134]


@pytest.mark.parametrize(
    "address", [ADDRESS, f"{ADDRESS}/", f"{ADDRESS}/batch/", f"{ADDRESS}/batch"], ids=["host", "slash", "path", "bare"]
)
def test_addresses(address: str) -> None:
    (call,) = PostHogBackend(address, KEY).encode(many_events(1))
    assert isinstance(call, HttpCall)
    assert call.url == f"{ADDRESS}/batch/"


def test_backend_from_url() -> None:
    backend = backend_from_url(f"posthog+https://{KEY}@eu.i.posthog.com?name=ph&site=https://shop.example")
    assert isinstance(backend, PostHogBackend)
    (call,) = backend.encode([sample("page_view")])
    assert isinstance(call, HttpCall)
    assert backend.name == "ph"
    assert b"https://shop.example/products/17" in call.body


@pytest.mark.parametrize(
    ("url", "says"),
    [
        pytest.param("posthog+https://a:b@eu.i.posthog.com", "one key before the host", id="two keys"),
        pytest.param("posthog+https://eu.i.posthog.com", "key is missing", id="no key"),
        pytest.param("posthog+https://phx_secret@eu.i.posthog.com", "personal", id="personal key"),
        pytest.param(f"posthog+https://{KEY}@eu.i.posthog.com?site=shop", "site", id="site"),
    ],
)
def test_wrong_url_names_the_fix_without_the_key(url: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        backend_from_url(url)
    assert "phx_secret" not in str(caught.value)
    assert KEY not in str(caught.value)


# --- all of it together


@given(
    seed=st.integers(0, 999),
    cuts=st.lists(st.integers(1, 99), max_size=6),
    times=st.integers(1, 2),
    is_taken=st.booleans(),
)
def test_sessions_and_people_are_right_when_calls_fail_and_all_is_sent_twice(
    seed: int, cuts: list[int], times: int, is_taken: bool
) -> None:
    fake = FakePostHog(is_strict=True)
    fake.fail(0.2, seed=seed, after_taking=is_taken)
    deliver_in_parts(backend_on(fake), cuts, times=times)
    check_truth(fake.sessions())
    assert fake.people.profile("anna") == {"name": "Anna", "team": "blue"}
    assert fake.people.profile("ben") == {}
    assert fake.people.user_of(visit_events()[0].visitor_id) == "anna"
    assert fake.duplicates > 0 or times == 1
