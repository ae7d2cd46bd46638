"""The responses of our own endpoints, and the port that doors call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from sojourn.tracking.facts import RequestFacts

LONGEST_BODY: Final = 2048
"""The most bytes of a request body that a door reads for an endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A response of our own. For HEAD, doors leave the body out."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


NO_CONTENT: Final = Reply(status=204, headers=(("cache-control", "no-store"),))


def not_allowed(*methods: str) -> Reply:
    """The response to any other method than these."""
    headers = (("allow", ", ".join(methods)), ("content-type", "text/plain"), ("content-length", "0"))
    return Reply(status=405, headers=headers)


class Endpoint(Protocol):
    """Responds to requests at one path. Called by any thread; never blocks."""

    def reads(self, request: RequestFacts) -> bool:
        """Whether it needs the body of this request, of which it then gets at most `LONGEST_BODY` bytes."""
        ...

    def respond(self, request: RequestFacts, body: bytes | None) -> Reply:
        """Respond. `body` is `None` if `reads()` was false."""
        ...
