"""Credentials of the report: a password and a token, kept only as hashes, and the one-time key of a printed link."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from sojourn.errors import SettingsError

SHORTEST_PASSWORD: Final = 8
SHORTEST_TOKEN: Final = 16

_COST: Final = {"n": 2**14, "r": 8, "p": 1}
"""16 MiB and about 50 ms per guess."""
_LONGEST: Final = 1024


def hash_of(secret: str) -> str:
    """Return what the store keeps of a secret of ours, whose 256 random bits need no slow hash. A guess may be any text."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Password:
    """A password as its scrypt hash. Guesses are checked one at a time, so that many do not take the host's memory."""

    def __init__(self, password: str) -> None:
        if not isinstance(password, str) or len(password) < SHORTEST_PASSWORD:
            msg = (
                f"password: the report needs a string of at least {SHORTEST_PASSWORD} characters; "
                f"here is a new one: {secrets.token_urlsafe(12)}"
            )
            raise SettingsError(msg)
        self._salt = os.urandom(16)
        self._hash = self._hashed(password)
        self._one_guess = Lock()

    def is_right(self, guess: str) -> bool:
        if len(guess) > _LONGEST:
            return False
        with self._one_guess:
            return hmac.compare_digest(self._hashed(guess), self._hash)

    def _hashed(self, password: str) -> bytes:
        encoded = password.encode("utf-8", "surrogatepass")
        return hashlib.scrypt(encoded, salt=self._salt, dklen=32, **_COST)


class Token:
    """A long random text for programs. It cannot be guessed, so a fast keyed hash is enough."""

    def __init__(self, token: str) -> None:
        if not isinstance(token, str) or len(token) < SHORTEST_TOKEN or not token.isascii():
            msg = (
                f"token: the report needs an ASCII string of at least {SHORTEST_TOKEN} characters; "
                f"here is a new one: {secrets.token_urlsafe(24)}"
            )
            raise SettingsError(msg)
        self._key = os.urandom(32)
        self._hash = self._hashed(token)

    def is_right(self, guess: str) -> bool:
        return hmac.compare_digest(self._hashed(guess), self._hash)

    def _hashed(self, token: str) -> bytes:
        return hashlib.blake2b(token.encode("utf-8", "surrogatepass"), key=self._key).digest()


@dataclass(slots=True)
class OneTimeKey:
    """The key in a printed link. Using it replaces it by a new one. Thread-safe."""

    _key: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    @property
    def current(self) -> str:
        return self._key

    def use(self, guess: str) -> bool:
        with self._lock:
            if not hmac.compare_digest(guess.encode("utf-8", "replace"), self._key.encode()):
                return False
            self._key = secrets.token_urlsafe(24)
            return True
