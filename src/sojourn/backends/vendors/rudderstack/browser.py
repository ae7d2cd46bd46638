"""The session of RudderStack's script (version 3): the cookie `rl_session`. It has no header. Pure.

https://www.rudderstack.com/docs/sources/event-streams/sdks/rudderstack-javascript-sdk/data-storage-cookies/
"""

from __future__ import annotations

from base64 import b64decode
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from sojourn.core.browser_sessions import BrowserSession

_MARK: Final = b"RS_ENC_v3_"
_LONGEST: Final = 1024
_LEAST, _GREATEST = 10**9, 2**53 - 1
"""Ids are times in ms, or whole numbers of at least ten digits that the site chose."""


class _Session(msgspec.Struct, rename="camel"):
    id: int
    manual_track: bool = False
    expires_at: int = 0


_decode: Final = msgspec.json.Decoder(_Session).decode


def _of_cookie(value: bytes, now: int) -> str | None:
    if len(value) > _LONGEST or not value.startswith(_MARK):
        return None
    try:
        session = _decode(b64decode(unquote_to_bytes(value[len(_MARK) :]), validate=True))
    except (ValueError, msgspec.MsgspecError):
        return None
    is_running = session.manual_track or session.expires_at >= now
    return str(session.id) if is_running and _LEAST <= session.id <= _GREATEST else None


BROWSER_SESSION: Final = BrowserSession(
    cookie=(b"rl_session", b""), of_header=lambda _value, _now: None, of_cookie=_of_cookie
)
