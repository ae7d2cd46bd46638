"""The figures of agents, as the report shows them."""

from __future__ import annotations

import msgspec


class AgentLine(msgspec.Struct, frozen=True, array_like=True):
    """One agent in a span. `verified` and `refuted` are of its `hits`; the others only claim to be it."""

    agent: str
    kind: str
    hits: int
    verified: int
    refuted: int
    client_errors: int
    server_errors: int
    robots: int
    """How often it asked for `/robots.txt`."""
    llms: int
    """How often it asked for `/llms.txt` or `/llms-full.txt`."""
    pages: int
    """How many different paths it asked for."""
    last_at: int

    @property
    def refused(self) -> int:
        return self.client_errors + self.server_errors


class AgentPage(msgspec.Struct, frozen=True, array_like=True):
    """One page in a span."""

    path: str
    hits: int
    client_errors: int
    server_errors: int
    agents: int
    """How many agents asked for it."""
    last_at: int

    @property
    def refused(self) -> int:
        return self.client_errors + self.server_errors


class AgentPages(msgspec.Struct, frozen=True):
    """The first pages, and how many there are."""

    pages: tuple[AgentPage, ...]
    total: int


class AgentHour(msgspec.Struct, frozen=True, array_like=True):
    """The requests of agents in an hour (`at`, ms), and how many of them were refused (4xx, 5xx)."""

    at: int
    hits: int
    refused: int
