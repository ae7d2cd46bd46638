"""The cookie: state <-> signed value, and the `Set-Cookie` line. Knows no request and no clock; reading never raises.

The value is base64url of a small binary layout, a dot, and an HMAC-SHA256 (itsdangerous' `Signer`, with a salt of our
own). Its alphabet is safe in every cookie parser. `TimestampSigner` is not used: it refuses a cookie signed by a host
whose clock is ahead; our times are in the payload.

See S11 in docs/internals.md.
"""

from __future__ import annotations

import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Final
from uuid import UUID

from itsdangerous import BadSignature, Signer

from sojourn.core.bounded import Bounded
from sojourn.core.session import EndReason, SessionState

from . import cookie_header
from .cookie_header import begins_pair

_VERSION: Final = 1
_SALT: Final = b"sojourn.session-cookie.1."
"""The cookie's name follows: one key in two apps does not make the cookie of one a cookie of the other."""
_LONGEST_VALUE: Final = 600
_REMEMBERED: Final = 4096
_MOST_TRIES: Final = 8
"""How many unknown cookies of our name are verified in one header: each costs a signature."""

_MANUAL, _TAGGED, _EXPLICIT, _ENDED, _OPTED_OUT, _PREVIOUS, _OWNER, _PRINCIPAL, _GIVEN = (1 << bit for bit in range(9))
_HEAD = struct.Struct(">BH")
_BODY = struct.Struct(">16sQ16sQQHII")
_LINK = struct.Struct(">16sQB")
_HASH_SIZE: Final = 8
_REASONS: Final = tuple(EndReason)


class OptedOut:
    """The cookie of a visitor who wants no analytics. It carries nothing else."""

    def __repr__(self) -> str:
        return "OPTED_OUT"


OPTED_OUT: Final = OptedOut()


@dataclass(frozen=True, slots=True)
class Verified:
    """A cookie that verified: its state, and the key of ours that did it (successor ids are derived under it)."""

    state: SessionState
    key_number: int


