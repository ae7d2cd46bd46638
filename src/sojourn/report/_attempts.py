"""How often somebody may try to log in: a bucket of tries for each address, and one for all. Pure: time is an argument."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from sojourn.core.bounded import Bounded

_ADDRESSES: Final = 4096
_NOBODY: Final = "unknown"


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


@dataclass(slots=True, kw_only=True)
class Attempts:
    """A try is taken before the password is looked at, so that parallel ones count too. Several threads may ask."""

    per_address: int = 5
    per_address_every_s: float = 30.0
    """One more try comes back after this."""
    overall: int = 60
    overall_every_s: float = 2.0
    _by_address: Bounded[str, _Bucket] = field(default_factory=lambda: Bounded(_ADDRESSES))
    _all: _Bucket | None = None
    _lock: Lock = field(default_factory=Lock)

    def take(self, address: str | None, now: float) -> float | None:
        """`None`: go on. Else for how many seconds to wait. `now` is monotonic."""
        with self._lock:
            own = self._filled(self._by_address.get(_place(address)), self.per_address, self.per_address_every_s, now)
            everybody = self._filled(self._all, self.overall, self.overall_every_s, now)
            self._by_address[_place(address)] = own
            self._all = everybody
            if own.left < 1:
                return (1 - own.left) * self.per_address_every_s
            if everybody.left < 1:
                return (1 - everybody.left) * self.overall_every_s
            own.left -= 1
            everybody.left -= 1
            return None

    def succeeded(self, address: str | None) -> None:
        """The try was a good one: it does not count."""
        with self._lock:
            self._by_address.discard(_place(address))
            if self._all is not None:
                self._all.left += 1

    @staticmethod
    def _filled(bucket: _Bucket | None, size: int, every_s: float, now: float) -> _Bucket:
        if bucket is None:
            return _Bucket(float(size), now)
        bucket.left = min(float(size), bucket.left + max(0.0, now - bucket.at) / every_s)
        bucket.at = now
        return bucket


def _place(address: str | None) -> str:
    """An IPv6 host has a whole /64 to try from."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return _NOBODY
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
