"""How the browser SDK of a vendor shows a server its session: a header, a cookie, and what counts as an id. Pure.

The id comes from the visitor: anything may stand there. It is an attribute of the events, for that vendor's backend alone. It
never selects, makes or merges a session.

See S17 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserSession:
    """Where an SDK shows its session, and how an id is read there. Both functions return `None` for what is no id of now."""

    header: str | None = None
    """In lower case. It goes before the cookie."""
    cookie: tuple[bytes, bytes]
    """What the name of the cookie begins and ends with."""
    of_header: Callable[[str, int], str | None]
    """From the header's value and the time (ms)."""
    of_cookie: Callable[[bytes, int], str | None]
    """From the cookie's value, as sent, and the time (ms)."""


def attribute_of(vendor: str) -> str:
    """The attribute that holds the id of this vendor's SDK; empty where the browser has stopped to send one."""
    return f"{vendor}.session_id"
