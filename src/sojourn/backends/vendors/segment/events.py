"""Encode events as Segment's `track`, `page` and `identify`, each with its session for the Amplitude destination. Pure.

The spec has no session. Segment's own libraries for browsers and phones put its start, in milliseconds, where the destination
Amplitude (Actions) looks for it, and nowhere else.
https://segment.com/docs/connections/destinations/catalog/actions-amplitude/#track-sessions
"""

from __future__ import annotations

from typing import Final

from sojourn.backends._json import to_json
from sojourn.backends.spec.messages import EVERYWHERE, message_of, traits_of
from sojourn.core.events import Event

_AMPLITUDE: Final = "Actions Amplitude"


def encoded(event: Event, site: str | None = None) -> bytes:
    """Return one event as JSON. `site`: the address that paths are relative to.

    Without `sentAt`, by which Segment would correct the times: these are a server's clock.
    """
    message = message_of(event, site)
    message.context.channel = "server"
    message.traits = traits_of(event)
    message.integrations = {**EVERYWHERE, _AMPLITUDE: {"session_id": event.session_started_at}}
    return to_json(message)
