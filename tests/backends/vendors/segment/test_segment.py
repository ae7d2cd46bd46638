"""Segment: where the session stands, addresses, keys, responses, and a whole visit."""

from __future__ import annotations

import json
from typing import Any

import httpx
import msgspec
import pytest

from sojourn.backends import SegmentBackend, backend_from_url
from sojourn.backends.checking import check_backend
from sojourn.backends.http import HttpCall
from sojourn.backends.spec.calls import LIMITS
from sojourn.core import events as names
from sojourn.core.events import Event
from sojourn.testing.backend_contract import deliver, many_events, sample_events
from sojourn.testing.vendors import FakeSegment
from tests.backends.vendors.connected import (
    backend_on,
    backend_responding,
    changed,
    check_pause,
    check_wrong_url,
    sample,
)
from tests.backends.vendors.played_visit import TRUTH, Twice, check_visit, play

KEY = "FakeKeyOfSegmentOf32Characters00"


def messages(*events: Event, **options: Any) -> list[dict[str, Any]]:
    calls = SegmentBackend("https://api.segment.io", KEY, heartbeats=True, **options).encode(events)
    return [message for call in calls if isinstance(call, HttpCall) for message in json.loads(call.body)["batch"]]


# --- what is peculiar to Segment; the rest is the spec's, which RudderStack's tests are about


def test_the_session_is_where_segments_libraries_put_it_for_amplitude() -> None:
    """The start in milliseconds, as a number, on every event; a manual session's own id is a property."""
    for message in messages(*sample_events()):
        assert message["integrations"] == {"All": True, "Actions Amplitude": {"session_id": 1_769_860_800_000}}
        assert {"sessionId", "sessionStart"}.isdisjoint(message["context"])
    manual = changed(sample("session.start"), {"session_id": "1234567890", "is_manual": True})
    (message,) = messages(manual)
    assert message["integrations"]["Actions Amplitude"] == {"session_id": 1_769_860_800_000}
    assert message["properties"]["session.id"] == "1234567890"


def test_traits_stand_at_the_root_and_the_channel_in_the_context() -> None:
    (message,) = messages(sample("user.identify"))
    assert (message["type"], message["userId"], message["traits"]) == ("identify", "anna", {"name": "Anna Ünal"})
    assert message["context"]["channel"] == "server"
    assert {"channel", "properties"}.isdisjoint(message)
    assert "traits" not in message["context"]


def test_times_are_the_events_own_and_nothing_says_when_the_call_was_made() -> None:
    """By `sentAt` Segment would move them."""
    (message,) = messages(sample("session.end"))
    assert message["timestamp"] == "2026-01-31T12:01:35.250Z"
    assert {"sentAt", "originalTimestamp"}.isdisjoint(message)


def test_untagging_is_not_sent() -> None:
    untagged = msgspec.structs.replace(many_events(1)[0], name=names.USER_IDENTIFY, user_id=None)
    assert not SegmentBackend("https://api.segment.io", KEY).accepts(untagged)
    assert messages(untagged) == []


# --- address and key


@pytest.mark.parametrize(
    ("address", "called"),
    [
        pytest.param("https://api.segment.io", "https://api.segment.io/v1/batch", id="United States"),
        pytest.param("https://events.eu1.segmentapis.com/", "https://events.eu1.segmentapis.com/v1/batch", id="Europe"),
        pytest.param(
            "https://events.eu1.segmentapis.com/v1", "https://events.eu1.segmentapis.com/v1/batch", id="as in its docs"
        ),
        pytest.param("https://api.segment.io/v1/batch", "https://api.segment.io/v1/batch", id="the whole path"),
    ],
)
def test_addresses(address: str, called: str) -> None:
    (call,) = SegmentBackend(address, KEY).encode(many_events(1))
    assert isinstance(call, HttpCall)
    assert call.url == called


def test_backend_from_url() -> None:
    backend = backend_from_url(f"segment+https://{KEY}@api.segment.io?name=s&site=https://shop.example/")
    assert isinstance(backend, SegmentBackend)
    assert backend.name == "s"
    (call,) = backend.encode([sample("page_view")])
    assert isinstance(call, HttpCall)
    assert b'"url":"https://shop.example/products/17"' in call.body


@pytest.mark.parametrize(
    ("url", "says"),
    [
        pytest.param("segment+https://api.segment.io", "key is missing", id="no key"),
        pytest.param("segment+https://hunter2:hunter2@api.segment.io", "there is one key", id="two keys"),
        pytest.param("segment+https://hunter2@api.segment.io?sites=x", "did you mean site", id="misspelt option"),
    ],
)
def test_wrong_url_names_the_fix_without_the_key(url: str, says: str) -> None:
    check_wrong_url(url, says)