class CookieCodec:
    """Signs with the last key, verifies with all; remembers values it has verified."""

    def __init__(self, keys: Sequence[bytes], base_name: str = "sojourn") -> None:
        salt = _SALT + base_name.encode("ascii")
        self._signers = [Signer(key, salt=salt, sep=b".", key_derivation="hmac", digest_method=sha256) for key in keys]
        self._subkeys = [hmac.digest(key, b"sojourn.derive.v1", "sha256") for key in keys]
        self._verified: Bounded[bytes, Verified | OptedOut] = Bounded(_REMEMBERED)

    def dumps(self, state: SessionState | OptedOut) -> str:
        """The signed value of this state."""
        payload = urlsafe_b64encode(_pack(state)).rstrip(b"=")
        return self._signers[-1].sign(payload).decode("ascii")

    def loads(self, value: bytes) -> Verified | OptedOut | None:
        """What a cookie value says, or `None` if it is forged, mangled, oversized or of another version."""
        found = self._verified.get(value)
        if found is None:
            found = self._verify(value)
            if found is not None:
                self._verified[value] = found
        return found

    def read(self, header: bytes, name: bytes) -> Verified | OptedOut | None:
        """Our cookie in a `Cookie` header, however hostile its neighbours are.

        Copies that do not verify hide nothing. Two different ones that do (a cookie tossed by a neighbouring host) say
        nothing about who this is, and count as none; but who opted out in one of them has opted out.
        """
        start = header.find(name)
        if start < 0:
            return None
        if header.find(name, start + 1) < 0:  # the usual: one copy, seen before
            stop = header.find(b";", start)
            known = self._verified.young.get(header[start + len(name) + 1 : len(header) if stop < 0 else stop])
            if known is not None and begins_pair(header, start):
                return known
        found: Verified | None = None
        is_disputed = False
        for read in self._verified_among(cookie_header.values(header, name)):
            if isinstance(read, OptedOut):
                return read
            if read != found:
                found, is_disputed = read, found is not None
        return None if is_disputed else found

    def _verified_among(self, values: Sequence[bytes]) -> Iterator[Verified | OptedOut]:
        """The copies that verify. Of those not seen before a few are tried; junk before ours hides it only at first."""
        tries = _MOST_TRIES
        for value in values:
            read = self._verified.get(value)
            if read is None and tries:
                tries -= 1
                read = self.loads(value)
            if read is not None:
                yield read

    def hash_user(self, user_id: str, *, key_number: int = -1) -> bytes:
        """The keyed hash of a user id that may be in the cookie."""
        data = user_id.encode("utf-8", "surrogatepass")
        return blake2b(data, key=self._subkeys[key_number], digest_size=_HASH_SIZE, person=b"user").digest()

    def is_user(self, user_id: str, hashed: bytes | None) -> bool:
        """Whether this hash is of this user, under any of the configured keys."""
        if hashed is None:
            return False
        numbers = range(len(self._subkeys))
        return any(hmac.compare_digest(self.hash_user(user_id, key_number=number), hashed) for number in numbers)

    def derive(self, key_number: int, *parts: str) -> bytes:
        """The random part of a successor's id: every worker that verified the same cookie makes the same."""
        data = "\x1f".join(parts).encode("utf-8", "surrogatepass")
        return blake2b(data, key=self._subkeys[key_number], digest_size=10, person=b"successor").digest()

    def _verify(self, value: bytes) -> Verified | OptedOut | None:
        if len(value) > _LONGEST_VALUE:
            return None
        for number in reversed(range(len(self._signers))):
            try:
                payload = self._signers[number].unsign(value)
            except BadSignature:
                continue
            try:
                state = _unpack(urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
            except (ValueError, struct.error, IndexError):
                return None  # signed by us, but of a layout that this version does not know
            return state if isinstance(state, OptedOut) else Verified(state, number)
        return None


def set_cookie(
    name: str,
    value: str,
    *,
    path: str,
    samesite: str,
    is_secure: bool,
    domain: str | None = None,
    max_age: int | None = None,
) -> str:
    """A `Set-Cookie` line (RFC 6265). `max_age` in seconds; `None` makes it end with the browser."""
    parts = [f"{name}={value}"]
    if max_age is not None:
        parts.append(f"Max-Age={max_age}")
    if domain:
        parts.append(f"Domain={domain}")
    parts.append(f"Path={path}; HttpOnly; SameSite={samesite.capitalize()}")
    if is_secure:
        parts.append("Secure")
    return "; ".join(parts)


def _pack(state: SessionState | OptedOut) -> bytes:
    if isinstance(state, OptedOut):
        return _HEAD.pack(_VERSION, _OPTED_OUT)
    given = "" if state.session_id == state.key else state.session_id
    flags = (
        _MANUAL * state.is_manual
        | _TAGGED * state.is_tagged
        | _EXPLICIT * state.is_explicit
        | _ENDED * state.is_ended
        | _PREVIOUS * (state.previous_key is not None)
        | _OWNER * (state.owner is not None)
        | _PRINCIPAL * (state.principal is not None)
        | _GIVEN * bool(given)
    )
    packed = [
        _HEAD.pack(_VERSION, flags),
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
    packed += [state.owner or b"", state.principal or b"", given.encode("ascii")]
    return b"".join(packed)


def _unpack(data: bytes) -> SessionState | OptedOut:
    version, flags = _HEAD.unpack_from(data)
    if version != _VERSION:
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
        hashes.append(data[at : at + _HASH_SIZE] if flags & flag else None)
        at += _HASH_SIZE if flags & flag else 0
    own_key = str(UUID(bytes=key))
    return SessionState(
        visitor_id=str(UUID(bytes=visitor)),
        visitor_since=visitor_since,
        key=own_key,
        session_id=data[at:].decode("ascii") if flags & _GIVEN else own_key,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CookiePolicy:
    """How the cookie is named and guarded.

    The `__Host-` prefix (RFC 6265bis, section 4.1.3.2) binds it to this host, the path `/` and https.
    """

    base_name: str = "sojourn"
    path: str = "/"
    domain: str | None = None
    samesite: str = "lax"
    secure: bool | None = None
    """`None`: as the request came, `Secure` on https only."""
    max_age: int = 395 * 86_400
    is_persistent: bool = True

    def name(self, *, is_https: bool) -> bytes:
        """The only name that is read and written for such a request."""
        return self._name(is_secure=self._is_secure(is_https=is_https)).encode("ascii")

    def line(self, value: str, state: SessionState, now: int, *, is_https: bool) -> str:
        """The `Set-Cookie` line. The visitor's age counts from minting: writing it again does not prolong it."""
        left = self.max_age - max(0, now - state.visitor_since) // 1000
        return self._line(value, max(left, 0) if self.is_persistent else None, is_https=is_https)

    def opt_out_line(self, value: str, *, is_https: bool) -> str:
        """The `Set-Cookie` line of an opt-out: it outlives the browser even where the visitor's own cookie does not."""
        return self._line(value, self.max_age, is_https=is_https)

    def removal(self, *, is_https: bool) -> str:
        """The `Set-Cookie` line that makes the browser drop the cookie."""
        return self._line("", 0, is_https=is_https)

    def has_expired(self, state: SessionState, now: int) -> bool:
        """Whether the browser should have forgotten this visitor by now."""
        return now - state.visitor_since >= self.max_age * 1000

    def _line(self, value: str, max_age: int | None, *, is_https: bool) -> str:
        is_secure = self._is_secure(is_https=is_https)
        return set_cookie(
            self._name(is_secure=is_secure),
            value,
            path=self.path,
            samesite=self.samesite,
            is_secure=is_secure,
            domain=self.domain,
            max_age=max_age,
        )

    def _is_secure(self, *, is_https: bool) -> bool:
        return is_https if self.secure is None else self.secure

    def _name(self, *, is_secure: bool) -> str:
        is_host_only = self.domain is None and self.path == "/"
        return f"__Host-{self.base_name}" if is_secure and is_host_only else self.base_name
