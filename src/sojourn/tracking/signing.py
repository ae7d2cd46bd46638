"""Signed values: base64url of a payload, a dot, and an HMAC-SHA256 (itsdangerous' `Signer`). Reading never raises.

The alphabet is safe in every cookie parser, and in headers. `TimestampSigner` is not used: it refuses what a host signed whose
clock is ahead; our times are in the payload.
"""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Generic, TypeVar

from itsdangerous import BadSignature, Signer

T = TypeVar("T")


def signers(keys: Sequence[bytes], salt: bytes) -> list[Signer]:
    """One signer per key. The salt keeps apart what is signed for different ends, or by two apps with one key."""
    return [Signer(key, salt=salt, sep=b".", key_derivation="hmac", digest_method=sha256) for key in keys]


class SignedValues(Generic[T]):
    """Signs with the last key, verifies with all.

    `unpack` reads a payload, and gets the number of its key; it raises `ValueError`, `struct.error` or `IndexError` for one of
    another version.
    """

    __slots__ = ("_longest", "_signers", "_unpack")

    def __init__(self, keys: Sequence[bytes], salt: bytes, unpack: Callable[[bytes, int], T], *, longest: int) -> None:
        self._signers = signers(keys, salt)
        self._unpack = unpack
        self._longest = longest

    def dumps(self, payload: bytes) -> str:
        """The payload as a signed value."""
        return self._signers[-1].sign(urlsafe_b64encode(payload).rstrip(b"=")).decode("ascii")

    def loads(self, value: bytes) -> T | None:
        """What was signed; `None` if it is forged, mangled, too long or of another version."""
        if len(value) > self._longest:
            return None
        for number in reversed(range(len(self._signers))):
            try:
                payload = self._signers[number].unsign(value)
            except BadSignature:
                continue
            try:
                return self._unpack(urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)), number)
            except (ValueError, struct.error, IndexError):
                return None  # signed by us, in a layout of another version
        return None