# --- responses


def test_unknown_key_cannot_be_seen_and_check_says_so() -> None:
    fake = FakeSegment()
    backend = SegmentBackend("https://api.segment.io", "x" * 32, transport=fake.transport())
    outcome = check_backend(backend, sample_events())
    assert outcome.is_well
    assert "accepts an unknown write key" in outcome.warnings[0]
    assert (len(fake.events()), len(fake.discarded)) == (0, outcome.sent)


def test_short_key_pauses_instead_of_making_dead_letters() -> None:
    backend = SegmentBackend("https://api.segment.io", "abc123", transport=FakeSegment().transport())
    receipt = backend.send(many_events(3))
    assert (receipt.delivered, receipt.rejected) == (0, ())
    assert "the write key has fewer than 32 characters" in (receipt.pause or "")
    assert not check_backend(backend, sample_events()).warnings, "a failure says enough"


@pytest.mark.parametrize(
    ("response", "says"),
    [
        pytest.param(httpx.Response(401), "credentials are unknown", id="401"),
        pytest.param(httpx.Response(200, json={"success": False}), "Segment responds with 200 and", id="no success"),
        pytest.param(httpx.Response(200, text="ok"), "Segment responds with 200 and", id="another receiver"),
    ],
)
def test_errors_of_the_setup_pause_delivery(response: httpx.Response, says: str) -> None:
    check_pause(backend_responding("segment", response), says)


def test_too_many_calls_wait_as_long_as_segment_says() -> None:
    receipt = backend_responding("segment", httpx.Response(429, headers={"retry-after": "7"})).send(many_events(2))
    assert (receipt.delivered, receipt.rejected, receipt.retry_after) == (0, (), 7.0)


def test_400_bisects_down_to_the_event() -> None:
    batch = many_events(64)
    batch[40] = msgspec.structs.replace(batch[40], name="")  # a track without a name
    fake = FakeSegment()
    fake.is_strict = True
    receipt = backend_on(fake).send(batch)
    assert (receipt.delivered, [rejection.event_id for rejection in receipt.rejected]) == (63, [batch[40].id])
    assert [event.id for event in fake.events()] == [event.id for event in batch if event is not batch[40]]


def test_event_that_segment_would_drop_unseen_is_a_dead_letter() -> None:
    batch = many_events(3)
    batch[1] = msgspec.structs.replace(batch[1], visitor_id=" ", user_id=None)
    fake = FakeSegment()
    receipt = backend_on(fake).send(batch)
    assert (receipt.delivered, [rejection.event_id for rejection in receipt.rejected]) == (2, [batch[1].id])
    assert fake.discarded == []


def test_a_call_keeps_to_the_limits_of_segments_own_libraries() -> None:
    batch = [msgspec.structs.replace(event, attributes={"text": "x" * 20_000}) for event in many_events(60)]
    calls = [call for call in SegmentBackend("https://api.segment.io", KEY).encode(batch) if isinstance(call, HttpCall)]
    assert all(len(call.body) <= LIMITS.bytes < 475_000 for call in calls)
    assert [len(call.events) for call in SegmentBackend("https://a.example", KEY).encode(many_events(150))] == [100, 50]


# --- all of it together


def test_session_of_amplitude_and_the_users_traits() -> None:
    fake = FakeSegment()
    deliver(backend_on(fake), sample_events())
    (session,) = fake.sessions()
    assert (session.session_id, session.visitor_id) == ("1769860800000", sample_events()[0].visitor_id)
    assert fake.users() == {"anna": {"name": "Anna Ünal"}}


@pytest.mark.parametrize("after_taking", [False, True], ids=["refused", "responses lost"])
def test_visit_through_an_app_shows_its_sessions_and_events(after_taking: bool) -> None:
    fake = FakeSegment()
    fake.is_strict = True
    fake.fail(0.2, seed=11, after_taking=after_taking)
    play([Twice(SegmentBackend("https://api.segment.io", KEY, heartbeats=True, transport=fake.transport()))])
    check_visit(fake)
    assert fake.discarded == []
    assert [session.properties for session in fake.sessions()] == [truth.properties for truth in TRUTH]
    assert fake.users().keys() == {"anna", "ben"}
    assert [session.names for session in fake.sessions()][1:] == [
        ("Session Started", "page", "page", "Session Ended"),
        ("Session Started", "identify", "page", "Opted Out", "Session Ended"),
    ]
