"""The browser's privacy signals, `Sec-GPC` (Global Privacy Control, a W3C draft) and `DNT`, as the settings apply them.

See S7 in docs/internals.md.
"""

from __future__ import annotations

from datetime import date
from enum import IntEnum

from .facts import RequestFacts


class PrivacyLevel(IntEnum):
    """How far a visit is restricted; a greater level restricts more."""

    UNRESTRICTED = 0
    NO_FORWARD = 1
    """Keep it in your own store; forward it to no third party."""
    ANONYMOUS = 2
    """No user; the address masked, whatever the settings say."""
    OFF = 3
    """No session, no cookie, no event."""


_LEVELS = {
    "ignore": PrivacyLevel.UNRESTRICTED,
    "no_forward": PrivacyLevel.NO_FORWARD,
    "anonymous": PrivacyLevel.ANONYMOUS,
    "off": PrivacyLevel.OFF,
}


HEADERS = ("sec-gpc", "dnt")


class PrivacySignals:
    """Reads the headers as the settings `gpc` and `dnt` say."""

    __slots__ = ("_dnt", "_gpc", "is_heeded")

    def __init__(self, gpc: str, dnt: str) -> None:
        self._gpc = _LEVELS[gpc]
        self._dnt = _LEVELS[dnt]
        self.is_heeded = bool(self._gpc or self._dnt)

    def of(self, request: RequestFacts) -> PrivacyLevel:
        """The stricter level of the two headers."""
        if not request.has_any(HEADERS):
            return PrivacyLevel.UNRESTRICTED
        gpc = self._gpc if self._gpc and request.header("sec-gpc") == "1" else PrivacyLevel.UNRESTRICTED
        dnt = self._dnt if self._dnt and request.header("dnt") == "1" else PrivacyLevel.UNRESTRICTED
        return max(gpc, dnt)


def gpc_support(last_update: date) -> dict[str, bool | str]:
    """The content of `/.well-known/gpc.json`: that this site honors Global Privacy Control, and since when."""
    return {"gpc": True, "lastUpdate": last_update.isoformat()}
