"""Rate limit of log-ins: a token bucket per address, and one for all. Pure: time is an argument."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from sojourn.core.bounded import Bounded

_ADDRESSES: Final = 4096
_UNKNOWN: Final = "unknown"


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


@dataclass(slots=True, kw_only=True)
class Attempts:
    """An attempt is taken before the password is checked, so that parallel ones count too. Thread-safe."""

    per_address: int = 5
    per_address_every_s: float = 30.0
    """Seconds until an address gets one more attempt."""
    overall: int = 60
    overall_every_s: float = 2.0
    _by_address: Bounded[str, _Bucket] = field(default_factory=lambda: Bounded(_ADDRESSES))
    _all: _Bucket | None = None
    _lock: Lock = field(default_factory=Lock)

    def take(self, address: str | None, now: float) -> float | None:
        """Take an attempt: `None`, or for how many seconds to wait. `now` is monotonic, in seconds."""
        with self._lock:
            own = self._refilled(
                self._by_address.get(_network(address)), self.per_address, self.per_address_every_s, now
            )
            total = self._refilled(self._all, self.overall, self.overall_every_s, now)
            self._by_address[_network(address)] = own
            self._all = total
            if own.left < 1:
                return (1 - own.left) * self.per_address_every_s
            if total.left < 1:
                return (1 - total.left) * self.overall_every_s
            own.left -= 1
            total.left -= 1
            return None

    def succeeded(self, address: str | None) -> None:
        """Give the attempt back: the log-in succeeded."""
        with self._lock:
            self._by_address.discard(_network(address))
            if self._all is not None:
                self._all.left += 1

    @staticmethod
    def _refilled(bucket: _Bucket | None, size: int, every_s: float, now: float) -> _Bucket:
        if bucket is None:
            return _Bucket(float(size), now)
        bucket.left = min(float(size), bucket.left + max(0.0, now - bucket.at) / every_s)
        bucket.at = now
        return bucket


def _network(address: str | None) -> str:
    """Whose attempts count together: an IPv4 address, or an IPv6 /64, which one host may own."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return _UNKNOWN
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
