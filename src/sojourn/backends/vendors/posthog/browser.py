"""The session of PostHog's script (posthog-js): its tracing header, or the cookie of its default storage. Pure.

https://posthog.com/docs/data/sessions
"""

from __future__ import annotations

import re
from typing import Final

from sojourn.core.browser_sessions import BrowserSession
from sojourn.core.ids import created_at

_IDLE_MS: Final = 30 * 60_000
"""The script's own timeout: before its next event it begins a new session, which this request comes too early to know."""
_LONGEST_MS: Final = 24 * 3_600_000
_LEAD_MS: Final = 5 * 60_000
"""How far the browser's clock may be ahead."""
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
# `"$sesid":[last activity, id, start]` in JSON that is percent-encoded or not. In a text, the quotes would be escaped.
_QUOTE: Final = rb'(?:"|%22)'
_STORED: Final = re.compile(
    rb"%b(?:\$|%%24)sesid%b(?::|%%3A)(?:\[|%%5B)([0-9]{13})(?:,|%%2C)%b([0-9a-f-]{36})%b"
    % (_QUOTE, _QUOTE, _QUOTE, _QUOTE)
)


def _of_header(value: str, now: int) -> str | None:
    if not _ID.fullmatch(value):
        return None
    return value if -_LEAD_MS <= now - created_at(value) < _LONGEST_MS else None


def _of_cookie(value: bytes, now: int) -> str | None:
    stored = _STORED.search(value)
    if stored is None or not -_LEAD_MS <= now - int(stored[1]) < _IDLE_MS:
        return None
    return _of_header(stored[2].decode("ascii"), now)


BROWSER_SESSION: Final = BrowserSession(
    header="x-posthog-session-id", cookie=(b"ph_", b"_posthog"), of_header=_of_header, of_cookie=_of_cookie
)
