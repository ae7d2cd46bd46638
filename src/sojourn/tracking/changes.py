"""What one request changed in its sessions, kept until it is recorded."""

from __future__ import annotations

from sojourn.core.records import Entry
from sojourn.core.session import EndReason, SessionState


class SessionChanges:
    """What happened in one session during a request. A request that changes users has one for each of two sessions."""

    __slots__ = ("entries", "is_start", "previous", "reason", "seal", "state")

    def __init__(
        self,
        state: SessionState,
        *,
        is_start: bool = False,
        previous: SessionState | None = None,
        reason: EndReason | None = None,
    ) -> None:
        self.state = state
        self.is_start = is_start
        self.previous = previous
        """The session before it, if this request began it as a successor."""
        self.reason = reason
        """Why the session before it ended."""
        self.entries: list[Entry] = []
        self.seal: Entry | None = None

    def entries_in_order(self) -> tuple[Entry, ...]:
        """All entries, the end of the session last."""
        return tuple(self.entries) if self.seal is None else (*self.entries, self.seal)
