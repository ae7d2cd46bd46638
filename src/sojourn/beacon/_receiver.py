"""Takes beacons: activity and page views of a session that runs. Starts, splits and revives none.

Whatever comes, the answer is the same 204: it tells nobody what we know. What was wrong is counted. The cookie is
renewed as by any answer, when it is due: a long look at one page would otherwise look like silence to the next worker.
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

from ._page import Kind, PageFacts, Told, read
from ._replies import NO_CONTENT, Reply, not_allowed

SAME_DOCUMENT: Final = "browser.navigation.same_document"
"""On page views that a beacon told, as OpenTelemetry's browser instrumentation has it: routing within the page, or not."""

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

    def answer(self, request: RequestFacts, body: bytes | None) -> Reply:
        if request.method != _METHOD:
            return not_allowed(_METHOD)
        line = None if body is None else self._guard.guarded(None, self._take, request, body)
        return NO_CONTENT if line is None else replace(NO_CONTENT, headers=(*NO_CONTENT.headers, ("set-cookie", line)))

    def _take(self, request: RequestFacts, body: bytes) -> str | None:
        """Record it; the `Set-Cookie` line if one is due."""
        told = read(body)
        if told is None:
            self._guard.count("beacon_malformed")
            return None
        visit = self._tracker.begin(PageFacts(request, told.page))
        if visit.refused is None:
            problem = self._problem(visit)
            if problem is not None:
                self._guard.count(problem)
                return None
            visit.changes_of()
            if told.kind is not Kind.ACTIVITY and self._has_page_views:
                visit.note(PAGE_VIEW, self._page_view(visit, told))
        return self._tracker.record_beacon(visit, _Response())

    def _problem(self, visit: Visit) -> str | None:
        """Why nothing comes of it, as a counted reason."""
        home = visit.binding.home
        if home is None:
            return "no_session" if visit.live is None else "over"
        return None if self._is_allowed(home.key, visit.mono) else "beacon_limited"

    def _is_allowed(self, key: str, at: float) -> bool:
        """A page tells little: a burst of routing, then about one a second."""
        left, since = self._allowances.get(key) or (float(_BURST), at)
        left = min(float(_BURST), left + (at - since) * _PER_S)
        is_allowed = left >= 1
        self._allowances[key] = (left - is_allowed, at)
        return is_allowed

    def _page_view(self, visit: Visit, told: Told) -> dict[str, Scalar]:
        view: dict[str, Scalar] = {"url.path": visit.shown_path, SAME_DOCUMENT: told.kind is Kind.PAGE_VIEW}
        if query := self._query(visit.facts):
            view["url.query"] = query
        return view


class _Response:
    """Our own answer, as the rules about cookies see it (see `facts.ResponseFacts`): nothing stands in their way."""

    status = NO_CONTENT.status

    def header(self, name: str) -> str:
        return ""

    def names(self) -> tuple[str, ...]:
        return ()


def is_same_origin(request: RequestFacts) -> bool:
    """Whether a page of this very site sent it, as far as a browser says so; what says nothing is no browser.

    `Sec-Fetch-Site` exists on trustworthy origins (https, localhost); browsers put `Origin` on every POST.
    """
    site = request.header("sec-fetch-site")
    if site:
        return site == "same-origin"
    origin, host = request.header("origin"), request.header("host")
    return bool(host) and origin.partition("://")[2].lower() == host.lower()
