"""The country of a request: as a trusted proxy says. Read when a session begins, before the address is cut."""

from __future__ import annotations

import re
from typing import Final

from .facts import RequestFacts

_CODE: Final = re.compile(r"[A-Z]{2}")
_NO_COUNTRY: Final = frozenset({"XX", "ZZ"})
"""Codes for "unknown", of Cloudflare and of Unicode."""


class Countries:
    """One per tracker; any thread. `header`: the name of the proxy's header; `None` for none."""

    __slots__ = ("_header",)

    def __init__(self, header: str | None = None) -> None:
        self._header = None if header is None else header.lower()

    def of(self, request: RequestFacts) -> str | None:
        """The two letters (ISO 3166) of the country that the request comes from."""
        if self._header is None or not request.is_from_proxy():
            return None
        return _code(request.header(self._header))


def _code(text: str) -> str | None:
    code = text.strip().upper()
    return code if _CODE.fullmatch(code) and code not in _NO_COUNTRY else None
