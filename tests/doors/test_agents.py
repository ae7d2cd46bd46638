"""Agents through both doors: counted apart, on excluded paths too, and never as visitors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sojourn import track
from sojourn.core.agent_hits import AgentHit
from sojourn.stores.reporting.agents_model import AgentLine
from sojourn.stores.reporting.model import Span
from sojourn.user_agents.agents import Agent
from tests.doors.browser import HTML, NAVIGATE, Browser, Response, Site, view_of

MakeSite = Callable[..., Site]
EVER = Span(0, 2**42)
GPTBOT = {
    "user-agent": "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)"
}
GOOGLEBOT = {"user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}
PROBE = {"user-agent": "kube-probe/1.29"}
CURL = {"user-agent": "curl/8.7.1"}


def agents(site: Site) -> dict[str, AgentLine]:
    site.engine.flush()
    return {line.agent: line for line in site.engine.store.agents.agents(EVER)}


def paths(site: Site) -> dict[str, int]:
    site.engine.flush()
    return {page.path: page.hits for page in site.engine.store.agents.pages(EVER, limit=99).pages}


def test_an_agent_is_counted_and_has_no_session(site: Site) -> None:
    bot = Browser(site)
    site.views["/gone"] = view_of(response=Response(status=404, headers=(HTML,)))
    site.views["/broken"] = view_of(response=Response(status=503, headers=(HTML,)))
    for path in ("/", "/", "/gone", "/broken"):
        assert bot.ask("GET", path, GPTBOT).cookies == []
    line = agents(site)["GPTBot"]
    assert (line.kind, line.hits, line.client_errors, line.server_errors, line.pages) == ("ai_training", 4, 1, 1, 3)
    assert (line.verified, line.refuted) == (0, 0)
    assert not site.sessions
    assert not site.events


def test_excluded_paths_count(site: Site) -> None:
    for path in ("/robots.txt", "/llms.txt", "/healthz", "/static/app.css"):
        Browser(site).ask("GET", path, GPTBOT)
    line = agents(site)["GPTBot"]
    assert (line.hits, line.robots, line.llms) == (4, 1, 1)
    assert paths(site) == {"/robots.txt": 1, "/llms.txt": 1, "/healthz": 1, "/static/app.css": 1}


@pytest.mark.parametrize("headers", [NAVIGATE, CURL, {}], ids=["a browser", "a program", "no user agent"])
def test_who_may_be_a_visitor_is_no_agent(site: Site, headers: dict[str, str]) -> None:
    browser = Browser(site)
    for path in ("/", "/robots.txt", "/"):
        browser.ask("GET", path, headers)
    assert agents(site) == {}
    assert len(site.sessions) == 1


def test_programs_are_agents_where_they_are_no_visitors(make_site: MakeSite) -> None:
    site = make_site(ignore_http_clients=True)
    Browser(site).ask("GET", "/", CURL)
    assert agents(site)["curl"].kind == "tool"
    assert site.sessions == []


@pytest.mark.parametrize("agents_setting", ["count", "off"])
def test_the_setting(make_site: MakeSite, agents_setting: str) -> None:
    site = make_site(agents=agents_setting)
    Browser(site).ask("GET", "/", GPTBOT)
    assert list(agents(site)) == (["GPTBot"] if agents_setting == "count" else [])
    assert site.engine.agent_checks is None
    assert site.ignored == {"crawler": 1}


def test_helpers_do_nothing_for_an_agent_and_it_counts_once(site: Site) -> None:
    site.views["/"] = view_of(lambda: track("x"), lambda: track("y"))
    Browser(site).ask("GET", "/", GPTBOT)
    assert agents(site)["GPTBot"].hits == 1
    assert site.events == []


def test_an_error_of_the_app_is_a_refusal(site: Site) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    site.views["/"] = view_of(fail)
    with pytest.raises(ZeroDivisionError):
        Browser(site).ask("GET", "/", GPTBOT)
    assert agents(site)["GPTBot"].server_errors == 1


def test_secrets_in_paths_are_masked(site: Site) -> None:
    Browser(site).ask("GET", "/reset/eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", GPTBOT)
    assert list(paths(site)) == ["/reset/*"]


def test_a_browser_that_brings_our_cookie_is_no_agent(site: Site, browser: Browser) -> None:
    browser.navigate()
    browser.ask("GET", "/robots.txt", GPTBOT)
    browser.ask("GET", "/", {**NAVIGATE, **GPTBOT})
    assert agents(site) == {}


def test_hostile_user_agents_are_plain_names(site: Site) -> None:
    for name in (
        "<script>alert(1)</script>bot",
        "=cmd|' /C calc'!A0 crawler",
        "\u202ebot\u202e spider",
        "x" * 300 + "bot",
    ):
        Browser(site).ask("GET", "/", {"user-agent": f"{name} (+http://x.example)".encode().decode("latin-1")})
    assert sum(line.hits for line in agents(site).values()) == 4
    assert all(name.isascii() and len(name) <= 40 and "<" not in name for name in agents(site))


@pytest.mark.parametrize(
    ("settings", "headers", "is_asked"),
    [
        pytest.param({}, {}, True, id="a connection of its own"),
        pytest.param({}, {"x-forwarded-for": "66.249.66.1"}, False, id="an undeclared proxy"),
        pytest.param({"trusted_proxies": "*"}, {"x-forwarded-for": "66.249.66.1"}, True, id="a trusted proxy"),
    ],
)
def test_only_a_proven_address_is_verified(
    make_site: MakeSite,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    headers: dict[str, str],
    *,
    is_asked: bool,
) -> None:
    site = make_site(**settings)
    checks = site.engine.agent_checks
    assert checks is not None
    asked: list[str] = []

    def ask(agent: Agent, address: str, hit: AgentHit) -> AgentHit:
        asked.append(address)
        return hit

    monkeypatch.setattr(checks, "ask", ask)
    Browser(site).ask("GET", "/", {**GOOGLEBOT, **headers})
    Browser(site).ask("GET", "/", {**GPTBOT, **headers})  # by its operator's list
    assert len(asked) == (2 if is_asked else 0)
