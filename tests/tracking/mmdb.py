"""Writes tiny files in the MaxMind DB format."""

from __future__ import annotations

import ipaddress
from typing import Any


def encoded(value: Any) -> bytes:
    """A value of the data section: texts, maps, whole numbers, arrays and truth values."""
    if isinstance(value, bool):
        return bytes([int(value), 14 - 7])
    if isinstance(value, str):
        raw = value.encode()
        return _head(2, len(raw)) + raw
    if isinstance(value, int):
        raw = value.to_bytes(4)
        return _head(6, 4) + raw
    if isinstance(value, list):
        return _head(11, len(value)) + b"".join(map(encoded, value))
    return _head(7, len(value)) + b"".join(encoded(name) + encoded(each) for name, each in value.items())


def _head(kind: int, size: int) -> bytes:
    low, more = (size, b"") if size < 29 else (29, bytes([size - 29])) if size < 285 else (30, (size - 285).to_bytes(2))
    return bytes([kind << 5 | low]) + more if kind < 8 else bytes([low, kind - 7]) + more


def database(networks: dict[str, Any], *, record_size: int = 24, version: int = 6, **meta: Any) -> bytes:
    """A file that has these values for these networks, which do not overlap."""
    nodes: list[list[Any]] = [[None, None]]
    data = b""
    for text, value in networks.items():
        network = ipaddress.ip_network(text)
        number, length = int(network.network_address), network.prefixlen
        if version == 6 and network.version == 4:
            length += 96
        width = 128 if version == 6 else 32
        node = 0
        for place in range(length):
            bit = number >> width - 1 - place & 1
            if place == length - 1:
                nodes[node][bit] = ("data", len(data))
            else:
                if nodes[node][bit] is None:
                    nodes.append([None, None])
                    nodes[node][bit] = len(nodes) - 1
                node = nodes[node][bit]
        data += encoded(value)

    def number_of(entry: Any) -> int:
        if entry is None:
            return len(nodes)
        return len(nodes) + 16 + int(entry[1]) if isinstance(entry, tuple) else int(entry)

    tree = b""
    for pair in nodes:
        left, right = map(number_of, pair)
        if record_size == 28:
            middle = (left >> 24) << 4 | right >> 24
            tree += (left & 0xFFFFFF).to_bytes(3) + bytes([middle]) + (right & 0xFFFFFF).to_bytes(3)
        else:
            tree += left.to_bytes(record_size // 8) + right.to_bytes(record_size // 8)
    about = {
        "node_count": len(nodes),
        "record_size": record_size,
        "ip_version": version,
        "binary_format_major_version": 2,
        **meta,
    }
    return tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + encoded(about)
