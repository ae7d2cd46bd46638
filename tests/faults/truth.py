"""What the visitors of a fault did, as they know it: every request, what it asked for, and the response.

Nothing here comes from the store or from a backend; that is what it is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from threading import Lock


@dataclass(slots=True, kw_only=True)
class Step:
    """One request. Its `serial` is in its path and in its event; times are milliseconds since the epoch, by our clock."""

    serial: int
    visitor: int
    user: str | None = None
    """Whom it names by `identify()`."""
    cart: int | None = None
    """The session property that it sets."""
    ends: bool = False
    """Whether it calls `end_session()`, as its last act."""
    sent_at: float = 0.0
    responded_at: float | None = None
    """`None`: no whole response came; it may have been recorded, or not."""
    status: int = 0
    session: str | None = None
    """The session that the app saw in it."""
    took_ms: float = 0.0
    """How long the server had it, from its first to its last code."""
    skew_ms: int = 0
    """How far the clock of the host that responded was from ours."""
    is_between_clocks: bool = False
    """Whether that clock was set while the request was on its way."""

    @property
    def is_complete(self) -> bool:
        return self.responded_at is not None and self.status == 200

    @property
    def changes_state(self) -> bool:
        """Whether a visitor who got no response cannot know any more whose session it is."""
        return self.ends or self.user is not None


@dataclass(slots=True)
class Truth:
    """The account of all visitors; several threads write to it."""

    steps: list[Step] = field(default_factory=list)
    _serials: count[int] = field(default_factory=lambda: count(1))
    _visitors: count[int] = field(default_factory=lambda: count(1))
    _lock: Lock = field(default_factory=Lock)

    def new_visitor(self) -> int:
        with self._lock:
            return next(self._visitors)

    def new_serial(self) -> int:
        with self._lock:
            return next(self._serials)

    def note(self, step: Step) -> None:
        """Write down a request that went out, whatever came of it."""
        with self._lock:
            self.steps.append(step)

    def responses(self) -> int:
        with self._lock:
            return sum(step.is_complete for step in self.steps)

    def by_visitor(self) -> list[list[Step]]:
        """The requests of each visitor in the order in which they were made."""
        with self._lock:
            found: dict[int, list[Step]] = {}
            for step in self.steps:
                found.setdefault(step.visitor, []).append(step)
        return list(found.values())
