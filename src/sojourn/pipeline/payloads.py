"""What a frame of the journal carries: one byte that names the kind, then the bytes of that kind. Pure."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec

from sojourn.core.records import Record


class PayloadKind(IntEnum):
    """The kinds. The numbers are part of the journal's format and never change; only `REQUEST` is written today."""

    REQUEST = 1
    """The record of one request, socket message or late call."""
    AGENT_HIT = 2
    """A request of a bot or another program."""
    INBOX = 3
    """An event that the application wrote in its own transaction."""
    IMPORT = 4
    """Past sessions from another source."""
    DIAGNOSTICS = 5
    """What the process noticed about itself."""


_REQUEST: Final = bytes([PayloadKind.REQUEST])
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Record).decode


def encode(record: Record) -> bytes:
    """Return the payload of a request's record."""
    return _REQUEST + _encode(record)


def decode(payload: bytes) -> Record | None:
    """Return the record in a payload, or `None` for a kind that this version does not read.

    A newer version beside this one, during an upgrade or before a rollback, may write such kinds. Raises
    `msgspec.MsgspecError` if there is no kind, or a request's record in another shape.
    """
    if not payload:
        msg = "a payload without its kind"
        raise msgspec.DecodeError(msg)
    return _decode(memoryview(payload)[1:]) if payload.startswith(_REQUEST) else None
