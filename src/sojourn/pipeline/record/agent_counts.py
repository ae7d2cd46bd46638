"""Counts the hits of agents, as bounded rows: an hour has so many agents and pages, and what is beyond is one row. Pure.

User agents and paths are the sender's to choose, so without a bound anyone could fill the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sojourn.core.agent_hits import LLMS, OTHER_PAGES, ROBOTS, AgentHit, Verdict
from sojourn.stores.model import AgentCount
from sojourn.user_agents.agents import OTHER_AGENTS, AgentKind

MOST_AGENTS: Final = 100
"""Agents in an hour; the others count together."""
MOST_PAGES: Final = 1_000
"""Pages in an hour, over all agents; an agent's others count together."""
LONGEST_PATH: Final = 200
_OWN_ROW: Final = frozenset({ROBOTS, *LLMS})
"""Paths that always have a row of their own: there are few of them, and the report names them."""


def count_hits(hits: Iterable[AgentHit], stored: Mapping[int, set[tuple[str, str]]]) -> list[AgentCount]:
    """Return by how much rows grow, in the order of their keys. `stored`: the agents and pages that each hour has already."""
    hours: dict[int, _Hour] = {}
    counts: dict[tuple[int, str, str, int], AgentCount] = {}
    for hit in hits:
        if (hour := hours.get(hit.hour)) is None:
            hour = hours[hit.hour] = _Hour(stored.get(hit.hour, ()))
        agent, path = hour.place(hit.agent, hit.path[:LONGEST_PATH])
        key = (hit.hour, agent, path, min(max(hit.status // 100, 1), 5))
        if (count := counts.get(key)) is None:
            kind = hit.kind if agent == hit.agent else AgentKind.TOOL.value
            count = counts[key] = AgentCount(*key, kind=kind)
        count.hits += not hit.is_late
        count.verified += hit.verdict == Verdict.VERIFIED
        count.refuted += hit.verdict == Verdict.REFUTED
        count.last_at = max(count.last_at, hit.at)
    return [counts[key] for key in sorted(counts)]


class _Hour:
    """What an hour has rows for. It only grows, so a late verdict finds the row of its hit."""

    def __init__(self, pages: Iterable[tuple[str, str]]) -> None:
        self._pages = set(pages)
        self._agents = {agent for agent, _ in self._pages}

    def place(self, agent: str, path: str) -> tuple[str, str]:
        """The agent and the path under which a hit counts."""
        if agent not in self._agents and len(self._agents) >= MOST_AGENTS:
            agent = OTHER_AGENTS
        self._agents.add(agent)
        if (agent, path) not in self._pages:
            if path not in _OWN_ROW and len(self._pages) >= MOST_PAGES:
                path = OTHER_PAGES
            self._pages.add((agent, path))
        return agent, path
