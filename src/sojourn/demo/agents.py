"""What crawlers, AI assistants and monitors read in the demo's shop: live requests, and synthetic figures of past months."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from threading import Event as Signal
from typing import Final

from sojourn.core.agent_hits import HOUR_MS
from sojourn.stores.model import AgentCount
from sojourn.user_agents.agents import Agent, AgentKind, agent_of

_WEBKIT: Final = "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; "
# The user agent, requests an hour, and the shares of its requests that are verified and false.
_AGENTS: Final = (
    (f"{_WEBKIT}GPTBot/1.2; +https://openai.com/gptbot)", 3.0, 0.0, 0.0),
    (f"{_WEBKIT}ClaudeBot/1.0; +claudebot@anthropic.com)", 2.0, 0.0, 0.0),
    (f"{_WEBKIT}ChatGPT-User/1.0; +https://openai.com/bot)", 1.5, 0.0, 0.0),
    (f"{_WEBKIT}Claude-User/1.0; +Claude-User@anthropic.com)", 0.8, 0.0, 0.0),
    (f"{_WEBKIT}Perplexity-User/1.0; +https://perplexity.ai/perplexity-user)", 0.4, 0.0, 0.0),
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", 4.0, 0.95, 0.05),
    ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", 1.5, 1.0, 0.0),
    ("Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", 1.0, 1.0, 0.0),
    ("Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", 12.0, 0.0, 0.0),
)
USER_AGENTS: Final = tuple(user_agent for user_agent, *_ in _AGENTS)
PATHS: Final = ("/robots.txt", "/llms.txt", "/", "/seeds/tomato", "/seeds/basil", "/letter", "/seeds/sold-out-long-ago")
_MISSING: Final = frozenset({"/seeds/sold-out-long-ago"})
_REST_S: Final = 5.0


def read_shop(get: Callable[[str, str], object], stop: Signal) -> None:
    """Ask for page after page as one agent after another, until `stop`. `get(path, user_agent)` makes the request."""
    while True:
        for user_agent in USER_AGENTS:
            for path in _paths_of(agent_of(user_agent)):
                get(path, user_agent)
            if stop.wait(_REST_S):
                return


def _paths_of(agent: Agent | None) -> Sequence[str]:
    return PATHS[2:3] if agent is not None and agent.kind is AgentKind.MONITOR else PATHS


def counts(since: int, until: int, *, seed: int) -> Iterator[list[AgentCount]]:
    """Yield the figures of each hour (times in ms). The same seed makes the same figures."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    for at in range(since // HOUR_MS * HOUR_MS, until, HOUR_MS):
        rows: dict[tuple[str, str, int], AgentCount] = {}
        for user_agent, an_hour, verified, refuted in _AGENTS:
            agent = agent_of(user_agent)
            if agent is None:
                continue
            for _ in range(round(an_hour * chance.uniform(0.0, 2.0))):
                path = chance.choice(_paths_of(agent))
                status = 4 if path in _MISSING else 5 if chance.random() < 0.005 else 2
                count = rows.setdefault(
                    (agent.name, path, status),
                    AgentCount(at=at, agent=agent.name, path=path, status=status, kind=agent.kind.value),
                )
                verdict = chance.random()
                count.hits += 1
                count.verified += verdict < verified
                count.refuted += verified <= verdict < verified + refuted
                count.last_at = min(until, max(count.last_at, at + chance.randrange(HOUR_MS)))
        yield list(rows.values())
