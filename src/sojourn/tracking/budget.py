"""The budget of new sessions, for each network and for the host: it bounds what clients without a cookie can cost.

It is asked only where a session would start out of nothing. Requests with a cookie of ours pay nothing for it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Final

from sojourn.core.rates import Rate

from .facts import RequestFacts
from .masking import masked_address

FLOOD: Final = "flood"

Count = Callable[[str, int], int]
"""Counts one more for a name in a numbered window of time; returns how many there are, on all workers of the host."""

_HOST: Final = "*"
_TRANSLATED: Final = "64:ff9b::"
"""The network of RFC 6052: behind such a gateway, all of IPv4 has this one."""


class SessionBudget:
    """How many sessions may start out of nothing. Any thread may ask."""

    __slots__ = ("_count", "_host", "_network")

    def __init__(self, count: Count, *, network: Rate | None, host: Rate | None) -> None:
        self._count = count
        self._network, self._host = network, host

    def allows(self, request: RequestFacts, now: int) -> bool:
        """Whether one more session may start now (milliseconds since the epoch); it is counted if so.

        What a network may not is not counted for the host: one network does not use up the budget of all.
        """
        if self._network is not None:
            network = counted_network(request.proven_address())
            if network is not None and not self._fits(network, self._network, now):
                return False
        return self._host is None or self._fits(_HOST, self._host, now)

    def _fits(self, name: str, rate: Rate, now: int) -> bool:
        return self._count(name, now // rate.window) <= rate.number


def counted_network(address: str | None) -> str | None:
    """The /24 or /48 of a public address; `None` for any other, which is a proxy's, a colleague's or our own."""
    network = masked_address(address)
    if network is None or network == _TRANSLATED or not ipaddress.ip_address(network).is_global:
        return None
    return network
