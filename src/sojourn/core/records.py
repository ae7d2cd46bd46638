"""Records: what the request path appends to the journal, and the recorder folds into sessions and events.

A record is about one session. The request path decided which; nothing later changes that. Encoded as MessagePack arrays, so
the order of the fields is the format: add at the end, and raise `FORMAT` for anything else. Not tracked by the garbage
collector: a record holds no circle, and there are many.

See P14 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec

from .events import Scalar
from .session import EndReason, SessionState

FORMAT: Final = 1

MANUAL: Final = 1
STARTS: Final = 2
"""This record began the session; it carries the `Origin`."""
ACTIVITY: Final = 4
"""The session was alive at `at`. Without it the record only adds events, such as the length of a stream."""
REQUEST: Final = 8
"""One HTTP request, counted as such."""
NO_FORWARD: Final = 16
"""For your own store only (`Sec-GPC`)."""
OPT_OUT: Final = 32
"""The visitor opted out at `at`, for good; the record carries the event `opt_out` and the session's seal."""
FAILED: Final = 64
"""The failed page view of this request was recorded before, without an exception: one in this record explains it."""
CARRIED: Final = 128
"""A call by what `carry()` took out of its request: it adds to its session while that is there, and makes none appear."""
LATE: Final = 256
"""The session had ended when the call was made, whether or not its end is recorded yet."""

LAST: Final = "last:"
"""Before the name of a counter: when (ms) it was counted last."""


class Tag(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A user named for the session; `user_id=None` removes the tag.

    `before` is the tag state that the request arrived with: racing requests that tag the same user make one event.
    """

    user_id: str | None
    name: str | None = None
    traits: dict[str, Scalar] | None = None
    is_explicit: bool = True
    is_emitted: bool = True
    """Whether it makes a `user.identify` event (the same user with other traits does not)."""
    before: str = ""


class Seal(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The end of the session by a call (`end_session()`, opt-out): its last activity and why."""

    reason: EndReason
    last_seen_at: int


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One thing that happened, in the order it happened: an event, a tag, or the seal."""

    name: str
    at: int
    attributes: dict[str, Scalar] | None = None
    tag: Tag | None = None
    seal: Seal | None = None


Origin: TypeAlias = Mapping[str, Scalar]
"""The session's first request as the attributes of `session.start`, with those of the service that every event has."""

SERVICE_ATTRIBUTES: Final = ("service.name", "service.version", "deployment.environment.name")


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One record. `previous_*` repeats the cookie's data of the session before, so that the first fold can seal it."""

    at: int
    key: str
    visitor_id: str
    started_at: int
    flags: int
    session_id: str | None = None
    previous_key: str | None = None
    previous_seen_at: int = 0
    previous_reason: EndReason | None = None
    entries: tuple[Entry, ...] = ()
    origin: Origin | None = None
    counters: dict[str, int] | None = None
    """Running totals of the process, sent when they have changed: what it refused and why. With `LAST` before its name, when
    (ms) that was counted last."""
    revision: int = 0
    logouts: int = 0
    """Of the session's state at the end of the request: the workers of other hosts compare their cookies with the highest."""
    path: str | None = None
    """The path of a request that may make a heartbeat and is no page view, as it may be kept."""
    browser: Mapping[str, str] | None = None
    """The ids of vendors' browser SDKs that the request brought, by attribute; empty for one that it did not bring."""


def about(  # noqa: PLR0917 - called on every request, and positional calls are cheaper
    state: SessionState,
    at: int,
    flags: int,
    entries: tuple[Entry, ...] = (),
    origin: Origin | None = None,
    counters: dict[str, int] | None = None,
    path: str | None = None,
    browser: Mapping[str, str] | None = None,
) -> Record:
    """A record of this session."""
    return Record(
        at,
        state.key,
        state.visitor_id,
        state.started_at,
        flags | MANUAL if state.is_manual else flags,
        None if state.session_id == state.key else state.session_id,
        state.previous_key,
        state.previous_seen_at,
        state.previous_reason,
        entries,
        origin,
        counters,
        state.revision,
        state.logouts,
        path,
        browser,
    )
