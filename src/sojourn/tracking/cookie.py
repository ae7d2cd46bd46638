"""The cookie: state <-> signed value. Reading never raises.

The value is a small binary layout (`cookie_layout.py`), signed under a salt of its own (`signing.py`).

See S11 in docs/internals.md.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from sojourn.core import session
from sojourn.core.bounded import Bounded
from sojourn.core.session import SessionState

from . import cookie_header
from .cookie_header import begins_pair
from .cookie_layout import DISPUTED, HASH_SIZE, Disputed, OptedOut, pack, unpack
from .signing import SignedValues

_SALT: Final = b"sojourn.session-cookie.1."
"""The cookie's name follows: one key in two apps does not make the cookie of one a cookie of the other."""
_MAX_LENGTH: Final = 600
_CACHE_SIZE: Final = 4096
_MAX_TRIES: Final = 8
"""How many unknown cookies of our name are verified in one header: each costs a signature."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A verified cookie: its state, and the number of the key that signed it (successor ids are derived under that key)."""

    state: SessionState
    key_number: int


class CookieCodec:
    """Signs with the last key, verifies with all, and caches what it has verified."""

    def __init__(self, keys: Sequence[bytes], base_name: str = "sojourn") -> None:
        salt = _SALT + base_name.encode("ascii")
        self._signed = SignedValues(keys, salt, _unpacked, longest=_MAX_LENGTH)
        self._subkeys = [hmac.digest(key, b"sojourn.derive.v1", "sha256") for key in keys]
        self._verified: Bounded[bytes, Verified | OptedOut] = Bounded(_CACHE_SIZE)

    def dumps(self, state: SessionState | OptedOut) -> str:
        """The signed value of this state."""
        return self._signed.dumps(pack(state))

    def loads(self, value: bytes) -> Verified | OptedOut | None:
        """The state in a cookie value; `None` if it is forged, mangled, too long or of another version."""
        cookie = self._verified.get(value)
        if cookie is None:
            cookie = self._signed.loads(value)
            if cookie is not None:
                self._verified[value] = cookie
        return cookie

    def read(self, header: bytes, name: bytes) -> Verified | OptedOut | Disputed | None:
        """Our cookie in a `Cookie` header, however hostile the other cookies are.

        Copies that do not verify are skipped. Of several copies of one visitor (the cookie's domain or path was changed)
        the newest holds. Copies of different visitors (another host of the domain has set one) leave open who this is.
        An opt-out in any copy holds.
        """
        start = header.find(name)
        if start < 0:
            return None
        if header.find(name, start + 1) < 0:  # the usual: one copy, seen before
            stop = header.find(b";", start)
            cookie = self._verified.young.get(header[start + len(name) + 1 : len(header) if stop < 0 else stop])
            if cookie is not None and (start == 0 or header[start - 2 : start] == b"; " or begins_pair(header, start)):
                return cookie
        newest: Verified | None = None
        is_disputed = False
        for cookie in self._verified_among(cookie_header.values(header, name)):
            if isinstance(cookie, OptedOut):
                return cookie
            if newest is not None and cookie.state.visitor_id != newest.state.visitor_id:
                is_disputed = True
            elif newest is None or session.is_newer_copy(cookie.state, newest.state):
                newest = cookie
        return DISPUTED if is_disputed else newest

    def _verified_among(self, values: Sequence[bytes]) -> Iterator[Verified | OptedOut]:
        """The copies that verify. Only a few unknown ones are tried, so junk before ours can hide it until it is cached."""
        tries = _MAX_TRIES
        for value in values:
            cookie = self._verified.get(value)
            if cookie is None and tries:
                tries -= 1
                cookie = self.loads(value)
            if cookie is not None:
                yield cookie

    def hash_user(self, user_id: str, *, key_number: int = -1) -> bytes:
        """The keyed hash of a user id, for the cookie."""
        data = user_id.encode("utf-8", "surrogatepass")
        return blake2b(data, key=self._subkeys[key_number], digest_size=HASH_SIZE, person=b"user").digest()

    def is_user(self, user_id: str, hashed: bytes | None) -> bool:
        """Whether this is the hash of this user, under any of the configured keys."""
        if hashed is None:
            return False
        numbers = range(len(self._subkeys))
        return any(hmac.compare_digest(self.hash_user(user_id, key_number=number), hashed) for number in numbers)

    def derive(self, key_number: int, *parts: str) -> bytes:
        """The random part of a successor's id: the same on every worker that verified the same cookie."""
        data = "\x1f".join(parts).encode("utf-8", "surrogatepass")
        return blake2b(data, key=self._subkeys[key_number], digest_size=10, person=b"successor").digest()


def _unpacked(data: bytes, number: int) -> Verified | OptedOut:
    state = unpack(data)
    return state if isinstance(state, OptedOut) else Verified(state, number)
