"""Which lists of networks the operators of agents publish, and where. Pure.

The lists are not part of the product: they change, and an old one would call an agent false that is not. `sojourn
agent-ranges` reads them into the store when it is told to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from .networks import Networks

KIND: Final = "agent_ranges"
"""Of the definitions in the store, by the name of the agent."""
FRESH_MS: Final = 30 * 86_400_000
"""An older list verifies, and refutes no more: the operator may have new networks by now."""
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._ -]{0,39}")


class Source(NamedTuple):
    """A list that is published, and the agents whose networks it has."""

    url: str
    agents: tuple[str, ...]

    @property
    def file(self) -> str:
        """The name of the file, in lower case."""
        return self.url.rpartition("/")[2].lower()


_GOOGLE: Final = "https://developers.google.com/static/crawling/ipranges/"

SOURCES: Final = (
    Source("https://openai.com/gptbot.json", ("GPTBot",)),
    Source("https://openai.com/searchbot.json", ("OAI-SearchBot",)),
    Source("https://openai.com/chatgpt-user.json", ("ChatGPT-User",)),
    Source("https://claude.com/crawling/bots.json", ("ClaudeBot", "Claude-User", "Claude-SearchBot")),
    Source("https://www.perplexity.com/perplexitybot.json", ("PerplexityBot",)),
    Source("https://www.perplexity.com/perplexity-user.json", ("Perplexity-User",)),
    Source("https://duckduckgo.com/duckduckbot.json", ("DuckDuckBot",)),
    Source("https://duckduckgo.com/duckassistbot.json", ("DuckAssistBot",)),
    Source(f"{_GOOGLE}common-crawlers.json", ("Googlebot", "GoogleOther", "Google-InspectionTool")),
    Source(f"{_GOOGLE}special-crawlers.json", ("AdsBot-Google", "Mediapartners-Google")),
    Source("https://www.bing.com/toolbox/bingbot.json", ("bingbot",)),
    Source("https://search.developer.apple.com/applebot.json", ("Applebot", "Applebot-Extended")),
    Source("https://index.commoncrawl.org/ccbot.json", ("CCBot",)),
)
AGENTS: Final = frozenset(agent for source in SOURCES for agent in source.agents)
_FILES: Final[Mapping[str, tuple[str, ...]]] = {
    **{source.file: source.agents for source in SOURCES},
    "googlebot.json": ("Googlebot", "GoogleOther", "Google-InspectionTool"),
}


class Published(msgspec.Struct, frozen=True):
    """A list as the store has it: when it was read (ms), from which address or file, and its networks."""

    at: int
    source: str
    networks: tuple[str, ...]

    @property
    def text(self) -> str:
        return msgspec.json.encode(self).decode()

    def is_fresh(self, now: int) -> bool:
        return _is_fresh(self.at, now)


class AgentNetworks(NamedTuple):
    """What an agent's addresses are compared with."""

    networks: Networks
    read_at: int

    def refutes(self, now: int) -> bool:
        """Whether an address that is not in it is somebody else's."""
        return _is_fresh(self.read_at, now)


_published: Final = msgspec.json.Decoder(Published)


def _is_fresh(read_at: int, now: int) -> bool:
    return now - read_at <= FRESH_MS


@lru_cache(maxsize=2 * len(SOURCES))
def published_of(text: str) -> Published | None:
    """Read what the store has; `None` for what another version wrote. Remembers lists: one may have thousands of networks."""
    try:
        return _published.decode(text)
    except msgspec.MsgspecError:
        return None


def networks_of(text: str) -> AgentNetworks | None:
    """The same, ready to be asked."""
    if (published := published_of(text)) is None:
        return None
    try:
        return AgentNetworks(Networks(published.networks), published.at)
    except ValueError:
        return None


def agents_of(file: str) -> tuple[str, ...]:
    """Whose networks a file of this name has; none where that is not known. The name without its end may be an agent's."""
    name = file.lower()
    if (agents := _FILES.get(name)) is not None:
        return agents
    stem = name.rpartition(".")[0] or name
    return tuple(agent for agent in AGENTS if agent.lower() == stem)


def is_agent_name(name: str) -> bool:
    """Whether an agent can have this name."""
    return _NAME.fullmatch(name) is not None
