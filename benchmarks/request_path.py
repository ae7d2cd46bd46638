"""What Sojourn costs a request of a returning visitor, page views recorded, beside what the field's session layers cost.

All variants run interleaved in one process and one run, so that a noisy machine treats them alike; ratios are what counts.
The request path is the request thread's own CPU time; the total adds the background threads until everything is recorded.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flask
import msgspec
from starlette.applications import Starlette
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from sojourn.asgi import SojournMiddleware as AsgiDoor
from sojourn.engine import Engine
from sojourn.settings import Settings
from sojourn.wsgi import SojournMiddleware as WsgiDoor

SECRET = "benchmark key, thirty-two characters!"
PAGE = "<!doctype html><title>Hello</title><p>Hello</p>"
BROWSER = [
    (b"host", b"example.org"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"),
    (b"accept", b"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"),
    (b"accept-language", b"en"),
    (b"accept-encoding", b"gzip, br"),
    (b"sec-fetch-site", b"same-origin"),
    (b"sec-fetch-mode", b"navigate"),
    (b"sec-fetch-dest", b"document"),
    (b"referer", b"https://example.org/"),
]


@dataclass
class Cost:
    """Microseconds per request of each round, by the request thread and by the whole process."""

    own: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Variant:
    name: str
    run: Callable[[int], None]
    settle: Callable[[], None] = lambda: None


def measure(variants: Iterable[Variant], *, rounds: int, requests: int) -> dict[str, Cost]:
    costs = {variant.name: Cost() for variant in variants}
    for variant in variants:
        variant.run(200)
        variant.settle()
    for _ in range(rounds):
        for variant in variants:
            whole, own = time.process_time_ns(), time.thread_time_ns()
            variant.run(requests)
            own = time.thread_time_ns() - own
            variant.settle()
            whole = time.process_time_ns() - whole
            costs[variant.name].own.append(own / requests / 1000)
            costs[variant.name].total.append(whole / requests / 1000)
    return costs


def asgi_variants(engine: Engine) -> list[Variant]:
    async def page(_request: Request) -> HTMLResponse:
        return HTMLResponse(PAGE)

    async def touch(request: Request) -> HTMLResponse:
        request.session["seen"] = "yes"
        return HTMLResponse(PAGE)

    routes = [Route("/", page), Route("/touch", touch)]
    bare = Starlette(routes=routes)
    session = SessionMiddleware(Starlette(routes=routes), secret_key=SECRET)
    door = AsgiDoor(Starlette(routes=routes), engine=engine)
    loop = asyncio.new_event_loop()

    def call(app: Any, path: str, cookie: bytes) -> list[dict[str, Any]]:
        return loop.run_until_complete(_ask(app, path, cookie))

    session_cookie = _cookie_of(call(session, "/touch", b""))
    sojourn_cookie = _cookie_of(call(door, "/", b""))

    def running(app: Any, cookie: bytes) -> Callable[[int], None]:
        return lambda times: loop.run_until_complete(_ask_often(app, cookie, times))

    return [
        Variant("bare Starlette", running(bare, b"")),
        Variant("SessionMiddleware, untouched", running(session, session_cookie)),
        Variant("Sojourn", running(door, sojourn_cookie), lambda: _settle(engine)),
    ]


def wsgi_variants(engine: Engine) -> list[Variant]:
    def made(secret: str | None = None) -> flask.Flask:
        app = flask.Flask(__name__)
        app.secret_key = secret

        @app.get("/")
        def page() -> str:
            return PAGE

        @app.get("/touch")
        def touch() -> str:
            flask.session["seen"] = "yes"
            return PAGE

        @app.get("/read")
        def read() -> str:
            return PAGE if flask.session.get("seen") else "nobody"

        return app

    bare, signed = made(), made(SECRET)
    door = WsgiDoor(made().wsgi_app, engine=engine)
    session_cookie = _wsgi(signed, "/touch", "")
    sojourn_cookie = _wsgi(door, "/", "")

    def running(app: Any, path: str, cookie: str) -> Callable[[int], None]:
        def run(times: int) -> None:
            for _ in range(times):
                _wsgi(app, path, cookie)

        return run

    return [
        Variant("bare Flask", running(bare, "/", "")),
        Variant("Flask's session, read", running(signed, "/read", session_cookie)),
        Variant("Sojourn", running(door, "/", sojourn_cookie), lambda: _settle(engine)),
    ]


def main(rounds: int = 12, requests: int = 2000) -> bool:
    """Print the table; False if something was left unrecorded."""
    ok = True
    print(f"{rounds} rounds of {requests} requests each, interleaved; medians, in microseconds per request\n")
    for title, make, reach in (
        ("ASGI", asgi_variants, (0.6, 1.5)),
        ("WSGI", wsgi_variants, (0.15, 0.4)),
    ):
        with tempfile.TemporaryDirectory() as folder:
            engine = Engine(Settings(secret_key=SECRET, store=f"sqlite:///{Path(folder) / 'bench.db'}"))
            costs = measure(make(engine), rounds=rounds, requests=requests)
            engine.flush(60)
            counters = engine.stats().store.counters
            journal = engine.stats().journal
            engine.close()
        _show(title, costs, reach)
        accepted, recorded = counters.get("records.accepted", 0), counters.get("records.recorded", 0)
        refused = journal.refused if journal is not None else -1
        print(f"  accepted {accepted}, recorded {recorded}, refused {refused}\n")
        ok = ok and accepted == recorded and refused == 0
    return ok


def _show(title: str, costs: dict[str, Cost], reach: tuple[float, float]) -> None:
    (bare_name, bare), (other_name, other), (_, ours) = costs.items()
    floor_own, floor_all = statistics.median(bare.own), statistics.median(bare.total)
    their = statistics.median(other.own) - floor_own
    own = statistics.median(ours.own) - floor_own
    total = statistics.median(ours.total) - floor_all
    print(f"{title}: {bare_name} alone {floor_own:.1f}")
    print(f"  {other_name:<32} +{their:5.1f}")
    print(f"  {'Sojourn, request path':<32} +{own:5.1f}   ratio {own / their:.2f}   (reach: {reach[0]})")
    print(f"  {'Sojourn, background counted in':<32} +{total:5.1f}   ratio {total / their:.2f}   (reach: {reach[1]})")


def _settle(engine: Engine) -> None:
    report = engine.flush(60)
    if not report.done:
        msg = f"not everything was recorded: {msgspec.to_builtins(report)}"
        raise RuntimeError(msg)


async def _ask_often(app: Any, cookie: bytes, times: int) -> None:
    for _ in range(times):
        await _ask(app, "/", cookie)


def _ask(app: Any, path: str, cookie: bytes) -> Coroutine[Any, Any, list[dict[str, Any]]]:
    headers = [*BROWSER, (b"cookie", b"theme=dark; " + cookie + b"; consent=yes")] if cookie else BROWSER
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def run() -> list[dict[str, Any]]:
        await app(scope, receive, send)
        return sent

    return run()


def _cookie_of(sent: list[dict[str, Any]]) -> bytes:
    lines = [value for name, value in sent[0]["headers"] if name.lower() == b"set-cookie"]
    return bytes(lines[0].partition(b";")[0])


def _wsgi(app: Any, path: str, cookie: str) -> str:
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "example.org",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": None,
        "wsgi.errors": None,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in BROWSER:
        environ["HTTP_" + name.decode().upper().replace("-", "_")] = value.decode()
    if cookie:
        environ["HTTP_COOKIE"] = f"theme=dark; {cookie}; consent=yes"
    lines: list[str] = []

    def start_response(
        _status: str, headers: list[tuple[str, str]], _exc_info: object = None
    ) -> Callable[[bytes], None]:
        lines.extend(value.partition(";")[0] for name, value in headers if name.lower() == "set-cookie")
        return lambda _data: None

    body = app(environ, start_response)
    for _ in body:
        pass
    if hasattr(body, "close"):
        body.close()
    return lines[0] if lines else ""
