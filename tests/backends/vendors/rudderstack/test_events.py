"""RudderStack: complete events, each with its session in the context."""

from __future__ import annotations

import msgspec
import pytest

from sojourn.backends import RudderStackBackend
from sojourn.core import events as names
from sojourn.core.events import Scalar
from sojourn.testing.backend_contract import many_events, sample_events
from tests.backends.vendors.rudderstack.samples import ADDRESS, KEY, SENT_AT, message, messages

# --- the session


def test_session_start_flag_is_on_the_first_event_only() -> None:
    first, *others = messages(*sample_events())
    assert first["context"]["sessionStart"] is True
    assert not any("sessionStart" in other["context"] for other in others)


@pytest.mark.parametrize(
    ("given_id", "is_manual", "number"),
    [
        pytest.param("019a0c5e-8a00-7b3c-9d2e-5f60718293a4", False, 1_769_860_800_000, id="when it started"),
        pytest.param("1234567890", True, 1_234_567_890, id="a manual session's own number"),
        pytest.param("1234567890", False, 1_769_860_800_000, id="a number, but not manual"),
        pytest.param("9007199254740991", True, 9_007_199_254_740_991, id="the largest that JavaScript has"),
        pytest.param("9007199254740992", True, 1_769_860_800_000, id="a larger one"),
        pytest.param("0123456789", True, 1_769_860_800_000, id="which a number would shorten"),
        pytest.param("checkout-4711", True, 1_769_860_800_000, id="a manual session's word"),
    ],
)
def test_the_session_is_an_integer(given_id: str, is_manual: bool, number: int) -> None:
    found = message("cart.add", session_id=given_id, is_manual=is_manual)
    assert found["context"]["sessionId"] == number
    assert type(found["context"]["sessionId"]) is int


def test_session_uuid_and_manual_id_are_properties() -> None:
    event = many_events(1)[0]
    assert messages(event)[0]["properties"]["session_uuid"] == event.session_key
    assert "session.id" not in messages(event)[0]["properties"]
    manual = message("cart.add", session_id="checkout-4711", is_manual=True)["properties"]
    assert (manual["session.id"], manual["session_uuid"]) == ("checkout-4711", event.session_key)


def test_session_properties_are_on_later_events_and_the_end() -> None:
    properties: dict[str, Scalar] = {"session_properties.plan": "team"}
    for name in ("session.properties", "cart.add", "page_view", "session.end"):
        assert message(name, properties)["properties"]["session_properties.plan"] == "team"


# --- the kinds of events


@pytest.mark.parametrize(
    ("name", "kind", "event"),
    [
        pytest.param(names.SESSION_START, "track", "Session Started", id="start"),
        pytest.param(names.SESSION_HEARTBEAT, "track", "Session Heartbeat", id="heartbeat"),
        pytest.param(names.SESSION_END, "track", "Session Ended", id="end"),
        pytest.param(names.SESSION_PROPERTIES, "track", "Session Properties Set", id="properties"),
        pytest.param(names.PAGE_VIEW, "page", None, id="page"),
        pytest.param(names.USER_IDENTIFY, "identify", None, id="identify"),
        pytest.param(names.CONNECTION_END, "track", "Connection Ended", id="connection"),
        pytest.param(names.EXCEPTION, "track", "Exception", id="exception"),
        pytest.param(names.LOG, "track", "Log", id="log"),
        pytest.param(names.OPT_OUT, "track", "Opted Out", id="opt-out"),
        pytest.param("Order Completed", "track", "Order Completed", id="tracked"),
    ],
)
def test_types_of_events(name: str, kind: str, event: str | None) -> None:
    found = message(name, user_id="anna")
    assert (found["type"], found.get("event")) == (kind, event)
    assert ("properties" in found) is (kind != "identify")


def test_every_event_is_complete_by_itself() -> None:
    found = message("cart.add", {"service.name": "shop"}, user_id="anna")
    event = many_events(1)[0]
    assert found["messageId"] == event.id
    assert (found["anonymousId"], found["userId"], found["channel"]) == (event.visitor_id, "anna", "server")
    assert found["timestamp"] == found["originalTimestamp"] == "2026-01-31T12:00:00.000Z"
    assert found["sentAt"] == SENT_AT
    assert found["integrations"] == {"All": True}
    assert found["context"]["app"] == {"name": "shop"}
    assert found["context"]["library"]["name"] == "sojourn"


def test_library_version_has_three_numbers() -> None:
    figures = message("cart.add")["context"]["library"]["version"].split(".")
    assert len(figures) == 3
    assert all(figure.isdigit() for figure in figures)


def test_tracked_event_keeps_its_name() -> None:
    given_properties: dict[str, Scalar] = {"event_properties.revenue": 9.5, "event_properties.gift": True}
    properties = message("Order Completed", given_properties)["properties"]
    assert properties["revenue"] == 9.5
    assert properties["gift"] is True


