"""Who a visitor without a cookie is for a day: a keyed hash of network, user agent and host. Pure.

The key is made of the day's salt, which is random and thrown away, and of the app's secret: a copy of the store, such as
a backup, holds the salt at most, and does not suffice to try networks out.

See S18 in docs/internals.md.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from sojourn.core.ids import hashed_uuid, uuid7

SALT_BYTES: Final = 32
_LONGEST_USER_AGENT: Final = 512


def hash_key(secret: bytes, salt: bytes) -> bytes:
    """The key of a day's hashes. `secret`: of any length."""
    own = blake2b(secret, digest_size=32, person=b"sojourn.daily").digest()
    return blake2b(salt, key=own, digest_size=32, person=b"sojourn.daily").digest()


def visitor_hash(key: bytes, network: str, user_agent: str, host: str) -> bytes:
    """The 16 bytes that stand for everyone who looks alike: of one network, with one user agent, at one host."""
    parts = [
        part.encode("utf-8", "surrogatepass") for part in (network, user_agent[:_LONGEST_USER_AGENT], host)
    ]  # their lengths go in, or a part could end in the beginning of the next
    data = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return blake2b(data, key=key, digest_size=16, person=b"visitor").digest()


class DailyVisitor:
    """One visitor of one day. `generation`: how many before have left these looks, by consent or by opting in anew."""

    __slots__ = ("generation", "hashed")

    def __init__(self, hashed: bytes, generation: int = 0) -> None:
        self.hashed = hashed
        self.generation = generation

    @property
    def visitor_id(self) -> str:
        """The id in events and the store. Without the salt it leads back to nothing."""
        return hashed_uuid("visitor of a day", self.hashed.hex(), str(self.generation))

    def first_key(self, now: int, idle_timeout: int) -> str:
        """The key of a session out of nothing: the same at every worker and host where it begins in one span of time.

        The span is an idle timeout long, so a visitor has no two sessions in it that begin out of nothing.
        """
        begins_at = now - now % idle_timeout
        parts = f"{self.hashed.hex()}:{self.generation}:{begins_at}".encode("ascii")
        return uuid7(begins_at, blake2b(parts, digest_size=10, person=b"first session").digest())
