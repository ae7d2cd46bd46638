"""Google Analytics: names and parameters that it takes, the engagement since the event before, and what a call says once."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from sojourn.backends import GA4Backend
from sojourn.backends.vendors.ga4.events import MOST_PARAMETERS, client_id
from sojourn.backends.vendors.ga4.names import RESERVED_EVENTS
from sojourn.core import events as names
from sojourn.core.events import Scalar
from sojourn.testing.backend_contract import many_events
from tests.backends.vendors.ga4.samples import ADDRESS, KEY, SECRET, bodies, body, encoded

STARTED_AT = 1_769_860_800_000


# --- the session


def test_session_is_the_time_of_its_start_and_time_is_in_microseconds() -> None:
    event = many_events(1)[0]
    found = encoded("cart.add")
    assert (found["params"]["session_id"], found["timestamp_micros"]) == (STARTED_AT, STARTED_AT * 1000)
    assert (found["params"]["event_id"], found["params"]["session_uuid"]) == (event.id, event.session_key)
    assert "session_name" not in found["params"]
    manual = encoded("cart.add", session_id="checkout-4711", is_manual=True)["params"]
    assert (manual["session_id"], manual["session_name"]) == (STARTED_AT, "checkout-4711")


@pytest.mark.parametrize(
    ("name", "elapsed", "engagement"),
    [
        pytest.param(names.SESSION_START, 0, 1, id="a start counts a millisecond, so that somebody was active"),
        pytest.param(names.PAGE_VIEW, 7_000, 7_000, id="since the event before"),
        pytest.param(names.SESSION_END, 95_000, 95_000, id="up to the last activity"),
        pytest.param("cart.add", None, 0, id="unknown"),
    ],
)
def test_engagement_is_the_time_since_the_event_before(name: str, elapsed: int | None, engagement: int) -> None:
    assert encoded(name, elapsed_ms=elapsed)["params"]["engagement_time_msec"] == engagement


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        pytest.param(names.CONNECTION_END, {}, id="the end of a socket"),
        pytest.param(names.OPT_OUT, {}, id="an opt-out"),
        pytest.param("cart.add", {"session.late": True}, id="a late event"),
    ],
)
def test_what_is_no_activity_has_no_session(name: str, attributes: dict[str, Scalar]) -> None:
    assert encoded(name, attributes)["params"].keys().isdisjoint({"session_id", "engagement_time_msec"})


# --- names


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param(names.SESSION_START, "session_started", id="start"),
        pytest.param(names.SESSION_END, "session_ended", id="end"),
        pytest.param(names.PAGE_VIEW, "page_view", id="page"),
        pytest.param(names.SESSION_HEARTBEAT, "session_heartbeat", id="heartbeat"),
        pytest.param(names.EXCEPTION, "exception", id="exception"),
        pytest.param(names.OPT_OUT, "opted_out", id="opt-out"),
        pytest.param("purchase", "purchase", id="one of Google's own"),
        pytest.param("cart.add", "cart_add", id="a point"),
        pytest.param("Größe geändert", "Gr__e_ge_ndert", id="other letters"),
        pytest.param("7 days", "event_7_days", id="begins with a digit"),
        pytest.param("x" * 50, "x" * 40, id="long"),
        pytest.param("session_ended", "event_session_ended", id="one of ours"),
        pytest.param("ga_thing", "event_ga_thing", id="a reserved start"),
        *(pytest.param(name, f"event_{name}"[:40], id=name) for name in sorted(RESERVED_EVENTS)),
    ],
)
def test_names_of_events(name: str, shown: str) -> None:
    assert encoded(name)["name"] == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("event_properties.sku", "sku", id="tracked"),
        pytest.param("event_properties.unit price", "unit_price", id="a space"),
        pytest.param("event_properties.session_id", "event_session_id", id="tracked, as if it were the session"),
        pytest.param("event_properties.session_end_reason", "event_session_end_reason", id="tracked, as if of the end"),
        pytest.param("event_properties.sessions", "sessions", id="tracked, and only alike"),
        pytest.param("event_properties.page_title", "event_page_title", id="tracked, as if it were the page"),
        pytest.param("event_properties._x", "event__x", id="a reserved start"),
        pytest.param("session.end_reason", "session_end_reason", id="of the session"),
        pytest.param("session_properties.plan", "session_properties_plan", id="a session's property"),
        pytest.param("exception.type", "description", id="an exception, as Google names it"),
    ],
)
def test_names_of_parameters(name: str, shown: str) -> None:
    assert encoded("cart.add", {name: "v"})["params"][shown] == "v"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("x" * 200, "x" * 100, id="a long text"),
        pytest.param(True, "true", id="a flag"),
        pytest.param(3.5, 3.5, id="a number"),
        pytest.param("", None, id="nothing"),
        pytest.param(float("nan"), None, id="not a number"),
    ],
)
def test_values(value: Scalar, shown: object) -> None:
    assert encoded("cart.add", {"event_properties.value": value})["params"].get("value") == shown


def test_an_event_has_25_parameters_the_important_ones_first() -> None:
    many: dict[str, Scalar] = {f"service.x{number}": number for number in range(30)}
    many |= {f"session_properties.p{number}": number for number in range(30)}
    many |= {"event_properties.sku": "A-17", "session.end_reason": "idle_timeout"}
    params = encoded(names.SESSION_END, many, elapsed_ms=5)["params"]
    assert len(params) == MOST_PARAMETERS
    assert {"session_id", "event_id", "sku", "session_end_reason"} <= params.keys()
    assert not any(name.startswith("service") for name in params)


def test_page_has_its_address_where_the_site_is_named() -> None:
    attributes: dict[str, Scalar] = {"url.path": "/a/7", "url.query": "utm_source=x", "http.route": "/a/{id}"}
    params = encoded(names.PAGE_VIEW, attributes, site="https://shop.example/")["params"]
    assert params["page_location"] == "https://shop.example/a/7?utm_source=x"
    assert params["page_title"] == "/a/{id}"
    assert encoded(names.PAGE_VIEW, attributes)["params"]["page_location"] == "/a/7?utm_source=x"
    long = encoded(names.PAGE_VIEW, {"url.path": "/" + "p" * 3_000})["params"]
    assert (len(long["page_location"]), len(long["page_title"])) == (1_000, 300)


def test_only_the_first_page_has_the_referrer_of_the_session() -> None:
    landing: dict[str, Scalar] = {"http.request.header.referer": "https://search.example/results"}
    found = [
        encoded(names.PAGE_VIEW, {"url.path": "/"}, time=STARTED_AT + late, context=landing)["params"]
        for late in (0, 5_000)
    ]
    assert [params.get("page_referrer") for params in found] == ["https://search.example/results", None]


# --- what a call says once


def test_client_is_two_numbers_made_of_the_visitor() -> None:
    ids = {client_id(f"visitor-{number}") for number in range(1_000)}
    assert len(ids) == 1_000
    assert all(re.fullmatch(r"[1-9]\d{0,9}\.1\d{9}", each) for each in ids)
    assert body("cart.add")["client_id"] == client_id(many_events(1)[0].visitor_id)


def test_client_agent_and_address_are_of_the_call() -> None:
    context: dict[str, Scalar] = {"client.address": "203.0.113.0", "user_agent.original": "Firefox"}
    found = body("cart.add", context=context, user_id="anna")
    assert (found["ip_override"], found["user_agent"], found["user_id"]) == ("203.0.113.0", "Firefox", "anna")
    assert body("cart.add", context={"client.address": "nowhere"}).keys().isdisjoint({"ip_override", "user_agent"})


@pytest.mark.parametrize(("options", "consent"), [({}, "DENIED"), ({"ads": True}, "GRANTED")])
def test_advertising_is_denied_unless_it_is_allowed(options: dict[str, Any], consent: str) -> None:
    (found,) = bodies(many_events(1)[0], **options)
    assert found["consent"] == {"ad_user_data": consent, "ad_personalization": consent}


def test_traits_are_user_properties_and_a_name_is_not_sent() -> None:
    traits: dict[str, Scalar] = {"user.name": "Anna", "user.traits.plan": "pro", "user.traits.user_id": "x" * 50}
    found = body(names.USER_IDENTIFY, traits, user_id="anna")
    assert found["user_properties"] == {"plan": {"value": "pro"}, "user_user_id": {"value": "x" * 36}}
    assert "Anna" not in str(found)
    many = {f"user.traits.t{number}": number for number in range(30)}
    assert len(body(names.USER_IDENTIFY, many, user_id="anna")["user_properties"]) == 25


def test_a_user_who_left_is_not_sent() -> None:
    untagged = msgspec.structs.replace(many_events(1)[0], name=names.USER_IDENTIFY, user_id=None)
    assert not GA4Backend(ADDRESS, KEY, SECRET).accepts(untagged)
    assert bodies(untagged) == []


def test_another_user_or_visitor_is_another_call_and_order_is_kept() -> None:
    users = [None, None, "anna", "anna", None]
    events = [msgspec.structs.replace(event, user_id=user) for event, user in zip(many_events(5), users, strict=True)]
    other = msgspec.structs.replace(many_events(6)[5], visitor_id="other")
    found = bodies(*events[:2], other, *events[2:])
    counts = [(call.get("user_id"), len(call["events"])) for call in found]
    assert counts == [(None, 2), (None, 1), ("anna", 2), (None, 1)]
    assert len({call["client_id"] for call in found}) == 2
