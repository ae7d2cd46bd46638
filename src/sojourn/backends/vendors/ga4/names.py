"""The names and values that Google Analytics takes: letters, digits and underscores, so long, and not the reserved ones. Pure.

https://developers.google.com/analytics/devguides/collection/protocol/ga4/sending-events#limitations
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Final

from sojourn.core.events import Scalar

EVENT_NAME: Final = 40
PARAMETER_NAME: Final = 40
USER_PROPERTY_NAME: Final = 24
LONGEST_VALUE: Final = 100
LONGEST_USER_VALUE: Final = 36
LONGEST_USER_ID: Final = 256
LONGER_VALUES: Final = {"page_location": 1_000, "page_referrer": 420, "page_title": 300}
"""https://support.google.com/analytics/answer/9267744"""

RESERVED_EVENTS: Final = frozenset(
    {
        *("ad_activeview", "ad_click", "ad_exposure", "ad_impression", "ad_query", "ad_reward", "adunit_exposure"),
        *("app_clear_data", "app_exception", "app_install", "app_remove", "app_store_refund", "app_update"),
        *("app_upgrade", "dynamic_link_app_open", "dynamic_link_app_update", "dynamic_link_first_open", "error"),
        *("firebase_campaign", "firebase_in_app_message_action", "firebase_in_app_message_dismiss"),
        *("firebase_in_app_message_impression", "first_open", "first_visit", "in_app_purchase"),
        *("notification_dismiss", "notification_foreground", "notification_open", "notification_receive"),
        *("notification_send", "os_update", "screen_view", "session_start", "user_engagement"),
    }
)
RESERVED_PARAMETERS: Final = frozenset({"firebase_conversion"})
RESERVED_USER_PROPERTIES: Final = frozenset(
    {"first_open_time", "first_visit_time", "last_deep_link_referrer", "user_id", "first_open_after_install"}
)
RESERVED_STARTS: Final = ("_", "firebase_", "ga_", "google_", "gtag")

_OTHER: Final = re.compile(r"[^A-Za-z0-9_]")


@lru_cache(maxsize=4096)  # bounded, because names come from the app
def fitted_name(name: str, longest: int, reserved: frozenset[str], start: str) -> str:
    """Return a name that is taken. `start` goes before one that is reserved or begins with no letter."""
    bare = _OTHER.sub("_", name)[:longest]
    if not bare[:1].isalpha() or bare in reserved or bare.lower().startswith(RESERVED_STARTS):
        bare = f"{start}{bare}"[:longest]
    return bare


def fitted_value(value: Scalar, longest: int = LONGEST_VALUE) -> str | int | float | None:
    """Return a value that is taken, or `None`: an empty text says nothing, and JSON has no number for infinity."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value[:longest] or None if isinstance(value, str) else value
