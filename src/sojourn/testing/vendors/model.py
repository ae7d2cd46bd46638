"""What a fake vendor receives and shows: requests, events, sessions. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Scalar = str | int | float | bool
Value = Scalar | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request that a fake received, and the status of its response. Header names are in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    status: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The response of a fake."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorEvent:
    """An event that a fake accepted, under the vendor's own name.

    `id`: by which the vendor de-duplicates. `at`: milliseconds since the epoch.
    """

    id: str
    name: str
    at: int
    session_id: str = ""
    visitor_id: str | None = None
    user_id: str | None = None
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorSession:
    """A session as the vendor shows it. `None`: unknown to the vendor, or it has no such field."""

    session_id: str
    user_id: str | None = None
    visitor_id: str | None = None
    previous_id: str | None = None
    started_at: int | None = None
    ended_at: int | None = None
    duration_ms: int | None = None
    reason: str | None = None
    properties: Mapping[str, Value] = field(default_factory=dict)
    events: tuple[VendorEvent, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its events, in order."""
        return tuple(event.name for event in self.events)
