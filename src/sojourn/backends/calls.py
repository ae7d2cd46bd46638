"""What an encoder makes of events, and what is remembered of a call. Plain data; knows no vendor and no client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sojourn.core.events import Event

from ._exchange import BODY_LIMIT
from .outcomes import Outcome, Response


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One call and the events it carries, in the order of the batch. Give a `body`, or `json` to be encoded.

    Its `repr` shows neither address, headers nor body: keys are in all three.
    """

    method: str
    url: str = field(repr=False)
    events: Sequence[Event] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    json: object = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    has_gzip: bool = True
    """Whether the receiver takes `Content-Encoding: gzip`."""
    sign: Callable[[bytes], Mapping[str, str]] | None = None
    """More headers, made of the body as it goes on the wire."""
    interpret: Callable[[Response], Outcome | None] | None = None
    """What this vendor means by a response; `None`, or none: what its status means everywhere."""
    response_limit: int = BODY_LIMIT
    """How much of the response's body is read; more only for a vendor that lists each event there."""


@dataclass(frozen=True, slots=True)
class Unsendable:
    """Events that no call can carry (larger than the vendor takes), and why: they become dead letters unsent."""

    events: Sequence[Event]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCall:
    """What the last call came to, without its address, key or body."""

    origin: str
    at: float
    """Seconds since the epoch, by our clock."""
    status: int | None = None
    date: str | None = None
    """The receiver's clock, as its `Date` header tells it."""
    problem: str = ""
    """Why there was no response."""


class Encoder(Protocol):
    """Turns events into calls. An event may be in no call or in several; any subset of a batch must do."""

    def encode(self, batch: Sequence[Event]) -> Iterable[HttpCall | Unsendable]: ...
