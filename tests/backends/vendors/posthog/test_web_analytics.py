"""PostHog: what its Web analytics read from each event: a person's browser, system, device, place, referrer and campaign."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sojourn.core.events import Scalar
from sojourn.testing.vendors import FakePostHog
from tests.backends.vendors.connected import backend_on, changed, context_of, sample
from tests.backends.vendors.played_visit import AGENT, play
from tests.backends.vendors.posthog.samples import sent

MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPAD = "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
PIXEL = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko)"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"


def view(context: dict[str, Scalar], **attributes: Scalar) -> dict[str, Any]:
    """The properties of a page view in a session with this context."""
    (event,) = sent(msgspec.structs.replace(changed(sample("page_view"), **attributes), context=context))
    properties: dict[str, Any] = event["properties"]
    return properties


def test_page_views_of_a_visit_are_a_persons_with_browser_device_and_place() -> None:
    """PostHog counts an event without `$raw_user_agent` as a bot's, and leaves it out with its bots."""
    fake = FakePostHog(is_strict=True)
    play([backend_on(fake)])
    views = [event for event in fake.events() if event.name == "$pageview"]
    assert len(views) == 9
    bots = [event.name for event in fake.events() if fake.is_bot(event)]
    assert bots == ["opt_out", "session.end"], "what an opt-out lets through says nothing of the client"
    for event in views:
        shown = {name: event.attributes.get(name) for name in ("$browser", "$browser_version", "$os", "$device_type")}
        assert shown == {"$browser": "Firefox", "$browser_version": 140, "$os": "Linux", "$device_type": "Desktop"}
        assert (event.attributes["$raw_user_agent"], event.attributes["$ip"]) == (AGENT, "127.0.0.0")
        assert "$geoip_disable" not in event.attributes


def test_event_without_a_user_agent_is_a_bots_for_posthog() -> None:
    fake = FakePostHog(is_strict=True)
    backend_on(fake).send([sample("page_view"), sample("session.start")])
    assert [fake.is_bot(event) for event in fake.events()] == [True, False]


def test_each_event_has_the_agent_address_and_referrer_of_its_session() -> None:
    properties = view(context_of(sample("session.start")))
    assert properties["$raw_user_agent"] == sample("session.start").attributes["user_agent.original"]
    assert (properties["$ip"], properties["$referring_domain"]) == ("203.0.113.0", "search.example")
    assert properties["$referrer"] == "https://search.example/results"


def test_attributes_of_the_event_itself_come_first() -> None:
    properties = view({"client.address": "203.0.113.0"}, **{"client.address": "198.51.100.0"})
    assert properties["$ip"] == "198.51.100.0"


def test_session_without_a_referrer_is_direct() -> None:
    properties = view({"user_agent.original": AGENT})
    assert (properties["$referrer"], properties["$referring_domain"]) == ("$direct", "$direct")
    assert properties["$geoip_disable"] is True, "there is no address: PostHog would locate the visitor at our server"


def test_session_of_which_no_start_came_says_nothing_of_its_client() -> None:
    properties = view({})
    assert not [name for name in properties if name in ("$referrer", "$browser", "$os", "$raw_user_agent", "$ip")]
    start = changed(sample("session.end"), {"name": "session.start"}, **{"session.start_inferred": True})
    (event,) = sent(start)
    assert "$referrer" not in event["properties"]


@pytest.mark.parametrize(
    ("agent", "browser", "version", "system", "device"),
    [
        pytest.param(f"{MAC} Chrome/141.0.0.0 Safari/537.36", "Chrome", 141, "Mac OS X", "Desktop", id="Chrome"),
        pytest.param(f"{MAC} Version/18.5 Safari/605.1.15", "Safari", 18.5, "Mac OS X", "Desktop", id="Safari"),
        pytest.param(
            f"{WINDOWS} Chrome/141.0.0.0 Safari/537.36 Edg/141.0.3537.71",
            "Microsoft Edge",
            141,
            "Windows",
            "Desktop",
            id="Edge",
        ),
        pytest.param(
            f"{IPHONE} Version/18.5 Mobile/15E148 Safari/604.1", "Mobile Safari", 18.5, "iOS", "Mobile", id="iPhone"
        ),
        pytest.param(f"{IPAD} CriOS/141.0 Mobile Safari/604.1", "Chrome iOS", 141, "iOS", "Tablet", id="iPad"),
        pytest.param(f"{PIXEL} Chrome/141.0.0.0 Mobile Safari/537.36", "Chrome", 141, "Android", "Mobile", id="Pixel"),
        pytest.param(f"{PIXEL} Chrome/141.0.0.0 Safari/537.36", "Chrome", 141, "Android", "Tablet", id="tablet"),
        pytest.param("Mozilla/5.0 (X11; Linux x86_64)", None, None, "Linux", "Desktop", id="unknown browser"),
    ],
)
def test_names_are_those_of_posthogs_own_script(
    agent: str, browser: str | None, version: float | None, system: str, device: str
) -> None:
    properties = view({"user_agent.original": agent})
    names = ("$browser", "$browser_version", "$os", "$device_type")
    assert [properties.get(name) for name in names] == [browser, version, system, device]
    assert not isinstance(properties.get("$browser_version"), float) or version == 18.5


@pytest.mark.parametrize("agent", ["curl/8.14.1", "Googlebot/2.1 (+http://www.google.com/bot.html)"])
def test_program_has_no_browser(agent: str) -> None:
    properties = view({"user_agent.original": agent})
    assert properties["$raw_user_agent"] == agent
    assert not [name for name in properties if name in ("$browser", "$os", "$device_type")]


@pytest.mark.parametrize(
    ("query", "lifted"),
    [
        pytest.param("utm_source=x&page=2", {"utm_source": "x"}, id="campaign"),
        pytest.param("gclid=Cj0&gad_source=1&fbclid=Iw", {"gclid": "Cj0", "gad_source": "1", "fbclid": "Iw"}, id="ads"),
        pytest.param("gclid=&utm_term=one&utm_term=two", {"utm_term": "one"}, id="empty and repeated"),
        pytest.param("$ip=1&token=x", {}, id="nothing else"),
    ],
)
def test_campaign_and_click_ids_are_properties(query: str, lifted: dict[str, str]) -> None:
    properties = view({}, **{"url.query": query})
    new = {name: value for name, value in properties.items() if name not in view({})}
    assert new == lifted
    assert properties["$current_url"] == f"/products/17?{query}"
