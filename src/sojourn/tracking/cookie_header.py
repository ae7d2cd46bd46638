"""The values of one cookie in a `Cookie` header, read as the browser wrote it (RFC 6265bis, section 5.7). Pure.

Browsers separate pairs with `; ` and nothing else. Commas, blanks and tabs are legal inside a value, so a neighbouring
host could smuggle a pair of our name into a cookie of its own if they separated anything here.

See S11 in docs/internals.md.
"""

from __future__ import annotations

from typing import Final

MOST_COPIES: Final = 64
"""How many cookies of one name are read. A browser sends few; a hostile client may send thousands."""


def values(header: bytes, name: bytes) -> list[bytes]:
    """The values of all cookies with this name, in order, without quotes. Linear in the length of the header."""
    copies: list[bytes] = []
    pair = name + b"="
    start = header.find(name)
    while start >= 0 and len(copies) < MOST_COPIES:
        stop = header.find(b";", start)
        stop = len(header) if stop < 0 else stop
        if header.startswith(pair, start) and begins_pair(header, start):
            copies.append(header[start + len(pair) : stop].strip(b' \t"'))
        start = header.find(name, stop)
    return copies


def begins_pair(header: bytes, start: int) -> bool:
    """Whether a pair begins here: at the start of the header, or after `;` and blanks."""
    while start > 0 and header[start - 1] in b" \t":
        start -= 1
    return start == 0 or header[start - 1] == ord(";")
