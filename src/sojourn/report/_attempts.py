"""Rate limit of log-ins: a bucket of attempts per address, one for all, and one for each browser that has logged in before.

A bucket is one number, the moment when it is full again, so that the workers of a host can share it. Time is an argument.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, Protocol

from sojourn.core.rates import TokenBucket

OWN: Final = TokenBucket(size=5, every=30_000)
OVERALL: Final = TokenBucket(size=60, every=2_000)

_EVERYONE: Final = "everyone"
_UNKNOWN: Final = "unknown"


class Moment(Protocol):
    """A number that is kept under a name, in milliseconds since the epoch; 0 where none is."""

    @property
    def moment(self) -> int: ...

    def put_moment(self, at: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """An attempt is taken before the password is checked, so that parallel ones count too. Thread-safe.

    Two processes that take one at the same instant may count one.
    """

    moments: Callable[[str], Moment]
    """Where the buckets are kept, by name."""
    own: TokenBucket = OWN
    """Of an address, and of a browser that has logged in before."""
    overall: TokenBucket = OVERALL
    """Of all browsers that have not."""
    _lock: Lock = field(default_factory=Lock)

    def take(self, address: str | None, now: int, *, browser: str | None = None) -> int:
        """Take an attempt: 0, or for how many ms to wait. `browser`: the id of one that has logged in before.

        Such a browser has attempts of its own, which no one else can use up; after them, it is like any other.
        """
        with self._lock:
            if browser is not None and self._wait(self._buckets_of_browser(browser), now) == 0:
                return 0
            return self._wait(self._buckets_of(address), now)

    def succeeded(self, address: str | None, *, browser: str | None = None) -> None:
        """Give back the attempt: the log-in succeeded."""
        with self._lock:
            for name, bucket in self._buckets_of(address) if browser is None else self._buckets_of_browser(browser):
                kept = self.moments(name)
                kept.put_moment(bucket.put_back(kept.moment))

    def _buckets_of(self, address: str | None) -> tuple[tuple[str, TokenBucket], ...]:
        return (_network(address), self.own), (_EVERYONE, self.overall)

    def _buckets_of_browser(self, browser: str) -> tuple[tuple[str, TokenBucket], ...]:
        return ((f"browser:{browser}", self.own),)

    def _wait(self, buckets: tuple[tuple[str, TokenBucket], ...], now: int) -> int:
        """Take one attempt from each bucket, or, if one is empty, from none."""
        taken: list[tuple[Moment, int]] = []
        for name, bucket in buckets:
            kept = self.moments(name)
            wait, full_at = bucket.take(kept.moment, now)
            if wait:
                return wait
            taken.append((kept, full_at))
        for kept, full_at in taken:
            kept.put_moment(full_at)
        return 0


def _network(address: str | None) -> str:
    """Whose attempts count together: an IPv4 address, or an IPv6 /64, which one host may own."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return _UNKNOWN
    mapped = parsed if parsed.version == 4 else parsed.ipv4_mapped
    if mapped is not None:
        return str(mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
