"""The report's port to what agents read."""

from __future__ import annotations

from typing import Protocol

from .agents_model import AgentHour, AgentLine, AgentPages
from .model import Span


class AgentReport(Protocol):
    """What agents read. Counted by whole hours: a span is widened to them."""

    def agents(self, span: Span) -> list[AgentLine]:
        """Return the agents of a span, the busiest first."""
        ...

    def pages(
        self, span: Span, *, agent: str | None = None, kind: str | None = None, find: str = "", limit: int
    ) -> AgentPages:
        """Return the pages that this agent, this kind, or all (`None`) asked for in a span, the most read first.

        `find`: only paths with this text, in ASCII letters of either case.
        """
        ...

    def hours(self, span: Span, *, agent: str | None = None, kind: str | None = None) -> list[AgentHour]:
        """Return the requests of each hour of a span, in order of time; hours without any are left out."""
        ...
