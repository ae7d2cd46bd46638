"""Pack encoded events into calls that keep to a vendor's limits. Pure.

A `Piece` goes out whole: one event, or a group of events that the vendor wants together (its batch of one user), made by a
first packing. A piece larger than a call can be is never sent, because the receiver would refuse it every time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from sojourn.core.events import Event

from .calls import HttpCall, Unsendable
from .protocol import Batch

_COMMA: Final = 1


@dataclass(frozen=True, slots=True)
class Piece:
    """Encoded events that are sent together."""

    body: bytes
    events: tuple[Event, ...]
    batch: Batch | None = None
    """The batch that it is, if the receiver drops repeated ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """The limits of one call. `bytes` counts the body before compression, `frame` what surrounds the pieces in it."""

    bytes: int
    events: int = 1 << 30
    pieces: int = 1 << 30
    frame: int = 2


@dataclass(slots=True)
class Pack:
    """The pieces of one call."""

    bodies: list[bytes] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    size: int = 0

    def joined(self, head: bytes = b"[", tail: bytes = b"]") -> bytes:
        """Return the body: the pieces separated by commas, between `head` and `tail`."""
        return head + b",".join(self.bodies) + tail


def packed_calls(
    pieces: Iterable[Piece], limits: CallLimits, call: Callable[[Pack], HttpCall]
) -> Iterator[HttpCall | Unsendable]:
    """Pack the pieces and make a call of each pack."""
    for pack in packed(pieces, limits):
        yield call(pack) if isinstance(pack, Pack) else pack


def packed(pieces: Iterable[Piece], limits: CallLimits) -> Iterator[Pack | Unsendable]:
    """Fill packs in order, each as full as the limits allow."""
    pack = Pack()
    room = limits.bytes - limits.frame
    for piece in pieces:
        size = len(piece.body)
        if size > room or len(piece.events) > limits.events:
            yield Unsendable(piece.events, f"encoded it is {size} bytes, and the receiver takes {room} at most")
            continue
        is_full = (
            pack.size + _COMMA + size > room
            or len(pack.bodies) >= limits.pieces
            or len(pack.events) + len(piece.events) > limits.events
        )
        if is_full and pack.bodies:
            yield pack
            pack = Pack()
        pack.size += size + (_COMMA if pack.bodies else 0)
        pack.bodies.append(piece.body)
        pack.events.extend(piece.events)
        if piece.batch is not None:
            pack.batches.append(piece.batch)
    if pack.bodies:
        yield pack
