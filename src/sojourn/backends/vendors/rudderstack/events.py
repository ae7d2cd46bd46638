"""Encode events as RudderStack's `track`, `page` and `identify`, each with its session in `context`. Pure.

The server reads only the events of a batch, nothing beside them, so each event is complete.
https://www.rudderstack.com/docs/event-spec/standard-events/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from sojourn.backends._json import to_json
from sojourn.backends.spec.messages import message_of, traits_of
from sojourn.core import events as names
from sojourn.core.browser_sessions import attribute_of
from sojourn.core.events import Event, Scalar

_BROWSER_SESSION: Final = attribute_of("rudderstack")
_HIDDEN: Final = frozenset({_BROWSER_SESSION})
_GIVEN_ID: Final = re.compile(r"[1-9][0-9]{9,15}", re.ASCII)
_GREATEST_ID: Final = 2**53 - 1
"""JavaScript, in which destinations are written, rounds larger integers."""


def encoded(event: Event, sent_at: str, site: str | None = None) -> bytes:
    """Return one event as JSON. `site`: the address that paths are relative to."""
    message = message_of(event, site, _HIDDEN)
    message.channel = "server"
    message.original_timestamp = message.timestamp
    message.sent_at = sent_at
    context = message.context
    context.session_id = session_id(event)
    if event.name == names.SESSION_START and not _browser_session(event.attributes):
        # On a session's first event only, as in RudderStack's own libraries; that of the browser's script has one already.
        context.session_start = True
    context.traits = traits_of(event)
    return to_json(message)


def session_id(event: Event) -> int:
    """Return the session as an integer: the browser's own, the id of a manual one, or the time of the start (ms)."""
    if browser_session := _browser_session(event.attributes):
        return browser_session
    if event.is_manual and _GIVEN_ID.fullmatch(event.session_id) and int(event.session_id) <= _GREATEST_ID:
        return int(event.session_id)
    return event.session_started_at


def _browser_session(attributes: Mapping[str, Scalar]) -> int | None:
    """Return the session of RudderStack's script in the browser, where that is known."""
    own_id = str(attributes.get(_BROWSER_SESSION, ""))
    return int(own_id) if _GIVEN_ID.fullmatch(own_id) else None
