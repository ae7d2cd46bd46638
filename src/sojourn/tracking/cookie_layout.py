"""The layout of the cookie's payload: a head, a body, and parts that its flags announce. Reading raises for any other.

See S11 in docs/internals.md.
"""

from __future__ import annotations

import struct
from typing import Final
from uuid import UUID

from sojourn.core.session import EndReason, SessionState

VERSION: Final = 1

_MANUAL, _TAGGED, _EXPLICIT, _ENDED, _OPTED_OUT, _PREVIOUS, _OWNER, _PRINCIPAL, _OWN_ID = (1 << bit for bit in range(9))
_HEAD = struct.Struct(">BH")
_BODY = struct.Struct(">16sQ16sQQHII")
_LINK = struct.Struct(">16sQB")
HASH_SIZE: Final = 8
_REASONS: Final = tuple(EndReason)


class OptedOut:
    """The cookie of a visitor who opted out. It carries nothing else."""

    def __repr__(self) -> str:
        return "OPTED_OUT"


OPTED_OUT: Final = OptedOut()


class Disputed:
    """Verified cookies of several visitors in one request: whose it is stays open."""

    def __repr__(self) -> str:
        return "DISPUTED"


DISPUTED: Final = Disputed()


def pack(state: SessionState | OptedOut) -> bytes:
    """The payload of this state."""
    if isinstance(state, OptedOut):
        return _HEAD.pack(VERSION, _OPTED_OUT)
    own_id = "" if state.session_id == state.key else state.session_id
    flags = (
        _MANUAL * state.is_manual
        | _TAGGED * state.is_tagged
        | _EXPLICIT * state.is_explicit
        | _ENDED * state.is_ended
        | _PREVIOUS * (state.previous_key is not None)
        | _OWNER * (state.owner is not None)
        | _PRINCIPAL * (state.principal is not None)
        | _OWN_ID * bool(own_id)
    )
    packed = [
        _HEAD.pack(VERSION, flags),
        _BODY.pack(
            UUID(state.visitor_id).bytes,
            state.visitor_since,
            UUID(state.key).bytes,
            state.started_at,
            state.last_seen_at,
            state.revision,
            state.visit_number,
            state.logouts,
        ),
    ]
    if state.previous_key is not None and state.previous_reason is not None:
        reason = _REASONS.index(state.previous_reason)
        packed.append(_LINK.pack(UUID(state.previous_key).bytes, state.previous_seen_at, reason))
    packed += [state.owner or b"", state.principal or b"", own_id.encode("ascii")]
    return b"".join(packed)


def unpack(data: bytes) -> SessionState | OptedOut:
    """The state in a payload. Raises `ValueError`, `struct.error` or `IndexError` for another layout."""
    version, flags = _HEAD.unpack_from(data)
    if version != VERSION:
        raise ValueError(version)
    if flags & _OPTED_OUT:
        return OPTED_OUT
    at = _HEAD.size
    (visitor, visitor_since, key, started_at, last_seen_at, revision, visit_number, logouts) = _BODY.unpack_from(
        data, at
    )
    at += _BODY.size
    previous_key, previous_seen_at, previous_reason = None, 0, None
    if flags & _PREVIOUS:
        link, previous_seen_at, reason = _LINK.unpack_from(data, at)
        previous_key, previous_reason = str(UUID(bytes=link)), _REASONS[reason]
        at += _LINK.size
    hashes: list[bytes | None] = []
    for flag in (_OWNER, _PRINCIPAL):
        hashes.append(data[at : at + HASH_SIZE] if flags & flag else None)
        at += HASH_SIZE if flags & flag else 0
    own_key = str(UUID(bytes=key))
    return SessionState(
        visitor_id=str(UUID(bytes=visitor)),
        visitor_since=visitor_since,
        key=own_key,
        session_id=data[at:].decode("ascii") if flags & _OWN_ID else own_key,
        started_at=started_at,
        last_seen_at=last_seen_at,
        previous_key=previous_key,
        previous_seen_at=previous_seen_at,
        previous_reason=previous_reason,
        owner=hashes[0],
        principal=hashes[1],
        is_manual=bool(flags & _MANUAL),
        is_tagged=bool(flags & _TAGGED),
        is_explicit=bool(flags & _EXPLICIT),
        is_ended=bool(flags & _ENDED),
        revision=revision,
        visit_number=visit_number,
        logouts=logouts,
    )
