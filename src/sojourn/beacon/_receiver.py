"""Receives beacons: activity and page views of a running session. A beacon never starts, splits or revives one.

The response is always 204, so it reveals nothing to a sender; what was wrong is counted. The cookie is renewed when it is
due, as by any response: a long stay on one page would otherwise look idle to another worker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from sojourn.core.bounded import Bounded
from sojourn.core.events import PAGE_VIEW, Scalar
from sojourn.tracking.facts import RequestFacts
from sojourn.tracking.guard import Guard
from sojourn.tracking.tracker import Tracker
from sojourn.tracking.visit import Visit

from ._page import BeaconBody, Kind, PageFacts, read
from ._replies import NO_CONTENT, Reply, not_allowed

SAME_DOCUMENT: Final = "browser.navigation.same_document"
"""On page views that a beacon reports, as in OpenTelemetry's browser instrumentation: whether the page itself navigated."""

_METHOD: Final = "POST"
_BURST: Final = 30
_PER_S: Final = 1.0
_REMEMBERED: Final = 10_000


class Receiver:
    """The endpoint that pages send to."""

    def __init__(
        self, tracker: Tracker, guard: Guard, *, has_page_views: bool, query: Callable[[RequestFacts], str | None]
    ) -> None:
        self._tracker = tracker
        self._guard = guard
        self._has_page_views = has_page_views
        self._query = query
        self._allowances: Bounded[str, tuple[float, float]] = Bounded(_REMEMBERED)

    def reads(self, request: RequestFacts) -> bool:
        if request.method != _METHOD:
            return False
        if is_same_origin(request):
            return True
        self._guard.count("beacon_foreign")
        return False

    def respond(self, request: RequestFacts, body: bytes | None) -> Reply:
        if request.method != _METHOD:
            return not_allowed(_METHOD)
        line = None if body is None else self._guard.guarded(None, self._take, request, body)
        return NO_CONTENT if line is None else replace(NO_CONTENT, headers=(*NO_CONTENT.headers, ("set-cookie", line)))

    def _take(self, request: RequestFacts, body: bytes) -> str | None:
        """Record the beacon; the `Set-Cookie` line if one is due."""
        beacon = read(body)
        if beacon is None:
            self._guard.count("beacon_malformed")
            return None
        visit = self._tracker.begin(PageFacts(request, beacon.page), is_beacon=True)
        if visit.refused is None:
            problem = self._problem(visit)
            if problem is not None:
                self._guard.count(problem)
                return None
            visit.changes_of()
            if beacon.kind is not Kind.ACTIVITY and self._has_page_views:
                visit.note(PAGE_VIEW, self._page_view(visit, beacon))
            if self._tracker.prefetched.is_used:
                if beacon.kind is Kind.ACTIVITY:
                    self._tracker.prefetched.confirm_shown(visit)
                else:
                    self._tracker.prefetched.view(visit)
        return self._tracker.record_beacon(visit, _Response())

    def _problem(self, visit: Visit) -> str | None:
        """Why the beacon is dropped, as a counted reason."""
        home = visit.binding.home
        if home is None:
            return "no_session" if visit.live is None else "over"
        return None if self._is_allowed(home.key, visit.mono) else "beacon_limited"

    def _is_allowed(self, key: str, at: float) -> bool:
        """Limit the beacons of a session: a burst of `_BURST`, then `_PER_S` a second."""
        left, since = self._allowances.get(key) or (float(_BURST), at)
        left = min(float(_BURST), left + (at - since) * _PER_S)
        is_allowed = left >= 1
        self._allowances[key] = (left - is_allowed, at)
        return is_allowed

    def _page_view(self, visit: Visit, beacon: BeaconBody) -> dict[str, Scalar]:
        view: dict[str, Scalar] = {"url.path": visit.shown_path, SAME_DOCUMENT: beacon.kind is Kind.PAGE_VIEW}
        if query := self._query(visit.facts):
            view["url.query"] = query
        return view


class _Response:
    """The facts of our own response (see `facts.ResponseFacts`): it may carry a cookie."""

    status = NO_CONTENT.status

    def header(self, name: str) -> str:
        return ""

    def names(self) -> tuple[str, ...]:
        return ()


def is_same_origin(request: RequestFacts) -> bool:
    """Whether a page of the same origin sent it, as its browser says; browsers always do.

    `Sec-Fetch-Site` exists on trustworthy origins (https, localhost); browsers put `Origin` on every POST.
    """
    site = request.header("sec-fetch-site")
    if site:
        return site == "same-origin"
    origin, host = request.header("origin"), request.header("host")
    return bool(host) and origin.partition("://")[2].lower() == host.lower()
