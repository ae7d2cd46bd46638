"""Who a bot claims to be, and what it is for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.user_agents.agents import OTHER_AGENTS, AgentKind, agent_of
from sojourn.user_agents.kinds import kind_of

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)
WEBKIT = "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; "
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


@pytest.mark.parametrize(
    ("user_agent", "name", "kind"),
    [
        (GOOGLEBOT, "Googlebot", AgentKind.SEARCH),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "bingbot", AgentKind.SEARCH),
        (f"{WEBKIT}OAI-SearchBot/1.0; +https://openai.com/searchbot)", "OAI-SearchBot", AgentKind.SEARCH),
        (f"{WEBKIT}GPTBot/1.2; +https://openai.com/gptbot)", "GPTBot", AgentKind.AI_TRAINING),
        (f"{WEBKIT}ClaudeBot/1.0; +claudebot@anthropic.com)", "ClaudeBot", AgentKind.AI_TRAINING),
        ("CCBot/2.0 (https://commoncrawl.org/faq/)", "CCBot", AgentKind.AI_TRAINING),
        (f"{WEBKIT}ChatGPT-User/1.0; +https://openai.com/bot)", "ChatGPT-User", AgentKind.AI_ASSISTANT),
        (f"{WEBKIT}Claude-User/1.0; +Claude-User@anthropic.com)", "Claude-User", AgentKind.AI_ASSISTANT),
        (
            f"{WEBKIT}Perplexity-User/1.0; +https://perplexity.ai/perplexity-user)",
            "Perplexity-User",
            AgentKind.AI_ASSISTANT,
        ),
        (
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "facebookexternalhit",
            AgentKind.PREVIEW,
        ),
        (
            "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
            "LinkedInBot",
            AgentKind.PREVIEW,
        ),
        ("Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", "UptimeRobot", AgentKind.MONITOR),
        ("kube-probe/1.29", "kube-probe", AgentKind.MONITOR),
        ("Mozilla/5.0 (compatible; MJ12bot/v1.4.8; http://mj12bot.com/)", "MJ12bot", AgentKind.TOOL),
        ("Mozilla/5.0 (compatible; Inventory-Spider-9/1.0)", "Inventory-Spider-9", AgentKind.TOOL),
        ("\u0411\u043e\u0442/1.0 (+http://x.example)", OTHER_AGENTS, AgentKind.TOOL),
    ],
)
def test_name_and_kind(user_agent: str, name: str, kind: AgentKind) -> None:
    agent = agent_of(user_agent)
    assert agent is not None
    assert (agent.name, agent.kind) == (name, kind)


@pytest.mark.parametrize("user_agent", [CHROME, "curl/8.7.1", "", "HeadlessChrome/140"])
def test_who_may_start_a_session_is_no_agent(user_agent: str) -> None:
    assert agent_of(user_agent) is None


def test_programs_are_agents_where_they_start_no_session() -> None:
    agent = agent_of("curl/8.7.1", with_programs=True)
    assert agent is not None
    assert (agent.name, agent.kind) == ("curl", AgentKind.TOOL)
    assert agent_of(CHROME, with_programs=True) is None
    assert agent_of("curl/8.7.1") is None


def test_no_domain_in_which_a_customer_gets_names() -> None:
    agent = agent_of(GOOGLEBOT)
    assert agent is not None
    assert agent.domains == (".googlebot.com", ".google.com")


@given(text=st.text(max_size=700), with_programs=st.booleans())
def test_any_text_gives_a_short_plain_name_or_none(*, text: str, with_programs: bool) -> None:
    agent = agent_of(text, with_programs=with_programs)
    kind = kind_of(text)
    assert (agent is not None) == (kind.is_bot or (with_programs and kind.is_program))
    assert agent is None or (1 <= len(agent.name) <= 40 and agent.name.isascii() and agent.name.isprintable())
