"""What an encoder makes of events, and the result of the last call. Plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sojourn.core.events import Event

from ._exchange import BODY_LIMIT
from .outcomes import Outcome, Response


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One HTTP call and the events it carries, in the order of the batch. Pass a `body`, or `json` to be encoded.

    Its `repr` shows neither address, headers nor body: all three hold keys.
    """

    method: str
    url: str = field(repr=False)
    events: Sequence[Event] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    json: object = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    has_gzip: bool = True
    """Whether the receiver accepts `Content-Encoding: gzip`."""
    sign: Callable[[bytes], Mapping[str, str]] | None = None
    """Returns further headers for the body as it goes on the wire."""
    interpret: Callable[[Response], Outcome | None] | None = None
    """Returns what a response of this vendor means, or `None` for the meaning of its status."""
    response_limit: int = BODY_LIMIT
    """How many bytes of the response's body are read. Raise it for a vendor that lists each event there."""


@dataclass(frozen=True, slots=True)
class Unsendable:
    """Events that no call can carry (say, larger than the vendor accepts). They become dead letters without being sent."""

    events: Sequence[Event]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCall:
    """The result of the last call, without its path, key or body."""

    origin: str
    at: float
    """When it ended, in seconds since the epoch, by this machine's clock."""
    status: int | None = None
    date: str | None = None
    """The `Date` header of the response: the receiver's clock."""
    problem: str = ""
    """Why there was no response."""
    page: str = ""
    """What kind of page responded where events should be taken, such as "a log-in form"."""


class Encoder(Protocol):
    """Turns events into calls. The HTTP layer may pass any part of a batch; an event may be in no call or in several."""

    def encode(self, batch: Sequence[Event]) -> Iterable[HttpCall | Unsendable]: ...
