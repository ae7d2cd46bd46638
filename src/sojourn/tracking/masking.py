"""Masks what must not be stored: addresses, tokens in paths, referrers. Pure.

See S13 in docs/internals.md.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Container
from fnmatch import fnmatchcase
from hashlib import blake2b
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from .persons import is_phone, names_person
from .route_parameters import is_secret_name
from .tokens import is_code, is_token

_LONGEST_PATH = 1024
_LONGEST_USER_AGENT = 512
_LONGEST_QUERY = 4096
_SHORTEST_MAIL = 3
_MARGIN = 256
"""Characters beyond the longest path that are looked at, so that no token is recognised by half."""
_MASKED = "*"
# Every pattern here takes time in proportion to the text, whatever the text: a test tries all of them.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_JWT = re.compile(r"\AeyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*")
_LONG_NUMBER = re.compile(r"\A(?:[0-9a-fA-F]{16,}|\{?[0-9a-fA-F]{8}-[0-9a-fA-F-]{20,}\}?|[0-9]{4}(?:[ -][0-9]{4}){3})")
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_PARAMETER = re.compile(r"[;&,]")
_LINK_WORDS = frozenset((
    "reset", "resets", "verify", "verification", "invite", "invites", "invitation", "invitations", "confirm", "confirmation",
    "magic", "magiclink", "unsubscribe", "share", "shares", "shared", "activate", "activation",
))  # fmt: skip
"""What links are for whose holder needs no password: the token or the code stands behind it."""
_PHONE_WORDS = frozenset(("tel", "phone", "sms", "whatsapp"))
_WORDS = re.compile(r"\A(?:[A-Za-z]+[-_.:=])+")
"""Words before something else in the same segment: `reset-password-` of `reset-password-4f3k2m9x`."""
_PIECE = re.compile(r"[-_.:=]|(?<=[a-z])(?=[A-Z])")
_REACH = 6
"""Segments behind such a word that are read as what it announces."""


def masked_address(address: str | None) -> str | None:
    """The client's network: IPv4 to /24, IPv6 to /48, as browser analytics do; `None` for what is no address."""
    if not address:
        return None
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.sixtofour is not None:
        parsed = parsed.sixtofour  # its /48 holds the whole IPv4 address of a router
    prefix = 24 if parsed.version == 4 else 48
    return str(ipaddress.ip_network(f"{parsed}/{prefix}", strict=False).network_address)


def masked_path(path: str, secret: Container[int] = ()) -> str:
    """The path without what could open a door or name a person: tokens, codes, mail addresses, phone numbers become `*`.

    `secret`: the places of segments that are masked whatever they look like.
    """
    segments = printable(path, _LONGEST_PATH + _MARGIN).split("/")
    link = phone = 0
    for place, text in enumerate(segments):
        segment = _decoded(text)
        if place in secret or _is_secret(segment, is_announced=link > 0, is_tel=phone > 0):
            segments[place] = _MASKED if text else text
        words = _words(segment)
        link = link - 1 if words.isdisjoint(_LINK_WORDS) else _REACH
        phone = 0 if words.isdisjoint(_PHONE_WORDS) else 1
    return "/".join(segments)[:_LONGEST_PATH]


def longest_shown(path: str) -> str:
    """A path that is kept as it is: printable, and of bounded length."""
    return printable(path, _LONGEST_PATH)


def referrer(value: str, mask: Callable[[str], str] = masked_path) -> str | None:
    """Origin and path of a `Referer`: no query, no user, no fragment; the path masked like our own."""
    try:
        parts = urlsplit(printable(value, 2 * _LONGEST_PATH))
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not host:
        return None
    netloc = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{netloc}{f':{port}' if port else ''}{mask(parts.path)}"


def kept_query(query: str, patterns: tuple[str, ...], keep: Container[str] = ()) -> str | None:
    """The query parameters that a setting allows, encoded again; `None` when nothing is left.

    Values that name a person become `*`, and tokens do, unless the setting allows the parameter by its whole name. `keep`:
    names of parameters that are never masked.
    """
    if not query or not patterns:
        return None
    pairs = parse_qsl(query[:_LONGEST_QUERY], max_num_fields=None, errors="replace")
    kept = [
        (name, value if name in keep or not _is_secret_value(name, value, is_exact=name in patterns) else _MASKED)
        for name, value in pairs
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    ]
    return urlencode(kept, safe=_MASKED, errors="replace")[:_LONGEST_PATH] or None


def pseudonym(user_id: str, key: bytes) -> str:
    """The keyed hash of a user id: the same for the same user, and useless without the key."""
    data = user_id.encode("utf-8", "surrogatepass")
    return blake2b(data, key=blake2b(key, digest_size=32).digest(), digest_size=16, person=b"user id").hexdigest()


def user_agent(value: str) -> str | None:
    """The user agent as sent, printable and bounded."""
    return printable(value, _LONGEST_USER_AGENT) or None


def printable(text: str, longest: int) -> str:
    """Cut to length, without control characters and lone surrogates, which break logs, terminals and databases."""
    return _CONTROL.sub("\ufffd", text[:longest])


def _decoded(segment: str) -> str:
    """A segment as its reader means it: a referrer's path is still encoded, and so is a link within a link."""
    for _ in range(2):
        if "%" not in segment:
            break
        segment = unquote(segment)
    return segment


def _words(segment: str) -> set[str]:
    return {word.lower() for word in _PIECE.split(segment[:_MARGIN])}


def _is_secret(segment: str, *, is_announced: bool, is_tel: bool) -> bool:
    if len(segment) < _SHORTEST_MAIL:
        return False
    if is_tel and is_phone(segment):
        return True
    # Parameters of a segment too: Java servers write `;jsessionid=...` into the path.
    for part in _PARAMETER.split(segment):
        name, _, value = part.partition("=")
        if (value and is_secret_name(name)) or names_person(part) or any(map(_opens_door, (name, value))):
            return True
        if is_announced and is_code(part):
            return True
        if (
            (words := _WORDS.match(part))
            and not _LINK_WORDS.isdisjoint(_words(words[0]))
            and is_code(part[words.end() :])
        ):
            return True
    return False


def _is_secret_value(name: str, value: str, *, is_exact: bool) -> bool:
    """Whether the value of a query parameter is to be masked. `+` reads as a blank there."""
    if names_person(f"+{value[1:]}" if value.startswith(" ") else value):
        return True
    return not is_exact and (is_secret_name(name) or any(map(_opens_door, _PARAMETER.split(value))))


def _opens_door(part: str) -> bool:
    """Whether it is a token: a JWT, a UUID, a long number, or random."""
    if _JWT.fullmatch(part) or _LONG_NUMBER.fullmatch(part) or _UUID.search(part):
        return True
    return is_token(part)
