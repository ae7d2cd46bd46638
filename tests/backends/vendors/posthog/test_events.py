"""PostHog: the encoding of events: name, person and session."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from sojourn.backends import PostHogBackend
from sojourn.core.events import Scalar
from sojourn.testing.backend_contract import deliver, many_events
from sojourn.testing.vendors import FakePostHog
from tests.backends.vendors.connected import backend_on, changed, sample
from tests.backends.vendors.posthog.samples import ADDRESS, KEY, sent
from tests.backends.vendors.recorded_visit import deliver_in_parts, visit_events


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("session.start", "session.start"),
        ("session.heartbeat", "session.heartbeat"),
        ("session.end", "session.end"),
        ("page_view", "$pageview"),
        ("exception", "$exception"),
        ("user.identify", "$identify"),
        ("session.properties", "session.properties"),
        ("cart.add", "cart.add"),
        ("opt_out", "opt_out"),
    ],
)
def test_names_of_events(name: str, called: str) -> None:
    (event,) = sent(sample(name))
    assert event["event"] == called


def test_anonymous_visitor_has_no_profile() -> None:
    (event,) = sent(sample("page_view"))
    assert event["distinct_id"] == sample("page_view").visitor_id
    assert event["properties"]["$process_person_profile"] is False


def test_user_has_a_profile() -> None:
    (event,) = sent(sample("cart.add"))
    assert event["distinct_id"] == "anna"
    assert "$process_person_profile" not in event["properties"]


def test_login_merges_the_visitor_and_sets_person_properties() -> None:
    (event,) = sent(changed(sample("user.identify"), **{"user.traits.plan": "team"}))
    assert event["distinct_id"] == "anna"
    assert event["properties"]["$anon_distinct_id"] == sample("user.identify").visitor_id
    assert event["properties"]["$set"] == {"name": "Anna Ünal", "plan": "team"}
    assert "user.traits.plan" not in event["properties"]


def test_logout_sends_no_identify() -> None:
    logout = msgspec.structs.replace(sample("user.identify"), user_id=None, attributes={"visitor.id": "v"})
    (event,) = sent(logout)
    assert (event["event"], event["distinct_id"]) == ("user.identify", logout.visitor_id)
    assert event["properties"]["$process_person_profile"] is False


def test_session_start_belongs_to_the_user_of_its_first_request() -> None:
    start = sample("session.start")
    login = changed(sample("user.identify"), {"time": start.time})
    assert [event["distinct_id"] for event in sent(start, login)] == ["anna", "anna"]
    assert [event["distinct_id"] for event in sent(start, sample("user.identify"))] == [start.visitor_id, "anna"]


@pytest.mark.parametrize(
    ("attributes", "is_placed"),
    [
        pytest.param({"client.address": "203.0.113.0"}, True, id="of the visitor"),
        pytest.param({}, False, id="none: it would be that of our server"),
    ],
)
def test_geoip_uses_only_the_address_of_the_visitor(attributes: dict[str, Scalar], is_placed: bool) -> None:
    (event,) = sent(changed(sample("page_view"), **attributes))
    properties = event["properties"]
    assert ("$ip" in properties, properties.get("$geoip_disable", False)) == (is_placed, not is_placed)


@pytest.mark.parametrize(
    ("site", "url", "host"),
    [
        pytest.param(None, "/products/17?utm_source=x&page=2", None, id="no site"),
        pytest.param(
            "https://shop.example/", "https://shop.example/products/17?utm_source=x&page=2", "shop.example", id="site"
        ),
    ],
)
def test_page_views(site: str | None, url: str, host: str | None) -> None:
    (event,) = sent(changed(sample("page_view"), **{"url.query": "utm_source=x&page=2"}), site=site)
    properties = event["properties"]
    assert (properties["$current_url"], properties.get("$host")) == (url, host)
    assert (properties["$pathname"], properties["utm_source"]) == ("/products/17", "x")
    assert "page" not in properties


def test_session_start_has_referrer_and_user_agent() -> None:
    (event,) = sent(sample("session.start"))
    properties = event["properties"]
    assert properties["$referrer"] == "https://search.example/results"
    assert properties["$referring_domain"] == "search.example"
    assert properties["$raw_user_agent"].startswith("Mozilla/5.0")


def test_an_exception_has_its_causes_and_frames() -> None:
    attributes: dict[str, Scalar] = {
        "exception.type": "shop.errors.NoSuchSeed",
        "exception.message": "basil",
        "exception.escaped": True,
        "exception.stacktrace": "... 3 more\nshop/views.py:12 in buy.<locals>.go\n"
        "caused by KeyError\nlib/site-packages/stock.py:7 in find\nodd line",
    }
    (event,) = sent(changed(sample("exception"), **attributes))
    outer, cause = event["properties"]["$exception_list"]
    assert (outer["module"], outer["type"], outer["value"]) == ("shop.errors", "NoSuchSeed", "basil")
    assert outer["mechanism"]["handled"] is False
    assert outer["stacktrace"] == {
        "type": "raw",
        "frames": [
            {
                "platform": "python",
                "filename": "shop/views.py",
                "function": "buy.<locals>.go",
                "lineno": 12,
                "in_app": True,
            }
        ],
    }
    assert (cause["module"], cause["type"], cause["value"]) == (None, "KeyError", "")
    assert (cause["mechanism"]["type"], cause["mechanism"]["parent_id"]) == ("chained", 0)
    assert [frame["in_app"] for frame in cause["stacktrace"]["frames"]] == [False]


@pytest.mark.parametrize("name", ["connection.end", "opt_out"])
def test_events_without_activity_do_not_extend_the_session(name: str) -> None:
    (event,) = sent(sample(name))
    assert "$session_id" not in event["properties"]


def test_events_after_the_end_do_not_extend_the_session() -> None:
    fake = FakePostHog(is_strict=True)
    backend = backend_on(fake)
    deliver_in_parts(backend, [])
    before = fake.sessions()
    late = next(event for event in visit_events() if event.name == "cart_add")
    new = {"id": "8f0e0d0c-0b0a-8908-8706-050403020100", "time": late.time + 90_000}
    deliver(backend, [changed(late, new, **{"session.late": True})])
    assert fake.sessions() == before
    assert fake.events()[-1].id == new["id"]


def test_manual_session_id_is_a_property_of_its_own() -> None:
    """PostHog makes a session of a UUIDv7 only."""
    chosen = changed(sample("cart.add"), {"session_id": "order-4711"})
    (event,) = sent(chosen)
    assert event["properties"]["$session_id"] == chosen.session_key
    assert event["properties"]["session.id"] == "order-4711"


def test_id_that_is_no_uuid_becomes_a_stable_uuid() -> None:
    """One that is none would have the whole call refused."""
    first, second = sent(*many_events(1), *many_events(1))
    assert str(UUID(first["uuid"])) == first["uuid"] == second["uuid"]
    assert first["properties"]["event.id"] == many_events(1)[0].id
    ours = visit_events()[0]
    (event,) = sent(ours)
    assert event["uuid"] == ours.id
    assert "event.id" not in event["properties"]


def test_heartbeats_go_when_asked_for() -> None:
    assert not PostHogBackend(ADDRESS, KEY).accepts(sample("session.heartbeat"))
    assert PostHogBackend(ADDRESS, KEY, heartbeats=True).accepts(sample("session.heartbeat"))


def test_a_revised_end_makes_the_session_as_long_as_it_was() -> None:
    end = next(event for event in visit_events() if event.name == "session.end")
    later = changed(
        end,
        {"id": "8f0e0d0c-0b0a-8908-8706-0504030201ff", "time": end.time + 20_000},
        **{"session.end_revision": 1, "session.duration_ms": 125_000},
    )
    fake = FakePostHog(is_strict=True)
    backend = backend_on(fake)
    deliver_in_parts(backend, [])
    assert backend.accepts(later)
    deliver(backend, [later])
    assert fake.sessions()[0].duration_ms == 125_000
