"""The middleware: each request is a visit, sync or async. Put it first in `MIDDLEWARE`, so that it sees every response.

Behind a door of ours around the whole project (`sojourn.wsgi`, `sojourn.asgi`) it only adds what Django knows: route,
user and unhandled errors. A request counts once.

See P1 and P3 in docs/internals.md.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.handlers.base import BaseHandler  # type: ignore[import-untyped]
from django.core.signals import got_request_exception  # type: ignore[import-untyped]
from django.http import FileResponse, HttpResponse  # type: ignore[import-untyped]

from sojourn.beacon import LONGEST_BODY, NO_CONTENT
from sojourn.tracking.caching import with_private
from sojourn.tracking.doors import leave_visit
from sojourn.tracking.exceptions import capture
from sojourn.tracking.forwarded import Proxies
from sojourn.tracking.frameworks import ROUTE_KEY, USER_KEY, unhandled
from sojourn.tracking.visit import VISIT_KEY, Visit, active_visit

from ._cookies import add_lines
from ._facts import DjangoResponse, facts_of, loaded_user, mounted_path, place_of, route_of
from ._project import get_engine

if TYPE_CHECKING:
    from sojourn.engine import Engine

GetResponse = Callable[[Any], Any]


class SojournMiddleware:
    """`MIDDLEWARE = ["sojourn.django.SojournMiddleware", ...]`. `engine` is for tests; else it is the project's."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse, *, engine: Engine | None = None) -> None:
        if isinstance(get_response, BaseHandler):
            door = "asgi" if hasattr(get_response, "read_body") else "wsgi"
            msg = (
                "sojourn.django.SojournMiddleware belongs into MIDDLEWARE; around a whole project use "
                f"`from sojourn.{door} import SojournMiddleware`"
            )
            raise TypeError(msg)
        self.get_response = get_response
        self._own_engine = engine
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        self._door = _Door(engine or get_engine())
        got_request_exception.connect(_raised, dispatch_uid="sojourn")

    def __call__(self, request: Any) -> Any:
        return self._respond_async(request) if self._is_async else self._respond(request)

    def _respond(self, request: Any) -> Any:
        place = place_of(request)
        if place is None:
            return self.get_response(request)
        if VISIT_KEY in place:
            try:
                return self.get_response(request)
            finally:
                _leave_facts(request, place)
        door = self._current_door()
        if (reply := door.own(request)) is not None:
            return reply
        visit = place[VISIT_KEY] = door.begin(request)
        token = active_visit.set(visit)
        try:
            return door.responded(visit, self.get_response(request))
        except BaseException as error:
            door.failed(visit, error)
            raise
        finally:
            active_visit.reset(token)
            place[VISIT_KEY] = visit.captured = None

    async def _respond_async(self, request: Any) -> Any:
        place = place_of(request)
        if place is None:
            return await self.get_response(request)
        if VISIT_KEY in place:
            try:
                return await self.get_response(request)
            finally:
                _leave_facts(request, place)
        door = self._current_door()
        if (reply := door.own(request)) is not None:
            return reply
        visit = place[VISIT_KEY] = door.begin(request)
        token = active_visit.set(visit)
        try:
            return door.responded(visit, await self.get_response(request))
        except BaseException as error:
            door.failed(visit, error)
            raise
        finally:
            leave_visit(token)
            place[VISIT_KEY] = visit.captured = None

    def _current_door(self) -> _Door:
        """The door of the project's engine, which a test may replace between two requests."""
        engine = self._own_engine or get_engine()
        if self._door.engine is not engine:
            self._door = _Door(engine)
        return self._door


