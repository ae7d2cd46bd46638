"""A visit with everything that can happen in one, through a real app over real HTTP, and its true sessions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Semaphore
from typing import Final, Protocol

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sojourn import Engine, Settings, identify, opt_out, set_session_property, track
from sojourn.backends import Backend, Receipt
from sojourn.core.events import Event, Scalar
from sojourn.starlette import Sojourn
from sojourn.testing import ManualClock
from sojourn.testing.vendors import VendorSession
from sojourn.testing.vendors.serving import served

BEGAN_AT: Final = 1_769_860_800_000
PLAN: Final = {"session_properties.plan": "team"}
AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_HEADERS: Final = {"user-agent": AGENT, "accept": "text/html", "accept-language": "en"}


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A session as the visitor knows it: seconds since the visit began."""

    user: str
    started: int
    ended: int
    reason: str
    properties: Mapping[str, Scalar] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    @property
    def started_at(self) -> int:
        return BEGAN_AT + self.started * 1000

    @property
    def ended_at(self) -> int:
        return BEGAN_AT + self.ended * 1000

    @property
    def duration_ms(self) -> int:
        return (self.ended - self.started) * 1000


TRUTH: Final = (
    Truth(user="anna", started=0, ended=100, reason="idle_timeout", properties=PLAN),
    Truth(user="anna", started=2_000, ended=2_010, reason="user_changed"),
    Truth(user="ben", started=2_020, ended=3_500, reason="opted_out"),
)
STEPS: Final[Sequence[tuple[int, str, str]]] = (
    (0, "GET", "/"),
    (10, "GET", "/seeds"),
    (15, "POST", "/login/anna"),
    (20, "POST", "/plan"),
    (25, "GET", "/broken"),
    (100, "GET", "/basil"),  # the second minute: a heartbeat
    (2_000, "GET", "/"),  # after half an hour of silence
    (2_010, "GET", "/seeds"),
    (2_020, "POST", "/login/ben"),
    (3_500, "POST", "/leave"),  # what was not forwarded by now never will be
)


async def _page(request: Request) -> HTMLResponse:
    return HTMLResponse("<h1>Seeds</h1>")


async def _login(request: Request) -> HTMLResponse:
    identify(request.path_params["user"])
    return HTMLResponse("<p>hello</p>")


async def _plan(request: Request) -> HTMLResponse:
    set_session_property("plan", "team")
    track("cart_add", {"sku": "A-17", "price": 3.5, "gift": True})
    return HTMLResponse("<p>done</p>")


async def _broken(request: Request) -> HTMLResponse:
    raise LookupError("no such seed")


async def _leave(request: Request) -> HTMLResponse:
    opt_out()
    return HTMLResponse("<p>bye</p>")


def shop() -> Starlette:
    return Starlette(
        routes=[
            Route("/login/{user}", _login, methods=["POST"]),
            Route("/plan", _plan, methods=["POST"]),
            Route("/leave", _leave, methods=["POST"]),
            Route("/broken", _broken),
            Route("/{page:path}", _page),
        ]
    )


class Twice:
    """A backend that sends every batch twice, as after a crash between the response and the note of it."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self.name = inner.name
        self.third_party = inner.third_party
        self.wants_context = getattr(inner, "wants_context", False)
        self.wants_elapsed = getattr(inner, "wants_elapsed", False)

    def accepts(self, event: Event) -> bool:
        return self.inner.accepts(event)

    def send(self, batch: Sequence[Event]) -> Receipt:
        self.inner.send(batch)
        return self.inner.send(batch)

    def close(self) -> None:
        self.inner.close()


class Awaited:
    """An app whose calls can be waited for: a response may be there before what an error in it leads to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.ended = Semaphore(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            if scope["type"] == "http":
                self.ended.release()


class Shown(Protocol):
    """What shows sessions: a fake, or a real database."""

    def sessions(self) -> Sequence[VendorSession]: ...


def check_visit(shown: Shown) -> None:
    """Compare the sessions that a receiver shows after the visit with what is true of it."""
    sessions = shown.sessions()
    assert [
        (session.user_id, session.started_at, session.ended_at, session.duration_ms, session.reason)
        for session in sessions
    ] == [(truth.user, truth.started_at, truth.ended_at, truth.duration_ms, truth.reason) for truth in TRUTH]
    assert [list(session.properties.values()) for session in sessions] == [
        list(truth.properties.values()) for truth in TRUTH
    ]
    assert len({session.session_id for session in sessions}) == len(TRUTH)
    assert len({session.visitor_id for session in sessions}) == 1


def check_visit_with_repeats(vendor: Shown) -> None:
    """What is true of the visit where repeats count twice: each true session is there, and others only beside it."""
    shown: dict[str, list[VendorSession]] = {}
    for session in vendor.sessions():
        shown.setdefault(session.session_id, []).append(session)
    assert len(shown) == len(TRUTH)
    for truth, sessions in zip(TRUTH, shown.values(), strict=True):
        assert {session.started_at for session in sessions} == {truth.started_at}
        assert [
            (session.user_id, session.ended_at, session.duration_ms, session.reason)
            for session in sessions
            if session.reason is not None
        ] == [(truth.user, truth.ended_at, truth.duration_ms, truth.reason)]


def play(backends: Iterable[Backend]) -> Mapping[str, Mapping[str, int]]:
    """Play the visit into the backends, until all is delivered; what each one's place in the log says then."""
    clock = ManualClock(BEGAN_AT)
    settings = Settings(
        secret_key="a key that only tests use",
        store="memory:",
        backends=list(backends),
        service_name="shop",
        service_version="1.4.0",
        environment="test",
    )
    app = shop()
    awaited = Awaited(app)
    with Engine(settings, clock=clock) as engine:
        Sojourn(app, engine=engine)
        # uvicorn closes a connection whose app failed, at no certain moment: none is kept.
        unkept = httpx.Limits(max_keepalive_connections=0)
        with served(awaited) as address, httpx.Client(base_url=address, headers=_HEADERS, limits=unkept) as browser:
            for at, method, path in STEPS:
                while (left := (BEGAN_AT + at * 1000 - clock.now()) / 1000) > 0:
                    clock.advance(min(left, 30))
                    engine.flush()
                engine.sweep()
                browser.request(method, path)
                assert awaited.ended.acquire(timeout=30)
        for _ in range(300):
            report = engine.flush()
            if report.done and not report.waiting:
                break
            clock.advance(30)  # retries wait, some for minutes; no visitor is left whose session could grow
        return {
            state.name: {"delivered": state.delivered, "dead": state.dead, "backlog": state.backlog}
            for state in engine.stats().store.backends
        }
