"""What only a framework can say about a request: its route, its user, its unhandled exception. The doors do the rest.

An integration subclasses `Framework` where the facts can be looked up at the response start, or leaves them under `ROUTE_KEY`
and `USER_KEY` where its hooks run earlier. It calls `unhandled` where the framework makes a response of an exception.

See S5 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec

from .exceptions import capture
from .guard import Guard
from .principal import ROUTE_KEY, UNKNOWN, USER_KEY, Principal
from .visit import active_visit

__all__ = ["ROUTE_KEY", "USER_KEY", "Framework", "Guarded", "Place", "guarded", "unhandled"]

P = ParamSpec("P")
Place = Mapping[str, Any]
"""Where a request's facts stand: its ASGI scope, or its WSGI environ."""


class Framework:
    """What only the framework can say about a request. Override what is not in the scope or the environ.

    Called at the response start, inside the framework's request context where it is still there. No method may load
    anything: no query, no read of a lazy object, nothing that adds `Vary`. An exception costs that fact, and is counted.
    """

    def request(self, place: Place) -> Any:
        """The request that `principal`, `consent` and `allow` get."""
        return place

    def route(self, place: Place) -> str | None:
        """The template of the matched route; `None` for what the scope itself says."""
        return place.get(ROUTE_KEY)

    def principal(self, place: Place) -> Principal:
        """The user that the framework authenticated; `UNKNOWN` for what the scope or the environ itself says."""
        user: Principal = place.get(USER_KEY, UNKNOWN)
        return user


class Guarded:
    """A framework whose faults are counted and logged once. Made by a door, around the integration's own."""

    __slots__ = ("_framework", "_guard", "principal", "request")

    def __init__(self, framework: Framework, guard: Guard) -> None:
        self._framework = framework
        self._guard = guard
        self.request = framework.request
        self.principal = (
            framework.principal
        )  # `read_principal` counts its faults, beside those of the app's own callable

    def route(self, place: Place) -> str | None:
        try:
            return self._framework.route(place)
        except Exception as error:  # noqa: BLE001 - as `guarded`, without its call
            self._guard.report(error, "route")
            return None


def guarded(work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call what a hook does with a request that is tracked: a fault is counted and logged once, and stays here."""
    visit = active_visit.get()
    if visit is not None:
        visit.guard.guarded(None, work, *args, **kwargs)


def unhandled(error: BaseException | None) -> None:
    """Record an exception that the framework is about to turn into a response; safe anywhere, also outside a request."""
    visit = active_visit.get()
    if visit is not None and error is not None:
        visit.guard.guarded(None, capture, visit, error, is_handled=False, has_response=True)