class _Door:
    """One engine, and what it does with Django's requests and responses."""

    __slots__ = ("_adds_private", "_beacon", "_guard", "_proxies", "_tracker", "engine")

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._tracker = engine.tracker
        self._guard = engine.guard
        self._beacon = engine.beacon
        self._proxies = Proxies(engine.settings.trusted_proxies)
        self._adds_private = engine.settings.cache_private

    def own(self, request: Any) -> Any | None:
        """The response to a request for an endpoint of ours; `None` for a page of the project."""
        endpoint = None if self._beacon is None else self._beacon.at(*mounted_path(request))
        if endpoint is None:
            return None
        guarded = self._guard.guarded
        facts = guarded(None, facts_of, request, self._proxies)
        reply = NO_CONTENT
        if facts is not None:
            body = guarded(b"", _small_body, request) if guarded(False, endpoint.reads, facts) else None
            reply = guarded(NO_CONTENT, endpoint.respond, facts, body)
        response = HttpResponse(b"" if request.method == "HEAD" else reply.body, status=reply.status)
        del response.headers["Content-Type"]
        for name, value in reply.headers:
            if name.lower() == "set-cookie":
                add_lines(response, [value])
            else:
                response.headers[name] = value
        return response

    def begin(self, request: Any) -> Visit:
        try:
            return self._tracker.begin(facts_of(request, self._proxies))
        except Exception as error:  # noqa: BLE001 - as `guarded`, without its call
            return self._tracker.failed(error, "begin")

    def responded(self, visit: Visit, response: Any) -> Any:
        """Settle the visit, and return the response with our cookie."""
        self._guard.guarded(None, self._finish, visit, response)
        self._guard.guarded(None, self._track_pieces, visit, response)
        return response

    def _finish(self, visit: Visit, response: Any) -> None:
        facts = DjangoResponse(response)
        line = self._tracker.finish(visit, facts)
        if line is None:
            return
        private = with_private(facts) if self._adds_private else None
        add_lines(response, (line, *visit.more_cookie_lines))
        if private is not None:
            response.headers["Cache-Control"] = private

    def _track_pieces(self, visit: Visit, response: Any) -> None:
        """Follow a body that is streamed. A file is left alone: the server may send it by its descriptor."""
        if response.streaming and not isinstance(response, FileResponse):
            follow = self._follow_async if response.is_async else self._follow
            response.streaming_content = follow(response.streaming_content, visit)

    def failed(self, visit: Visit, error: BaseException) -> None:
        """An exception leaves Django, as with `DEBUG_PROPAGATE_EXCEPTIONS`."""
        self._guard.guarded(None, capture, visit, error, is_handled=False)
        self._guard.guarded(None, self._tracker.abandon, visit)

    def _follow(self, pieces: Iterator[bytes], visit: Visit) -> Iterator[bytes]:
        """A body that is made while it is sent. The Visit is active in each step, in whichever thread it runs."""
        try:
            while True:
                token = active_visit.set(visit)
                try:
                    piece = next(pieces)
                except StopIteration:
                    return
                except BaseException as error:
                    self._guard.guarded(None, capture, visit, error, is_handled=False)
                    raise
                finally:
                    active_visit.reset(token)
                self._sent(visit)
                yield piece
        finally:
            self._over(visit)

    async def _follow_async(self, pieces: AsyncIterator[bytes], visit: Visit) -> AsyncIterator[bytes]:
        try:
            while True:
                token = active_visit.set(visit)
                try:
                    piece = await anext(pieces)
                except StopAsyncIteration:
                    return
                except BaseException as error:
                    self._guard.guarded(None, capture, visit, error, is_handled=False)
                    raise
                finally:
                    leave_visit(token)
                self._sent(visit)
                yield piece
        finally:
            self._over(visit)

    def _sent(self, visit: Visit) -> None:
        visit.chunks += 1
        if visit.chunks == 2:  # more than one: a stream
            self._guard.guarded(None, self._tracker.connections.opened, visit)

    def _over(self, visit: Visit) -> None:
        visit.captured = None
        if visit.chunks and not self._tracker.connections.is_whole_page(visit):
            self._guard.guarded(None, self._tracker.connections.close_stream, visit)


def _small_body(request: Any) -> bytes:
    """The body for an endpoint of ours; empty if it is too long."""
    body: bytes = request.read(LONGEST_BODY + 1)
    return body if len(body) <= LONGEST_BODY else b""


def _leave_facts(request: Any, place: dict[str, Any]) -> None:
    """Leave what only Django knows for the door around the project."""
    place[ROUTE_KEY] = route_of(request)
    place[USER_KEY] = loaded_user(request)


def _raised(**_signal: object) -> None:
    unhandled(sys.exc_info()[1])
