"""Which agent a `User-Agent` claims to be: its name, what it is for, and the domain by which that can be verified.

Agents are the clients that never start a session. Names come from the table below, then from the library's list, then
from the text itself: a name is at most 40 plain characters. Pure, apart from the cache of results.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, NamedTuple

from sojourn.core.bounded import Bounded

from .kinds import Kind, kind_of
from .tags import Tag, longest_name

_MAX_LENGTH: Final = 512
_CACHE_SIZE: Final = 1024
_LONGEST_NAME: Final = 40

OTHER_AGENTS: Final = "Other agents"


class AgentKind(StrEnum):
    """What an agent is for. The values appear in the store, in exports and on the report."""

    SEARCH = "search"
    AI_TRAINING = "ai_training"
    AI_ASSISTANT = "ai_assistant"
    PREVIEW = "preview"
    MONITOR = "monitor"
    TOOL = "tool"


class Agent(NamedTuple):
    """Who a client claims to be. `domains`: the ends of the names that its operator's addresses have in the reverse DNS."""

    name: str
    kind: AgentKind
    domains: tuple[str, ...] = ()


_GOOGLE: Final = (".googlebot.com", ".google.com")
_YANDEX: Final = (".yandex.ru", ".yandex.net", ".yandex.com")
_AMAZON: Final = (".crawl.amazonbot.amazon",)

_SEARCH, _TRAINING, _ASSISTANT = AgentKind.SEARCH, AgentKind.AI_TRAINING, AgentKind.AI_ASSISTANT

# Only domains by which the operators themselves tell site owners to verify, and that no customer of theirs gets a name in:
# any rented machine has a name in amazonaws.com or googleusercontent.com.
_AGENTS: Final = (
    Agent("OAI-SearchBot", _SEARCH),
    Agent("ChatGPT-User", _ASSISTANT),
    Agent("GPTBot", _TRAINING),
    Agent("Claude-SearchBot", _SEARCH),
    Agent("Claude-User", _ASSISTANT),
    Agent("Claude-Web", _ASSISTANT),
    Agent("ClaudeBot", _TRAINING),
    Agent("anthropic-ai", _TRAINING),
    Agent("Perplexity-User", _ASSISTANT),
    Agent("PerplexityBot", _SEARCH),
    Agent("MistralAI-User", _ASSISTANT),
    Agent("DuckAssistBot", _ASSISTANT),
    Agent("Gemini-Deep-Research", _ASSISTANT, _GOOGLE),
    Agent("Google-NotebookLM", _ASSISTANT, _GOOGLE),
    Agent("GoogleAgent-URLContext", _ASSISTANT, _GOOGLE),
    Agent("GoogleAgent-Mariner", _ASSISTANT, _GOOGLE),
    Agent("Google-CloudVertexBot", _ASSISTANT, _GOOGLE),
    Agent("Google-Extended", _TRAINING, _GOOGLE),
    Agent("GoogleOther", _SEARCH, _GOOGLE),
    Agent("Google-InspectionTool", _SEARCH, _GOOGLE),
    Agent("Mediapartners-Google", AgentKind.TOOL, _GOOGLE),
    Agent("AdsBot-Google", AgentKind.TOOL, _GOOGLE),
    Agent("Googlebot", _SEARCH, _GOOGLE),
    Agent("bingbot", _SEARCH, (".search.msn.com",)),
    Agent("Applebot-Extended", _TRAINING, (".applebot.apple.com",)),
    Agent("Applebot", _SEARCH, (".applebot.apple.com",)),
    Agent("Amzn-SearchBot", _SEARCH, _AMAZON),
    Agent("Amzn-User", _ASSISTANT, _AMAZON),
    Agent("Amazonbot", _TRAINING, _AMAZON),
    Agent("meta-externalfetcher", _ASSISTANT),
    Agent("meta-externalagent", _TRAINING),
    Agent("CCBot", _TRAINING, (".crawl.commoncrawl.org",)),
    Agent("Bytespider", _TRAINING),
    Agent("Devin", _ASSISTANT),
    Agent("Manus-User", _ASSISTANT),
    Agent("kagi-fetcher", _ASSISTANT),
    Agent("PhindBot", _ASSISTANT),
    Agent("YandexBot", _SEARCH, _YANDEX),
    Agent("Baiduspider", _SEARCH, (".baidu.com", ".baidu.jp")),
    Agent("SeznamBot", _SEARCH, (".seznam.cz",)),
    Agent("PetalBot", _SEARCH, (".petalsearch.com",)),
    Agent("DuckDuckBot", _SEARCH),
    Agent("AhrefsBot", AgentKind.TOOL, (".ahrefs.com", ".ahrefs.net")),
    Agent("SemrushBot", AgentKind.TOOL, (".semrush.com",)),
)
"""The first name that stands anywhere in the text wins, so a name comes before those that it contains."""

