"""Hits of agents: requests by crawlers, assistants and monitors, as the request path appends them to the journal. Pure."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec

HOUR_MS: Final = 3_600_000
ROBOTS: Final = "/robots.txt"
LLMS: Final = ("/llms.txt", "/llms-full.txt")
OTHER_PAGES: Final = "*"
"""The path of hits that got no row of their own, because their hour had too many pages. No path begins so."""


class Verdict(IntEnum):
    """Whether the agent is who it claims to be. The numbers are part of the journal's format."""

    CLAIMED = 0
    """Not verified: it cannot be, or not yet."""
    VERIFIED = 1
    REFUTED = 2
    """The address belongs to another operator."""


class AgentHit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One request of an agent; or, with `is_late`, the verdict on a request that was appended before as claimed.

    It carries no address. Encoded as a MessagePack array: add fields at the end.
    """

    at: int
    agent: str
    kind: str
    path: str
    """As it may be kept."""
    status: int
    verdict: int = Verdict.CLAIMED
    is_late: bool = False

    @property
    def hour(self) -> int:
        """The start of its hour (ms, UTC)."""
        return self.at // HOUR_MS * HOUR_MS
