"""Add the client of its session to an event."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from sojourn.core.events import Event, Scalar

_CLIENT: Final = ("user_agent.original", "client.address")


def with_client(event: Event) -> Mapping[str, Scalar]:
    """Return the event's attributes, with the user agent and the address of its session where it has none of its own.

    Without the referrer, which was that of the session's first request, and would be taken for this event's.
    """
    if not event.context:
        return event.attributes
    client = {name: event.context[name] for name in _CLIENT if name in event.context}
    return {**event.attributes, **{name: value for name, value in client.items() if name not in event.attributes}}


@lru_cache(maxsize=1024)
def valid_address(text: str) -> str | None:
    """Return an IP address as a receiver that checks it wants it, or `None` for anything else."""
    try:
        return str(ip_address(text))
    except ValueError:
        return None
