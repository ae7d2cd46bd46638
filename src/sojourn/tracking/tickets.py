"""Tickets: a session as a job takes it along, signed and with the time when it was issued. Reading never raises.

A ticket is no cookie and cannot be used as one: it is signed under a salt of its own.

See S15 in docs/internals.md.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sojourn.core.session import SessionState

from .cookie_layout import OptedOut, pack, unpack
from .signing import SignedValues

_SALT: Final = b"sojourn.session-ticket.1."
_HEAD: Final = struct.Struct(">BBQ")
_VERSION: Final = 1
_MAX_LENGTH: Final = 700
_NO_FORWARD: Final = 1
_ANONYMOUS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A session, when the ticket was issued (ms), and what the visitor's privacy signals ask for."""

    state: SessionState
    issued_at: int
    no_forward: bool = False
    is_anonymous: bool = False
    key_number: int = -1
    """The key that it is signed with."""


class TicketCodec:
    """Signs with the last key, verifies with all."""

    def __init__(self, keys: Sequence[bytes], base_name: str = "sojourn") -> None:
        salt = _SALT + base_name.encode("ascii")
        self._signed = SignedValues(keys, salt, _unpacked, longest=_MAX_LENGTH)

    def dumps(self, ticket: Ticket) -> str:
        """The ticket as a header value."""
        flags = _NO_FORWARD * ticket.no_forward | _ANONYMOUS * ticket.is_anonymous
        return self._signed.dumps(_HEAD.pack(_VERSION, flags, ticket.issued_at) + pack(ticket.state))

    def loads(self, text: str) -> Ticket | None:
        """The ticket in a header value; `None` if it is forged, mangled, too long or of another version."""
        return self._signed.loads(text.encode("ascii")) if text.isascii() else None


def _unpacked(data: bytes, number: int) -> Ticket:
    version, flags, issued_at = _HEAD.unpack_from(data)
    state = unpack(data[_HEAD.size :])
    if version != _VERSION or isinstance(state, OptedOut):
        raise ValueError(version)
    return Ticket(
        state=state,
        issued_at=issued_at,
        no_forward=bool(flags & _NO_FORWARD),
        is_anonymous=bool(flags & _ANONYMOUS),
        key_number=number,
    )
