"""What Sojourn costs a request of a returning visitor, page views recorded, beside what the field's session layers cost.

The request path is the CPU time of the thread that serves; all CPU adds the background until everything is recorded.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any

import flask
import msgspec
from starlette.applications import Starlette
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from benchmarks.timing import Spread, Variant, measure, over, ratios
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
        Variant("bare Starlette", running(bare, sojourn_cookie)),
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
        Variant("bare Flask", running(bare, "/", sojourn_cookie)),
        Variant("Flask's session, read", running(signed, "/read", session_cookie)),
        Variant("Sojourn", running(door, "/", sojourn_cookie), lambda: _settle(engine)),
    ]


def measure_door(door: str, *, rounds: int, requests: int) -> dict[str, Any]:
    """The figures of one door, with the reaches of its ratios. Raises `RuntimeError` if something was left unrecorded."""
    make, reach_own, reach_total = DOORS[door]
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Settings(secret_key=SECRET, store=f"sqlite:///{Path(folder) / 'bench.db'}"))
        variants = make(engine)
        costs = measure(variants, rounds=rounds, requests=requests)
        engine.flush(60)
        counters, journal = engine.stats().store.counters, engine.stats().journal
        engine.close()
    accepted, recorded = counters.get("records.accepted", 0), counters.get("records.recorded", 0)
    if accepted != recorded or journal is None or journal.refused:
        msg = f"accepted {accepted}, recorded {recorded}: what was measured is not what is recorded"
        raise RuntimeError(msg)
    bare, other, ours = (costs[variant.name] for variant in variants)
    their = over(other.own, bare.own)
    own, total = over(ours.own, bare.own), over(ours.total, bare.total)
    return {
        "bare_us": asdict(Spread.of(bare.own)),
        "reference": variants[1].name,
        "reference_us": asdict(Spread.of(their)),
        "request_path_us": asdict(Spread.of(own)),
        "request_path_ratio": {**asdict(Spread.of(ratios(own, their))), "reach": reach_own},
        "all_cpu_us": asdict(Spread.of(total)),
        "all_cpu_ratio": {**asdict(Spread.of(ratios(total, their))), "reach": reach_total},
        "records": recorded,
    }


DOORS: dict[str, tuple[Callable[[Engine], list[Variant]], float, float]] = {
    "ASGI": (asgi_variants, 0.6, 1.8),
    "WSGI": (wsgi_variants, 0.2, 0.45),
}


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
