"""Reads the session ids of vendors' browser SDKs off a request. No more than that: see `core/browser_sessions.py`.

See S17 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from sojourn.core.browser_sessions import BrowserSession, attribute_of

from .cookie_header import begins_pair
from .facts import RequestFacts

if TYPE_CHECKING:
    from .visit import Visit

_LONGEST_HEADER: Final = 128
_LONGEST_NAME: Final = 128
_LONGEST_COOKIE: Final = 4096
_MOST_TRIES: Final = 64
_MOST_COOKIES: Final = 4
"""A site has one; a hostile client may send thousands."""


class BrowserIds:
    """One per tracker; any thread. `sdks`: what to read, by vendor."""

    __slots__ = ("_none", "_sdks")

    def __init__(self, sdks: Mapping[str, BrowserSession]) -> None:
        self._sdks = tuple((attribute_of(vendor), sdk) for vendor, sdk in sdks.items())
        self._none = dict.fromkeys((name for name, _ in self._sdks), "")

    def of(self, visit: Visit) -> Mapping[str, str]:
        """The attributes that the events of a request get; an empty id says that the browser sends none (any more).

        The vendor may know the user behind an id, so none is read where the browser asks for anonymity, or where nothing in
        the browser is to be used.
        """
        if visit.is_anonymous or visit.refused is not None or visit.daily is not None:
            return self._none
        return {name: _read(sdk, visit.facts, visit.now) or "" for name, sdk in self._sdks}


def _read(sdk: BrowserSession, facts: RequestFacts, now: int) -> str | None:
    if sdk.header is not None and (value := facts.header(sdk.header)):
        own_id = sdk.of_header(value, now) if len(value) <= _LONGEST_HEADER else None
        if own_id is not None:
            return own_id
    ids = {own_id for value in _cookies(facts.cookie, *sdk.cookie) if (own_id := sdk.of_cookie(value, now))}
    return ids.pop() if len(ids) == 1 else None  # of two projects' sessions none is the visitor's


def _cookies(header: bytes, prefix: bytes, suffix: bytes) -> list[bytes]:
    """The values of the cookies whose names begin and end so. Linear in the length of the header."""
    values: list[bytes] = []
    start = header.find(prefix)
    for _ in range(_MOST_TRIES):
        if start < 0 or len(values) == _MOST_COOKIES:
            break
        stop = header.find(b";", start)
        stop = len(header) if stop < 0 else stop
        middle = header.find(b"=", start, min(stop, start + _LONGEST_NAME))
        is_ours = middle > 0 and begins_pair(header, start) and _is_name(header[start:middle], prefix, suffix)
        if is_ours and stop - middle <= _LONGEST_COOKIE:
            values.append(header[middle + 1 : stop].strip(b' \t"'))
        start = header.find(prefix, stop)
    return values


def _is_name(name: bytes, prefix: bytes, suffix: bytes) -> bool:
    return name.endswith(suffix) and len(name) > len(prefix) + len(suffix) if suffix else name == prefix
