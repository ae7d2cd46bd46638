"""What a frame of the journal carries: one byte that names the kind, then the bytes of that kind. Pure."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec

from sojourn.core.agent_hits import AgentHit
from sojourn.core.records import Record


class PayloadKind(IntEnum):
    """The kinds. The numbers are part of the journal's format and never change; the last two are not written yet."""

    REQUEST = 1
    """The record of one request, socket message or late call."""
    AGENT_HIT = 2
    """A request of an agent, or the verdict on one."""
    INBOX = 3
    """An event that the application wrote in its own transaction: a record, in the store's inbox and in no journal."""
    IMPORT = 4
    """Past sessions from another source."""
    DIAGNOSTICS = 5
    """What the process noticed about itself."""


_REQUEST: Final = bytes([PayloadKind.REQUEST])
_INBOX: Final = bytes([PayloadKind.INBOX])
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Record).decode
_AGENT_HIT: Final = bytes([PayloadKind.AGENT_HIT])
_decode_hit: Final = msgspec.msgpack.Decoder(AgentHit).decode


def encode(record: Record) -> bytes:
    """Return the payload of a request's record."""
    return _REQUEST + _encode(record)


def encode_hit(hit: AgentHit) -> bytes:
    """Return the payload of an agent's hit."""
    return _AGENT_HIT + _encode(hit)


def encode_for_inbox(record: Record) -> bytes:
    """Return the data of a row of the inbox."""
    return _INBOX + _encode(record)


def decode_from_inbox(data: bytes) -> Record | None:
    """Return the record in a row of the inbox; otherwise as `decode`."""
    return _decode(memoryview(data)[1:]) if data.startswith(_INBOX) else None


def decode(payload: bytes) -> Record | AgentHit | None:
    """Return the record or the hit in a payload, or `None` for a kind that this version does not read.

    A newer version beside this one, during an upgrade or before a rollback, may write such kinds. Raises
    `msgspec.MsgspecError` if there is no kind, or a kind in another shape.
    """
    if not payload:
        msg = "a payload without its kind"
        raise msgspec.DecodeError(msg)
    content = memoryview(payload)[1:]
    if payload.startswith(_REQUEST):
        return _decode(content)
    return _decode_hit(content) if payload.startswith(_AGENT_HIT) else None