@pytest.mark.parametrize(
    "name", ["session.duration_ms", "session_uuid", "session_properties.plan", "session_id", "session.end_reason"]
)
def test_tracked_property_cannot_replace_a_session_attribute(name: str) -> None:
    found = message("Session Ended", {f"event_properties.{name}": "mine"})["properties"]
    assert found[f"event_properties.{name}"] == "mine"
    assert found.get(name) != "mine"


def test_a_user_is_identified_with_traits_in_the_context_only() -> None:
    traits: dict[str, Scalar] = {"user.name": "Anna", "user.traits.plan": "pro", "user.traits.seats": 3}
    found = message(names.USER_IDENTIFY, traits, user_id="anna")
    assert found["context"]["traits"] == {"name": "Anna", "plan": "pro", "seats": 3}
    assert found["userId"] == "anna"
    assert found.keys().isdisjoint({"traits", "event", "name", "properties"})


def test_untagging_is_not_sent() -> None:
    untagged = msgspec.structs.replace(many_events(1)[0], name=names.USER_IDENTIFY, user_id=None)
    backend = RudderStackBackend(ADDRESS, KEY)
    assert not backend.accepts(untagged)
    assert list(backend.encode([untagged])) == []
    assert "userId" not in message("cart.add", user_id=None)


@pytest.mark.parametrize(
    ("attributes", "name", "page"),
    [
        pytest.param({"url.path": "/a/7", "http.route": "/a/{id}"}, "/a/{id}", {"path": "/a/7"}, id="by its route"),
        pytest.param({"url.path": "/a/7"}, "/a/7", {"path": "/a/7"}, id="by its path"),
        pytest.param(
            {"url.path": "/", "url.query": "utm_source=mail"},
            "/",
            {"path": "/", "search": "?utm_source=mail"},
            id="query",
        ),
    ],
)
def test_page_view(attributes: dict[str, Scalar], name: str, page: dict[str, str]) -> None:
    found = message(names.PAGE_VIEW, attributes)
    assert (found["name"], found["context"]["page"]) == (name, page)
    assert page.items() <= found["properties"].items()


def test_campaign_has_the_names_of_the_library() -> None:
    query = "utm_source=mail&utm_campaign=spring+sale&ref=x&utm_=y"
    found = message(names.SESSION_START, {"url.path": "/", "url.query": query})
    assert found["context"]["campaign"] == {"source": "mail", "name": "spring sale"}
    assert "campaign" not in message(names.SESSION_START, {"url.path": "/", "url.query": "ref=x"})["context"]


LANDING: dict[str, Scalar] = {"http.request.header.referer": "https://search.example/results"}


@pytest.mark.parametrize(
    ("attributes", "url"),
    [
        pytest.param({"url.path": "/a/7"}, "https://shop.example/a/7", id="path"),
        pytest.param({"url.path": "/", "url.query": "utm_source=x"}, "https://shop.example/?utm_source=x", id="query"),
    ],
)
def test_page_has_its_url_where_the_site_is_named(attributes: dict[str, Scalar], url: str) -> None:
    found = message(names.PAGE_VIEW, attributes, site="https://shop.example/")
    assert (found["properties"]["url"], found["context"]["page"]["url"]) == (url, url)
    assert "url" not in message(names.PAGE_VIEW, attributes)["properties"]
    assert "page" not in message("cart.add", site="https://shop.example")["context"]


def test_first_page_has_the_referrer_and_later_ones_the_initial_referrer() -> None:
    first = many_events(1)[0]
    at = first.session_started_at
    pages = [message(names.PAGE_VIEW, {"url.path": "/"}, time=at + late, context=LANDING) for late in (0, 5_000)]
    referrers = [(page["properties"].get("referrer"), page["properties"]["initial_referrer"]) for page in pages]
    assert referrers == [
        ("https://search.example/results", "https://search.example/results"),
        (None, "https://search.example/results"),
    ]
    assert pages[0]["context"]["page"]["referring_domain"] == "search.example"
    tracked = message("cart.add", context=LANDING)["context"]["page"]
    assert tracked == {
        "initial_referrer": "https://search.example/results",
        "initial_referring_domain": "search.example",
    }


def test_referrer_that_is_no_url_has_no_domain() -> None:
    found = message("cart.add", context={"http.request.header.referer": "http://[broken"})
    assert found["context"]["page"]["initial_referring_domain"] == ""


def test_click_ids_are_properties() -> None:
    query = "gclid=Cj0&utm_source=x&fbclid=Iw&page=2"
    for name in (names.PAGE_VIEW, names.SESSION_START):
        properties = message(name, {"url.path": "/", "url.query": query})["properties"]
        assert (properties["gclid"], properties["fbclid"]) == ("Cj0", "Iw")
        assert not {"page", "utm_source"} & properties.keys()


def test_client_is_on_the_start_and_ip_is_zero_without_an_address() -> None:
    client: dict[str, Scalar] = {"client.address": "203.0.113.0", "user_agent.original": "Firefox"}
    context = message(names.SESSION_START, client)["context"]
    assert (context["ip"], context["userAgent"]) == ("203.0.113.0", "Firefox")
    assert message("cart.add")["context"]["ip"] == "0.0.0.0"
