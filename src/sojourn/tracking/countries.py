"""The country of a request, as a trusted proxy or else a file says. Read when a session begins, before the address is cut."""

from __future__ import annotations

import re
from typing import Final

from .country_file import CountryFile
from .facts import RequestFacts

_CODE: Final = re.compile(r"[A-Z]{2}")
_LOOK_EVERY_S: Final = 60.0
_NO_COUNTRY: Final = frozenset({"XX", "ZZ"})
"""Codes for "unknown", of Cloudflare and of Unicode."""


class Countries:
    """One per tracker; any thread. `header`: the name of the proxy's header; `None` for none."""

    __slots__ = ("_file", "_header", "_looked_at")

    def __init__(self, header: str | None = None, file: CountryFile | None = None) -> None:
        self._file = file
        self._looked_at = 0.0
        self._header = None if header is None else header.lower()

    def of(self, request: RequestFacts) -> str | None:
        """The two letters (ISO 3166) of the country that the request comes from."""
        code = None
        if self._header is not None and request.is_from_proxy():
            code = _code(request.header(self._header))
        if code is None and self._file is not None and (address := request.client_address()):
            found = self._file.country_of(address)
            code = _code(found) if isinstance(found, str) else None
        return code

    def turn(self, now_s: float) -> None:
        """Read the file anew if it was replaced; look once a minute. Reads the disk: for the background."""
        if self._file is not None and now_s - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = now_s
            self._file.reload()


def _code(text: str) -> str | None:
    code = text.strip().upper()
    return code if _CODE.fullmatch(code) and code not in _NO_COUNTRY else None
