"""Counts the requests of agents: crawlers, assistants and monitors, which have no session. Excluded paths count too.

The full address of an agent is handed to the verification, which keeps it until it is done and no longer.

See P34 in docs/internals.md.
"""

from __future__ import annotations

from typing import Final, Protocol

from sojourn.core.agent_hits import OTHER_PAGES, AgentHit
from sojourn.user_agents.agents import Agent, agent_of

from .facts import RequestFacts
from .visit import Visit

_LONGEST_PATH: Final = 500


class HitSink(Protocol):
    """Takes hits. Never blocks, never raises."""

    def append_hit(self, hit: AgentHit) -> None: ...


class Verification(Protocol):
    """Says whether agents are who they claim to be. Never blocks, never raises."""

    def ask(self, agent: Agent, address: str, hit: AgentHit) -> AgentHit:
        """Return the hit with the verdict on this address, if it is there already; else find it out, and append it later."""
        ...


class Agents:
    """One per tracker; any thread. `with_programs`: HTTP clients and headless browsers are agents too."""

    __slots__ = ("_sink", "_verification", "_with_programs")

    def __init__(self, sink: HitSink, *, with_programs: bool, verification: Verification | None) -> None:
        self._sink = sink
        self._with_programs = with_programs
        self._verification = verification

    def recognise(self, facts: RequestFacts, *, has_cookie: bool) -> Agent | None:
        """Who sent this request, if it is an agent. What brings a cookie of ours is the browser that got it."""
        return None if has_cookie else agent_of(facts.header("user-agent"), with_programs=self._with_programs)

    def note(self, visit: Visit, agent: Agent, status: int) -> None:
        """Append the hit of this request."""
        # What a scanner makes up at length is not worth masking.
        path = visit.shown_path if len(visit.facts.path) <= _LONGEST_PATH else OTHER_PAGES
        hit = AgentHit(visit.now, agent.name, agent.kind.value, path, status)
        if self._verification is not None:
            address = visit.facts.proven_address()
            if address is not None:
                hit = self._verification.ask(agent, address, hit)
        self._sink.append_hit(hit)
