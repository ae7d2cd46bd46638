"""What outlives a response start: sockets and streams. Their messages are activity, and their end tells their length."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Protocol

from sojourn.core import session
from sojourn.core.clock import Clock
from sojourn.core.events import CONNECTION_END, Scalar
from sojourn.core.records import ACTIVITY, Entry, Record, about
from sojourn.core.session import Rules
from sojourn.core.threads import Lock

from .visit import Visit


class Sink(Protocol):
    """Where records go: appends one, never blocks, never raises; False: refused, and counted there."""

    def append(self, record: Record, *, kind: str, is_essential: bool) -> bool: ...


class Connections:
    """Tells sessions that a connection is alive. Every method may be called by any thread."""

    def __init__(
        self,
        *,
        rules: Rules,
        clock: Clock,
        sink: Sink,
        count: Callable[[str], None],
        is_told: bool,
        open_is_activity: bool,
    ) -> None:
        self._rules = rules
        self._clock = clock
        self._sink = sink
        self._count = count
        self._is_told = is_told
        self._open_is_activity = open_is_activity
        self._open: weakref.WeakSet[Visit] = weakref.WeakSet()
        self._opening = Lock()

    def after_fork(self) -> None:
        """What is open is open in the parent, which tells of it."""
        self._opening = Lock()
        self._open = weakref.WeakSet()

    def message(self, visit: Visit) -> None:
        """A socket message came in: activity of the session where its browser is now, recorded now and then."""
        live = visit.live
        if visit.refused is not None or live is None:
            return
        now = max(self._clock.now(), live.last_seen_at)
        if live.state.is_ended or session.over(live, self._rules, now) is not None:
            self._count("over")
            return
        live.see(now)
        if now - live.recorded_at >= self._rules.message_interval:
            live.recorded_at = now
            self._sink.append(about(live.state, now, ACTIVITY), kind="activity", is_essential=False)

    def opened(self, visit: Visit) -> None:
        """A connection that stays open; with `presence="open"` that alone is activity."""
        if self._open_is_activity:
            with self._opening:
                self._open.add(visit)

    def touch_open(self) -> None:
        """Activity for every connection that is open (called by the background now and then)."""
        with self._opening:
            visits = list(self._open)
        for visit in visits:
            self.message(visit)

    def close(self, visit: Visit, attributes: dict[str, Scalar]) -> None:
        """A stream or a socket is over: tell its length. No activity."""
        self._gone(visit)
        live = visit.live
        if visit.refused is not None or live is None or not self._is_told:
            return
        now = max(self._clock.now(), live.last_seen_at)
        told: dict[str, Scalar] = {"url.path": visit.shown_path}
        told.update(attributes)
        told["connection.duration_ms"] = round((self._clock.monotonic() - visit.mono) * 1000, 1)
        entry = Entry(CONNECTION_END, now, told)
        self._sink.append(about(live.state, now, 0, (entry,)), kind=CONNECTION_END, is_essential=False)

    def close_stream(self, visit: Visit) -> None:
        """A response that was sent in pieces is over; of pages in more than one, the whole length is told."""
        self._gone(visit)
        page_view, visit.page_view = visit.page_view, None
        if page_view is not None and visit.chunks > 1:
            self.close(visit, {"http.response.status_code": page_view["http.response.status_code"]})

    def _gone(self, visit: Visit) -> None:
        if self._open_is_activity:
            with self._opening:
                self._open.discard(visit)
