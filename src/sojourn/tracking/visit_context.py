"""What all visits of a tracker share, and the port through which they are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sojourn.core.clock import Clock
from sojourn.core.history import StoredSession
from sojourn.core.records import Entry, Origin
from sojourn.core.session import SessionState

from .cookie import CookieCodec
from .guard import Guard
from .memory import Memory
from .options import TrackingOptions
from .paths import Paths
from .session_cache import SessionCache

if TYPE_CHECKING:
    from .own_traffic import OwnTraffic
    from .tickets import TicketCodec
    from .transactions import Inbox
    from .visit import Visit
    from .without_cookie import Cookieless


class History(Protocol):
    """Reads what is recorded of a browser. Blocks; may raise."""

    def __call__(self, visitor_id: str, limit: int) -> Sequence[StoredSession]:
        """Return the latest sessions of a visitor, the latest first."""
        ...


class VisitRecorder(Protocol):
    """Records what a visit changed outside the response start. Never blocks, never raises for a full journal."""

    def record_late(self, visit: Visit) -> None:
        """Record a helper call made after the response had started."""
        ...

    def record_after_end(self, visit: Visit, state: SessionState, entry: Entry) -> None:
        """Record a call that came after the end of its session."""
        ...

    def record_opt_out(self, visit: Visit) -> None:
        """Record an opt-out, at once: wherever the visitor's next request goes, it holds there."""
        ...

    def origin(self, visit: Visit) -> Origin:
        """Return what `session.start` says of the request that began the session."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitContext:
    """What all visits of a tracker share."""

    options: TrackingOptions
    guard: Guard
    codec: CookieCodec
    sessions: SessionCache
    clock: Clock
    recorder: VisitRecorder
    paths: Paths
    inbox: Inbox
    tickets: TicketCodec
    own_traffic: OwnTraffic
    memory: Memory
    history: History
    cookieless: Cookieless | None = None
    """Recognises visitors without a cookie; `None`: there are none such."""
