"""What an encoder makes of events, and the result of the last call. Plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from sojourn.core.events import Event

from ._exchange import BODY_LIMIT
from .outcomes import Outcome, Response
from .protocol import Batch


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
    batches: Sequence[Batch] = field(default=(), repr=False)
    """The batches that it carries, if the receiver drops repeated ones. A refused call is halved between them."""
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


@runtime_checkable
class BatchEncoder(Encoder, Protocol):
    """An encoder for a receiver that drops repeated batches; `encode` is `encode_batches` of `divide`."""

    def divide(self, events: Sequence[Event]) -> Sequence[Batch]: ...

    def encode_batches(self, batches: Sequence[Batch]) -> Iterable[HttpCall | Unsendable]: ...


def calls_of(encoder: Encoder, units: Sequence[Event] | Sequence[Batch]) -> Iterable[HttpCall | Unsendable]:
    """Return the calls for events, or for batches with the ids that they have."""
    batches = [unit for unit in units if isinstance(unit, Batch)]
    if batches and isinstance(encoder, BatchEncoder):
        return encoder.encode_batches(batches)
    return encoder.encode([unit for unit in units if not isinstance(unit, Batch)])


def halves_of(encoder: Encoder, call: HttpCall) -> Iterable[Sequence[Event] | Sequence[Batch]]:
    """Halve a call that was refused: between its batches, or within its only one, which is then divided anew."""
    if len(call.batches) > 1:
        half = len(call.batches) // 2
        return call.batches[:half], call.batches[half:]
    half = len(call.events) // 2
    parts = call.events[:half], call.events[half:]
    if call.batches and isinstance(encoder, BatchEncoder):
        return [encoder.divide(part) for part in parts]
    return parts
