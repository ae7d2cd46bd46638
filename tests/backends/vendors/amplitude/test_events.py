"""Amplitude: each event with its session, its device and its user at the top level."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sojourn.backends import AmplitudeBackend
from sojourn.backends.vendors.amplitude.events import LONGEST_TEXT, RESERVED
from sojourn.core import events as names
from sojourn.core.events import Event, Scalar
from sojourn.core.ids import hashed_uuid
from sojourn.testing.backend_contract import many_events
from tests.backends.vendors.amplitude.samples import ADDRESS, KEY, encoded, sent

STARTED_AT = 1_769_860_800_000


def changed(**fields: Any) -> Event:
    return msgspec.structs.replace(many_events(1)[0], **fields)


# --- the session


def test_session_is_the_time_of_its_start_also_for_a_manual_one() -> None:
    event = many_events(1)[0]
    found = encoded("cart.add")
    assert (found["session_id"], type(found["session_id"])) == (STARTED_AT, int)
    assert found["event_properties"]["session_uuid"] == event.session_key
    assert "session.id" not in found["event_properties"]
    manual = encoded("cart.add", session_id="checkout-4711", is_manual=True)
    assert (manual["session_id"], manual["event_properties"]["session.id"]) == (STARTED_AT, "checkout-4711")


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        pytest.param(names.CONNECTION_END, {}, id="the end of a socket"),
        pytest.param(names.OPT_OUT, {}, id="an opt-out"),
        pytest.param("cart.add", {"session.late": True}, id="a late event"),
    ],
)
def test_what_is_no_activity_is_out_of_session(name: str, attributes: dict[str, Scalar]) -> None:
    assert encoded(name, attributes)["session_id"] == -1


# --- kinds


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(names.SESSION_START, "session_start", id="start"),
        pytest.param(names.SESSION_END, "session_end", id="end"),
        pytest.param(names.PAGE_VIEW, "[Amplitude] Page Viewed", id="page"),
        pytest.param(names.SESSION_HEARTBEAT, "Session Heartbeat", id="heartbeat"),
        pytest.param(names.SESSION_PROPERTIES, "Session Properties Set", id="properties"),
        pytest.param(names.CONNECTION_END, "Connection Ended", id="connection"),
        pytest.param(names.EXCEPTION, "Exception", id="exception"),
        pytest.param(names.LOG, "Log", id="log"),
        pytest.param(names.OPT_OUT, "Opted Out", id="opt-out"),
        pytest.param("Order Completed", "Order Completed", id="tracked"),
        *(pytest.param(name, f"event: {name}", id=name) for name in sorted(RESERVED)),
    ],
)
def test_types_of_events(name: str, kind: str) -> None:
    assert encoded(name)["event_type"] == kind


def test_fields_beside_the_properties() -> None:
    event = many_events(1)[0]
    client: dict[str, Scalar] = {"client.address": "203.0.113.0", "user_agent.original": "Firefox"}
    found = encoded("cart.add", {"service.version": "1.4.0"}, user_id="anna", context=client)
    properties = found.pop("event_properties")
    library = found.pop("library")
    assert found == {
        "event_type": "cart.add",
        "device_id": event.visitor_id,
        "user_id": "anna",
        "time": event.time,
        "session_id": STARTED_AT,
        "insert_id": event.id,
        "user_agent": "Firefox",
        "ip": "203.0.113.0",
        "platform": "Web",
        "app_version": "1.4.0",
    }
    assert library.startswith("sojourn/")
    assert properties == {"session_uuid": event.session_key}
    assert encoded("cart.add").keys().isdisjoint({"user_id", "user_agent", "ip", "platform", "app_version"})


# --- people


def test_traits_are_set_on_the_user() -> None:
    traits: dict[str, Scalar] = {"user.name": "Anna", "user.traits.plan": "pro", "user.traits.seats": 3}
    found = encoded(names.USER_IDENTIFY, traits, user_id="anna")
    assert (found["event_type"], found["user_id"]) == ("$identify", "anna")
    assert found["user_properties"] == {"$set": {"name": "Anna", "plan": "pro", "seats": 3}}
    assert found["event_properties"].keys() == {"session_uuid"}


@pytest.mark.parametrize(
    ("user", "attributes"),
    [
        pytest.param("anna", {}, id="a user without traits, who is on the later events"),
        pytest.param(None, {"user.name": "Anna"}, id="a user who left"),
    ],
)
def test_what_changes_no_user_is_not_sent(user: str | None, attributes: dict[str, Scalar]) -> None:
    event = changed(name=names.USER_IDENTIFY, user_id=user, attributes=attributes)
    assert not AmplitudeBackend(ADDRESS, KEY).accepts(event)
    assert sent(event) == []


def test_device_is_another_after_each_logout() -> None:
    visitor = many_events(1)[0].visitor_id
    devices = [encoded("cart.add", {"visitor.logouts": count} if count else {})["device_id"] for count in (0, 1, 2)]
    assert devices == [visitor, hashed_uuid("amplitude", visitor, "1"), hashed_uuid("amplitude", visitor, "2")]
    kept = encoded("cart.add", {"visitor.logouts": 1, "visitor.id": visitor})["event_properties"]
    assert kept["visitor.id"] == visitor


@pytest.mark.parametrize("user", ["unknown", "0", "-1", " NULL ", "00000000-0000-0000-0000-000000000000"])
def test_placeholder_for_a_user_is_a_property_only(user: str) -> None:
    found = encoded("cart.add", user_id=user)
    assert "user_id" not in found
    assert found["event_properties"]["user.id"] == user


# --- properties


def test_tracked_event_keeps_its_properties() -> None:
    properties = encoded("Order", {"event_properties.revenue": 9.5, "event_properties.gift": True})["event_properties"]
    assert (properties["revenue"], properties["gift"]) == (9.5, True)


@pytest.mark.parametrize(
    "name", ["session.duration_ms", "session_uuid", "visitor.id", "user.id", "[Amplitude] Page Path"]
)
def test_tracked_property_cannot_replace_an_attribute(name: str) -> None:
    found = encoded("cart.add", {f"event_properties.{name}": "mine"})["event_properties"]
    assert found[f"event_properties.{name}"] == "mine"
    assert found.get(name) != "mine"


def test_page_has_the_names_of_the_script() -> None:
    attributes: dict[str, Scalar] = {"url.path": "/a/7", "url.query": "utm_source=mail", "http.route": "/a/{id}"}
    bare = encoded(names.PAGE_VIEW, attributes)["event_properties"]
    full = encoded(names.PAGE_VIEW, attributes, site="https://shop.example/")["event_properties"]
    assert (bare["[Amplitude] Page Path"], bare["[Amplitude] Page Location"]) == ("/a/7", "/a/7?utm_source=mail")
    assert full["[Amplitude] Page Location"] == "https://shop.example/a/7?utm_source=mail"
    assert full["[Amplitude] Page URL"] == "https://shop.example/a/7"
    assert full["[Amplitude] Page Domain"] == "shop.example"
    assert full["http.route"] == "/a/{id}"
    assert full.keys().isdisjoint({"url.path", "url.query"})


SOURCE: dict[str, Scalar] = {
    "url.path": "/",
    "url.query": "utm_source=mail&gclid=Cj0&ref=x",
    "http.request.header.referer": "https://search.example/results",
}
FOUND = {
    "utm_source": "mail",
    "gclid": "Cj0",
    "referrer": "https://search.example/results",
    "referring_domain": "search.example",
}


def test_source_of_a_session_is_kept_on_its_person() -> None:
    found = encoded(names.SESSION_START, SOURCE)
    assert found["user_properties"] == FOUND
    assert FOUND.items() <= found["event_properties"].items()
    internal = encoded(names.SESSION_START, {**SOURCE, names.INTERNAL_REFERRER: True})
    assert "user_properties" not in internal
    assert "user_properties" not in encoded(names.PAGE_VIEW, SOURCE)


def test_texts_are_cut_where_amplitude_would() -> None:
    attributes: dict[str, Scalar] = {"event_properties.text": "x" * 3_000, "url.path": "/" + "p" * 3_000}
    found = encoded("n" * 3_000, attributes, user_id="u" * 3_000)
    texts = [found["event_type"], found["user_id"], found["event_properties"]["text"]]
    assert [len(text) for text in texts] == [LONGEST_TEXT] * 3
    assert len(found["event_properties"]["[Amplitude] Page Location"]) == LONGEST_TEXT
