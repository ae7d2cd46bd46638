"""Encoded events into calls that keep to a vendor's limits: bytes, events, groups. Pure; knows no vendor.

What goes into a call as one is a `Piece`: one event, or a group of them (a vendor's batch of one user), made by
packing a first time. A piece that is too large by itself never goes out: it would be refused for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from sojourn.core.events import Event

from .calls import Unsendable

_COMMA: Final = 1


@dataclass(frozen=True, slots=True)
class Piece:
    """Encoded as one, and the events in it."""

    body: bytes
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one call. `frame` is what stands around the pieces, in bytes; the commas between are counted."""

    bytes: int
    events: int = 1 << 30
    pieces: int = 1 << 30
    frame: int = 2


@dataclass(slots=True)
class Pack:
    """The pieces of one call."""

    bodies: list[bytes] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    size: int = 0

    def joined(self, head: bytes = b"[", tail: bytes = b"]") -> bytes:
        """Return the pieces with commas between, in what stands around them."""
        return head + b",".join(self.bodies) + tail


def packed(pieces: Iterable[Piece], limits: Limits) -> Iterator[Pack | Unsendable]:
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
    if pack.bodies:
        yield pack
