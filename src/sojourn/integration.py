"""What an integration of a framework is made of; "write your own" in docs/frameworks.md shows how.

Most put a door (`sojourn.asgi`, `sojourn.wsgi`) around the app and hand it a `Framework`. Where no door can stand around the
app, the framework's own hooks track each request with `Embedded`.

See S5 and P3 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from contextvars import Token
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .asgi import AsgiFacts
from .beacon import NO_CONTENT, Endpoint, Reply
from .tracking.caching import with_private
from .tracking.doors import leave_visit
from .tracking.exceptions import capture
from .tracking.facts import RequestFacts
from .tracking.forwarded import Proxies
from .tracking.frameworks import ROUTE_KEY, USER_KEY, Framework, Guarded, guarded, unhandled
from .tracking.visit import VISIT_KEY, Visit, active_visit
from .wsgi import WsgiFacts

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["ROUTE_KEY", "USER_KEY", "Additions", "Embedded", "Exchange", "Framework", "guarded", "unhandled"]

Place = MutableMapping[str, Any]
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Additions:
    """What a response gets from us: values of `Set-Cookie`, and a `Cache-Control` in place of the app's own."""

    cookies: tuple[str, ...] = ()
    cache_control: str | None = None


_NOTHING = Additions()


class Embedded:
    """Sojourn inside a framework. One per app.

    `begin()` takes the request's ASGI scope or WSGI environ, or a mapping of the same shape that the integration makes.
    """

    def __init__(self, engine: Engine, framework: Framework | None = None) -> None:
        self.engine = engine
        self._framework = Guarded(framework or Framework(), engine.guard)
        self._proxies = Proxies(engine.settings.trusted_proxies)

    def begin(self, place: Place) -> Exchange | None:
        """Begin to track a request, which is then the active one. `None`: another Sojourn around the app tracks it."""
        if VISIT_KEY in place:
            return None
        tracker = self.engine.tracker
        try:
            visit = tracker.begin(self._facts(place))
        except Exception as error:  # noqa: BLE001 - as `guarded`, without its call
            visit = tracker.failed(error, "begin")
        return Exchange(self.engine, visit, place)

    def endpoint(self, place: Place) -> Endpoint | None:
        """The endpoint of ours that this request is for; respond with `reply()`, in place of the app."""
        beacon = self.engine.beacon
        if beacon is None or VISIT_KEY in place:
            return None
        facts = self.engine.guard.guarded(None, self._facts, place)
        return None if facts is None else beacon.at(facts.path, facts.mount)

    def reads(self, endpoint: Endpoint, place: Place) -> bool:
        """Whether the endpoint needs the body of this request."""
        return self.engine.guard.guarded(False, lambda: endpoint.reads(self._facts(place)))

    def reply(self, endpoint: Endpoint, place: Place, body: bytes | None = None) -> Reply:
        """The response of an endpoint of ours."""
        return self.engine.guard.guarded(NO_CONTENT, lambda: endpoint.respond(self._facts(place), body))

    def _facts(self, place: Place) -> RequestFacts:
        if "REQUEST_METHOD" in place:
            return WsgiFacts(place, self._proxies, self._framework)  # type: ignore[arg-type]  # read like any mapping
        return AsgiFacts(place, self._proxies, self._framework)


class Exchange:
    """One request that hooks track, from its arrival to its response. Nothing here raises.

    Call `failed()` with what the app raises, `respond()` when status and headers are final, and `close()` last, always, in
    the task or thread of `begin()`.
    """

    __slots__ = ("_engine", "_token", "place", "visit")

    def __init__(self, engine: Engine, visit: Visit, place: Place) -> None:
        self._engine = engine
        self.place = place
        self.visit = visit
        place[VISIT_KEY] = visit
        self._token: Token[Visit | None] = active_visit.set(visit)

    def failed(self, error: BaseException, *, has_response: bool = True) -> None:
        """Record an exception. `has_response`: the framework makes a response of it, and `respond()` follows."""
        visit = self.visit
        visit.guard.guarded(None, capture, visit, error, is_handled=False, has_response=has_response)

    def respond(self, status: int, headers: Headers) -> Additions:
        """Settle the visit; return what to add to the response."""
        tracker = self._engine.tracker
        response = _Response(status, headers)
        try:
            line = tracker.finish(self.visit, response)
            if line is None:
                return _NOTHING
            private = with_private(response) if self._engine.settings.cache_private else None
            return Additions((line, *self.visit.more_cookie_lines), private)
        except Exception as error:  # noqa: BLE001 - as `guarded`, without its call
            tracker.failed(error, "finish")
            return _NOTHING

    def close(self) -> None:
        """Leave the request; one without a response is recorded as far as it is sure."""
        visit = self.visit
        leave_visit(self._token)
        self.place[VISIT_KEY] = visit.captured = None  # the visit knows the place: no circle for the garbage collector
        if not visit.responded:
            visit.guard.guarded(None, self._engine.tracker.abandon, visit)


class _Response:
    """The facts of a response start (see `facts.ResponseFacts`)."""

    __slots__ = ("_headers", "status")

    def __init__(self, status: int, headers: Headers) -> None:
        self.status = status
        self._headers = headers

    def header(self, name: str) -> str:
        return ", ".join(value for key, value in self._headers if key.lower() == name)

    def names(self) -> list[str]:
        return [key.lower() for key, _ in self._headers]
