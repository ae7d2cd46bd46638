"""Networks of an agent, as its operator publishes them: read from a file, and asked whether an address is among them. Pure.

Most operators publish JSON of one shape, `{"prefixes": [{"ipv4Prefix": "..."}, {"ipv6Prefix": "..."}]}`; some have lists of
addresses, some one address a line. A file says who is verified, so one that cannot be right is refused as a whole.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, collapse_addresses, ip_network
from typing import Final

import msgspec

MOST_BYTES: Final = 2_000_000
MOST_NETWORKS: Final = 20_000
_WIDEST: Final = {4: 8, 6: 16}
"""A wider network belongs to no one operator: with it, anybody would be verified."""
_DEPTH: Final = 5
_NAMES: Final = frozenset(
    {
        "address",
        "cidr",
        "ip",
        "ipaddress",
        "ipprefix",
        "ipv4",
        "ipv4prefix",
        "ipv6",
        "ipv6prefix",
        "network",
        "prefix",
        "range",
    }
)
"""Of the fields that hold a network, in any spelling, one or several."""
_COMMENT: Final = re.compile(r"\s*(?:#|;|//).*")

Network = IPv4Network | IPv6Network


class InvalidNetworksError(ValueError):
    """Why a file is no list of networks."""


class Networks:
    """A set of networks. Asking takes microseconds, however many there are."""

    __slots__ = ("_count", "_firsts", "_lasts")

    def __init__(self, networks: Iterable[str]) -> None:
        parsed = [ip_network(each) for each in networks]
        self._count = len(parsed)
        self._firsts: dict[int, list[int]] = {}
        self._lasts: dict[int, list[int]] = {}
        four = collapse_addresses(each for each in parsed if isinstance(each, IPv4Network))
        six = collapse_addresses(each for each in parsed if isinstance(each, IPv6Network))
        for version, collapsed in ((4, sorted(four)), (6, sorted(six))):
            self._firsts[version] = [int(each.network_address) for each in collapsed]
            self._lasts[version] = [int(each.broadcast_address) for each in collapsed]

    def __len__(self) -> int:
        return self._count

    def __contains__(self, address: IPv4Address | IPv6Address) -> bool:
        number = int(address)
        place = bisect_right(self._firsts[address.version], number) - 1
        return place >= 0 and number <= self._lasts[address.version][place]


def parse_networks(data: bytes) -> tuple[str, ...]:
    """Return the networks of a published file, in order, each once. Raises `InvalidNetworksError`."""
    if len(data) > MOST_BYTES:
        msg = f"it is larger than {MOST_BYTES // 1_000_000} MB"
        raise InvalidNetworksError(msg)
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise InvalidNetworksError("it is no text (UTF-8)") from None
    if text.startswith("<"):
        raise InvalidNetworksError("it is a web page, not the list itself")
    texts = _of_json(text) if text[:1] in {"{", "["} else _of_lines(text)
    found: dict[Network, None] = {}
    for each in texts:
        found[_network(each)] = None
        if len(found) > MOST_NETWORKS:
            msg = f"it has more than {MOST_NETWORKS:,} networks"
            raise InvalidNetworksError(msg)
    if not found:
        raise InvalidNetworksError(
            'it has no networks; {"prefixes": [{"ipv4Prefix": "..."}]} or one a line is expected'
        )
    return tuple(str(each) for each in sorted(found, key=lambda each: (each.version, each)))


def _of_json(text: str) -> Iterator[str]:
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise InvalidNetworksError("it is no valid JSON") from None
    return _texts(document, is_network=isinstance(document, list), depth=0)


def _texts(value: object, *, is_network: bool, depth: int) -> Iterator[str]:
    if depth > _DEPTH:
        return
    if isinstance(value, str):
        if is_network:
            yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, is_network=is_network, depth=depth + 1)
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _texts(each, is_network=_is_network(name), depth=depth + 1)


def _is_network(name: str) -> bool:
    plain = name.lower().replace("_", "").replace("-", "")
    return bool({plain, plain.removesuffix("s"), plain.removesuffix("es")} & _NAMES)


def _of_lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if bare := _COMMENT.sub("", line, count=1).strip():
            yield bare


def _network(text: str) -> Network:
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        msg = f'"{_printable(text)}" is no network'
        raise InvalidNetworksError(msg) from None
    if network.prefixlen < _WIDEST[network.version]:
        msg = f"{network} is too wide to be one operator's"
        raise InvalidNetworksError(msg)
    if not network.is_global or network.is_multicast:
        msg = f"{network} is no public network"
        raise InvalidNetworksError(msg)
    return network


def _printable(text: str) -> str:
    return "".join(letter for letter in text[:40] if letter.isprintable())
