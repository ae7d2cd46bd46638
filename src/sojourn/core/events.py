"""The events that Sojourn forwards: their names and their one shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

Scalar = str | int | float | bool

SESSION_START: Final = "session.start"
SESSION_HEARTBEAT: Final = "session.heartbeat"
SESSION_END: Final = "session.end"
SESSION_PROPERTIES: Final = "session.properties"
USER_IDENTIFY: Final = "user.identify"
PAGE_VIEW: Final = "page_view"
CONNECTION_END: Final = "connection.end"
"""A socket or a streamed page is over: its whole length, which its page view came too early for."""
EXCEPTION: Final = "exception"
LOG: Final = "log"
OPT_OUT: Final = "opt_out"

RESERVED_NAMES: Final = frozenset(
    {
        SESSION_START,
        SESSION_HEARTBEAT,
        SESSION_END,
        SESSION_PROPERTIES,
        USER_IDENTIFY,
        PAGE_VIEW,
        CONNECTION_END,
        EXCEPTION,
        LOG,
        OPT_OUT,
    }
)
"""Names that `track()` refuses: only Sojourn emits these events."""


PREFETCHED: Final = "page_view.prefetched"
"""On the view of a page that the browser had loaded in advance: a later request from it shows that it was opened."""
COUNTRY: Final = "geo.country.iso_code"
IMPORTED: Final = "session.imported"
"""On `session.start`: where the session was imported from, as in `access log`."""
VISITOR_KIND: Final = "visitor.kind"
COOKIELESS: Final = "cookieless"
"""On `session.start`, of a visitor who has no cookie: the visitor's id is of one day, and of all who look alike."""
INTERNAL_REFERRER: Final = "session.internal_referrer"
"""On `session.start`: the referring page is one of this site, so it is no source of the visit."""

CONTEXT: Final = ("user_agent.original", "client.address", "http.request.header.referer")
"""Attributes of `session.start` that describe the client for the whole session: the context of its events."""


EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_PLACE: Final = "exception.place"
"""Where in the app's code an exception belongs: file and function."""
EXCEPTION_GROUP: Final = "exception.group"
"""Type and place in one text: exceptions with the same are the same error."""

APART: Final = frozenset({CONNECTION_END, OPT_OUT})
"""Events of a session that are no activity: they may come after its end."""

LOGOUTS: Final = "visitor.logouts"
"""How many users had left this browser before the event; absent for none. Events between two logouts are one person's."""


class Position(msgspec.Struct, frozen=True, gc=False):
    """A place in an event log. Opaque: only the store that made it can compare two of them; `str()` is for URLs and people.

    There may be several logs one day, or stripes of one: then a place is more than a number.
    """

    stored: int = 0
    """What the store made of it. Only the store reads it."""

    def __str__(self) -> str:
        return str(self.stored)

    @classmethod
    def from_text(cls, text: str) -> Position | None:
        """Read what `str()` made; `None` for anything else."""
        digits = text.removeprefix("-")
        return cls(int(text)) if digits.isdecimal() and text.isascii() and len(digits) < 16 else None


START: Final = Position(-(10**15) + 1)
"""Before the first event of a log, and before what was imported into it (P42)."""


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event to forward.

    `time` and `session_started_at` are integer milliseconds since the epoch (UTC). `id` is deterministic: a replay, a
    second sweeper or a retry makes the same one. `session_id` is the public id (a manual session may choose it),
    `session_key` is always a UUIDv7 of ours. `position` is the place in the event log (`START` before it has one).
    `attributes` is flat, names to scalars, and complete: it repeats `session.id`, `visitor.id`, `user.id` and the
    service under their OpenTelemetry names, so a backend may forward it as it is. `context` repeats what `session.start`
    says of the client (see `CONTEXT`), for a backend that sets `wants_context`; it is empty for all others. `elapsed_ms` is the
    time since the session's preceding event, for a backend that sets `wants_elapsed`.
    """

    id: str
    name: str
    time: int
    session_id: str
    session_key: str
    session_started_at: int
    visitor_id: str
    is_manual: bool = False
    previous_id: str | None = None
    user_id: str | None = None
    position: Position = START
    attributes: Mapping[str, Scalar] = {}
    context: Mapping[str, Scalar] = {}
    elapsed_ms: int | None = None
