"""What an endpoint of ours answers, and what a door needs of it. Knows no door and no session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from sojourn.tracking.facts import RequestFacts

LONGEST_BODY: Final = 2048
"""Bytes of a beacon; a door reads no more of it, whatever its headers say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer of our own. To HEAD a door leaves the body away."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


NO_CONTENT: Final = Reply(status=204, headers=(("cache-control", "no-store"),))


def not_allowed(*methods: str) -> Reply:
    """The answer to any other method than these."""
    headers = (("allow", ", ".join(methods)), ("content-type", "text/plain"), ("content-length", "0"))
    return Reply(status=405, headers=headers)


class Endpoint(Protocol):
    """Answers requests at one path. Any thread; never blocks."""

    def reads(self, request: RequestFacts) -> bool:
        """Whether it wants the body of this request, of which it then gets at most `LONGEST_BODY` bytes."""
        ...

    def answer(self, request: RequestFacts, body: bytes | None) -> Reply:
        """`body`: what was read; `None`: nothing was asked for."""
        ...
