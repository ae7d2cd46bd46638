"""What is hidden before anything is kept: addresses, tokens in paths, referrers. Pure.

See S13 in docs/internals.md.
"""

from __future__ import annotations

import ipaddress
import re
from fnmatch import fnmatchcase
from hashlib import blake2b
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from sojourn.core.bounded import Bounded

_LONGEST_PATH = 1024
_LONGEST_USER_AGENT = 512
_SHORTEST_SECRET = 6
"""No mail address and no token is shorter."""
_MASKED = "*"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_MAIL = re.compile(r"[^@\s/]+@[^@\s/]+\.[^\W\d_]{2,}")
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*")
_HEX = re.compile(r"[0-9a-fA-F]{16,}|\{?[0-9a-fA-F]{8}-[0-9a-fA-F-]{20,}\}?")
_TOKEN = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_~.:+/$-]{20,}")
_PARAMETER = re.compile(r"[;&=,]")
_PIECE = re.compile(r"[-_.~:+]")
_WORD = re.compile(r"[A-Z]?[a-z]{1,15}|[A-Z]{1,5}|[0-9]{1,4}")
"""What people write between the hyphens of a readable path; a piece of a token mixes cases and digits, or runs on."""


def masked_address(address: str | None) -> str | None:
    """The client's network: IPv4 to /24, IPv6 to /48, as browser analytics do; `None` for what is no address."""
    if not address:
        return None
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if isinstance(found, ipaddress.IPv6Address) and found.sixtofour is not None:
        found = found.sixtofour  # its /48 is the whole IPv4 address of somebody's router
    prefix = 24 if found.version == 4 else 48
    return str(ipaddress.ip_network(f"{found}/{prefix}", strict=False).network_address)


def masked_path(path: str) -> str:
    """The path without what could open a door or name a person: tokens, mail addresses, JWTs and UUIDs become `*`."""
    path = printable(path, _LONGEST_PATH)
    return "/".join(_MASKED if _is_secret(segment) else segment for segment in path.split("/"))


def referrer(value: str) -> str | None:
    """Origin and path of a `Referer`: no query, no user, no fragment; the path masked like our own."""
    try:
        parts = urlsplit(printable(value, 2 * _LONGEST_PATH))
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not host:
        return None
    netloc = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{netloc}{f':{port}' if port else ''}{masked_path(parts.path)}"


def kept_query(query: str, patterns: tuple[str, ...]) -> str | None:
    """The query parameters that a setting allows, encoded again; `None` when nothing is left."""
    if not query or not patterns:
        return None
    pairs = parse_qsl(query[:4096], max_num_fields=None, errors="replace")
    kept = [(name, value) for name, value in pairs if any(fnmatchcase(name, pattern) for pattern in patterns)]
    return urlencode(kept)[:_LONGEST_PATH] or None


def pseudonym(user_id: str, key: bytes) -> str:
    """The user id's keyed hash: the same for the same user, and of no use without the key."""
    data = user_id.encode("utf-8", "surrogatepass")
    return blake2b(data, key=blake2b(key, digest_size=32).digest(), digest_size=16, person=b"user id").hexdigest()


def user_agent(value: str) -> str | None:
    """The user agent as sent, printable and bounded."""
    return printable(value, _LONGEST_USER_AGENT) or None


def printable(text: str, longest: int) -> str:
    """Cut to length, and rid of control characters and lone surrogates: hostile in logs, terminals and databases."""
    return _CONTROL.sub("\ufffd", text[:longest])


class Paths:
    """What is known of a path, remembered: whether it is excluded, and how it may be shown."""

    def __init__(self, exclude: tuple[str, ...]) -> None:
        self._exclude = exclude
        self._known: Bounded[str, tuple[bool, str]] = Bounded(2048)

    def look(self, path: str) -> tuple[bool, str]:
        """(is excluded, masked path)."""
        known = self._known.young.get(path) or self._known.get(path)
        if known is None:
            known = (any(fnmatchcase(path, pattern) for pattern in self._exclude), masked_path(path))
            if len(path) <= _LONGEST_PATH:
                self._known[path] = known
        return known


def _is_secret(segment: str) -> bool:
    if "%" in segment:  # a referrer's path is still encoded
        segment = unquote(segment)
    # Parameters of a segment too: Java servers write `;jsessionid=...` into the path.
    return len(segment) >= _SHORTEST_SECRET and any(_looks_secret(part) for part in _PARAMETER.split(segment))


def _looks_secret(part: str) -> bool:
    if _MAIL.search(part) or _JWT.fullmatch(part) or _HEX.fullmatch(part):
        return True
    return _TOKEN.fullmatch(part) is not None and not _is_readable(part)


def _is_readable(part: str) -> bool:
    """Mostly words, as in `how-to-grow-tomatoes-2026`."""
    pieces = _PIECE.split(part)
    words = sum(len(piece) for piece in pieces if _WORD.fullmatch(piece))
    return len(pieces) > 1 and words * 2 > sum(map(len, pieces))
