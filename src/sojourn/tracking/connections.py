"""Sockets and streams, which outlive a response start. Their messages are activity; their end records their length.

See S10 in docs/internals.md.
"""

from __future__ import annotations

import weakref
from typing import Final, cast

from sojourn.core import session
from sojourn.core.clock import Clock
from sojourn.core.events import CONNECTION_END, Scalar
from sojourn.core.records import ACTIVITY, Entry, about
from sojourn.core.threads import Lock

from .admission import FAILED
from .guard import Guard
from .options import TrackingOptions
from .presence import is_keep_alive
from .recording import Sink
from .visit import Visit

_EVENT_STREAM: Final = "text/event-stream"
_LASTING_MS: Final = 1000


class Connections:
    """Keeps sessions alive while a connection is. Every method may be called by any thread."""

    def __init__(self, options: TrackingOptions, *, clock: Clock, sink: Sink, guard: Guard) -> None:
        self._options = options
        self._clock = clock
        self._sink = sink
        self._guard = guard
        self._open: weakref.WeakSet[Visit] = weakref.WeakSet()
        self._lock = Lock()

    def after_fork(self) -> None:
        """Connections are open in the parent, which records them."""
        self._lock = Lock()
        self._open = weakref.WeakSet()

    def message(self, visit: Visit, content: str | bytes | None = None) -> None:
        """Note a socket message: activity of its browser's current session, recorded every `Rules.message_interval`.

        A message that only keeps the connection open is none. `content`: the message, where there is one.
        """
        live = visit.live
        if content is not None and self._options.presence_person and is_keep_alive(content):
            return
        if visit.refused is not None or live is None:
            return
        now = max(self._clock.now(), live.last_seen_at)
        if live.state.is_ended or session.over(live, self._options.rules, now) is not None:
            self._guard.count("over")
            return
        live.see(now)
        if now - live.recorded_at >= self._options.rules.message_interval:
            live.recorded_at = now
            record = about(live.state, now, ACTIVITY, path=visit.shown_path)
            self._sink.append(record, kind="activity", is_essential=False)

    def opened(self, visit: Visit) -> None:
        """Note an open connection; with `presence="open"` that alone is activity."""
        if self._options.presence_open:
            with self._lock:
                self._open.add(visit)

    def touch_open(self) -> None:
        """Note activity for every open connection. The background calls it at intervals."""
        with self._lock:
            visits = list(self._open)
        for visit in visits:
            self.message(visit)

    def close(self, visit: Visit, attributes: dict[str, Scalar]) -> None:
        """Record the length of a stream or socket that is over. That is no activity."""
        if self._options.presence_open:
            self._gone(visit)
        live = visit.live
        if visit.refused is not None or live is None or not self._options.page_views:
            return
        now = max(self._clock.now(), live.last_seen_at)
        attributes = {"url.path": visit.shown_path, **attributes}
        attributes["connection.duration_ms"] = round((self._clock.monotonic() - visit.mono) * 1000, 1)
        entry = Entry(CONNECTION_END, now, attributes)
        self._sink.append(about(live.state, now, 0, (entry,)), kind=CONNECTION_END, is_essential=False)

    @staticmethod
    def is_whole_page(visit: Visit) -> bool:
        """Whether the response is an HTML page that was sent in one piece, so that no stream is to be closed."""
        response = visit.response
        return visit.chunks < 2 and visit.page_view is not None and response is not None and response.status < FAILED

    def close_stream(self, visit: Visit) -> None:
        """Finish a response that was sent in pieces. For an event stream, or a page that took its time, record the length.

        Servers and frameworks also send a file in pieces: that is over at once, and no connection.
        """
        if self._options.presence_open:
            self._gone(visit)
        response, visit.response = visit.response, None
        page_view, visit.page_view = visit.page_view, None
        if response is None:
            return
        if _EVENT_STREAM in response.header("content-type").lower() or (
            visit.chunks > 1 and self._has_lasted(visit, page_view)
        ):
            self.close(visit, {"http.response.status_code": response.status})

    def _has_lasted(self, visit: Visit, page_view: dict[str, Scalar] | None) -> bool:
        """Whether a page was sent in pieces for long, counted from the start of its response."""
        if page_view is None:
            return False
        started_ms = cast("float", page_view["page_view.duration_ms"])
        return round((self._clock.monotonic() - visit.mono) * 1000 - started_ms, 1) >= _LASTING_MS

    def _gone(self, visit: Visit) -> None:
        with self._lock:
            self._open.discard(visit)