_BY_NAME: Final = tuple((agent.name.lower(), agent) for agent in _AGENTS)

_KINDS: Final = {
    Kind.MONITOR: AgentKind.MONITOR,
    Kind.PROBE: AgentKind.MONITOR,
    Kind.LINK_PREVIEW: AgentKind.PREVIEW,
}
_PURPOSES: Final = {Tag.SEARCH: _SEARCH, Tag.AI_TRAINING: _TRAINING}

_URL: Final = re.compile(r"\+?https?://[^\s;,()]*")
_PRODUCT: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_TELLING: Final = ("bot", "crawl", "spider", "monitor", "check", "probe", "preview", "fetch", "scan", "agent")
_GENERIC: Final = frozenset({"agent", "bot", "crawler", "fetcher", "monitor", "robot", "scanner", "spider"})
"""Words of the library's list that half of all agents have in their names."""
_OF_BROWSERS: Final = frozenset({"mozilla", "applewebkit", "khtml", "gecko", "chrome", "safari", "compatible", "like"})

_agents: Final[tuple[Bounded[str, Agent], Bounded[str, Agent]]] = (Bounded(_CACHE_SIZE), Bounded(_CACHE_SIZE))
"""By whether programs are agents."""
_PERSON: Final = Agent("", AgentKind.TOOL)


def agent_of(user_agent: str, *, with_programs: bool = False) -> Agent | None:
    """Return the agent that `user_agent` claims to be; `None` for a client that may start a session.

    `with_programs`: HTTP clients and headless browsers are agents too. Cached; reads at most 512 characters; never raises.
    """
    head = user_agent[:_MAX_LENGTH]
    agents = _agents[with_programs]
    agent = agents.young.get(head)
    if agent is None and (agent := agents.get(head)) is None:
        agent = agents[head] = _read(head, with_programs=with_programs)
    return None if agent is _PERSON else agent


def _read(text: str, *, with_programs: bool) -> Agent:
    kind = kind_of(text)
    if not (kind.is_bot or (with_programs and kind.is_program)):
        return _PERSON
    bare = _URL.sub(" ", text)
    lowered = bare.lower()
    for name, agent in _BY_NAME:
        if name in lowered:
            return agent
    name, tag = longest_name(lowered)
    if name.lower() in _GENERIC:
        name, tag = "", None
    purpose = _KINDS.get(kind) or (AgentKind.TOOL if tag is None else _PURPOSES.get(tag, AgentKind.TOOL))
    return Agent(_plain(name or _product(bare)), purpose)


def _product(text: str) -> str:
    """The word that names the client: one that says what it is, else the first that no browser sends."""
    words = [word for word in _PRODUCT.findall(text) if word.lower() not in _OF_BROWSERS]
    return next((word for word in words if any(part in word.lower() for part in _TELLING)), words[0] if words else "")


def _plain(name: str) -> str:
    clean = "".join(letter for letter in name if letter.isascii() and letter.isprintable()).strip()
    return clean[:_LONGEST_NAME].strip() or OTHER_AGENTS
