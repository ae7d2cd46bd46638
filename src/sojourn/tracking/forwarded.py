"""The client's address and the browser's scheme behind a proxy. Only headers of trusted proxies count."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Protocol

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_BY_PROXIES = ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip")
"""What a proxy adds, and a browser never sends."""


class Headers(Protocol):
    """The headers of a request: a part of `facts.RequestFacts`."""

    def header(self, name: str) -> str: ...
    def has_any(self, names: tuple[str, ...]) -> bool: ...


class Proxies:
    """The trusted proxies. Without any, the connection's own address and scheme count."""

    __slots__ = ("_networks", "are_any")

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(networks)
        self.are_any = bool(networks)

    def client(self, peer: str | None, forwarded: str, forwarded_for: str) -> str | None:
        """The address of the client: from the right, the first that is not a trusted proxy.

        Addresses left of it come from an untrusted sender.
        """
        return self._chosen(peer, _addresses(forwarded, forwarded_for))[0]

    def proven_client(self, peer: str | None, headers: Headers) -> str | None:
        """The address of the client; `None` where a sender that is not trusted says that it only forwards.

        A server that corrects the address itself (uvicorn, `ProxyFix`) leaves the headers: then it is the farthest hop.
        """
        forwarded, forwarded_for = headers.header("forwarded"), headers.header("x-forwarded-for")
        if not self.trusts(peer) and headers.has_any(_BY_PROXIES):
            return peer if _addresses(forwarded, forwarded_for)[:1] == [peer] else None
        return self.client(peer, forwarded, forwarded_for)

    def scheme(self, peer: str | None, own: str, *, forwarded: str, forwarded_for: str, forwarded_proto: str) -> str:
        """The scheme of the browser's request, as the trusted proxy nearest to it says; else `own`."""
        if not self.trusts(peer):
            return own
        _, hops = self._chosen(peer, _addresses(forwarded, forwarded_for))
        if forwarded_proto or not forwarded:
            protos = _list(forwarded_proto)
        else:
            protos = [_parameter(element, "proto") for element in _list(forwarded)]
        if not protos:
            return own
        # One proxy may set it for the whole chain: then there are fewer schemes than hops, and the first one is it.
        scheme = protos[max(0, len(protos) - max(hops, 1))].lower()
        return scheme if scheme in {"http", "https", "ws", "wss"} else own

    def _chosen(self, peer: str | None, chain: list[str]) -> tuple[str | None, int]:
        """The client, and how many hops of the chain are trusted."""
        client = peer
        hops = 0
        for address in reversed(chain):
            if not self.trusts(client):
                break
            if parsed_address(address) is None:
                break  # obfuscated or unknown: the hop before it is the nearest address
            client = address
            hops += 1
        return client, hops

    def trusts(self, peer: str | None) -> bool:
        """Whether this is the address of a trusted proxy."""
        if not self._networks:
            return False
        if not peer:
            return True  # a Unix socket: only a local proxy connects to it
        address = parsed_address(peer)
        return address is not None and any(address in network for network in self._networks)


def _addresses(forwarded: str, forwarded_for: str) -> list[str]:
    """The hops, farthest first. Most proxies write only `X-Forwarded-*`, and let a visitor's own `Forwarded` pass."""
    if forwarded_for:
        return [_bare(value) for value in _list(forwarded_for)]
    return [_bare(_parameter(element, "for")) for element in _list(forwarded)]


def _parameter(element: str, key: str) -> str:
    for pair in element.split(";"):
        name, _, value = pair.strip().partition("=")
        if name.strip().lower() == key:
            return value.strip().strip('"')
    return ""


def _list(header: str) -> list[str]:
    return [part.strip() for part in header.split(",") if part.strip()][-64:]


def _bare(value: str) -> str:
    """Without the port: `192.0.2.1:80`, `[2001:db8::1]:80`."""
    if value.startswith("["):
        return value[1:].partition("]")[0]
    return value.partition(":")[0] if value.count(":") == 1 else value


def parsed_address(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed
