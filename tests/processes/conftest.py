"""Real servers on a free loopback port, started here and stopped by their pid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.ports import free_port

APP = """
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route
from sojourn import current_session, identify, track


def page(request):
    if user := request.query_params.get("user"):
        identify(user)
    if name := request.query_params.get("event"):
        track(name)
    session = current_session()
    return HTMLResponse("<p>ok</p>", headers={"x-session": session.id if session else ""})


app = Starlette(routes=[Route("/{rest:path}", page)])
from sojourn.asgi import SojournMiddleware
asgi = SojournMiddleware(app)


def plain(environ, start_response):
    from urllib.parse import parse_qs
    query = parse_qs(environ.get("QUERY_STRING", ""))
    if "user" in query:
        identify(query["user"][0])
    if "event" in query:
        track(query["event"][0])
    session = current_session()
    start_response("200 OK", [("Content-Type", "text/html"), ("X-Session", session.id if session else "")])
    return [b"<p>ok</p>"]


from sojourn.wsgi import SojournMiddleware as Door
wsgi = Door(plain)

# What an app may do while it is imported: with --preload that is in the master, before it forks.
import os
if os.environ.get("SITE_AT_IMPORT") == "start":
    asgi.engine.start()
    wsgi.engine.start()
elif os.environ.get("SITE_AT_IMPORT") == "request":
    from wsgiref.util import setup_testing_defaults
    environ = {"PATH_INFO": "/before/the/fork", "HTTP_ACCEPT": "text/html"}
    setup_testing_defaults(environ)
    wsgi(environ, lambda status, headers: None)
"""


@dataclass
class Server:
    url: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """SIGKILL the whole group: the machine's way to stop a process without asking."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


@dataclass
class Place:
    """A fresh folder for one deployment: its app, its database, its settings."""

    folder: Path

    @property
    def store(self) -> str:
        return f"sqlite:///{self.folder / 'sojourn.db'}"

    def environ(self, **settings: str) -> dict[str, str]:
        own = {
            "SOJOURN_SECRET_KEY": "a key for many worker processes",
            "SOJOURN_STORE": self.store,
            "SOJOURN_SWEEP_INTERVAL": "0.5",
            "SOJOURN_SWEEP_GRACE": "0.2",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SOJOURN_")}
        return {**kept, **own, **{f"SOJOURN_{name.upper()}": value for name, value in settings.items()}}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "site_under_test.py").write_text(APP)
    return Place(tmp_path)


Start = Callable[..., Server]


@pytest.fixture
def serve(place: Place) -> Iterator[Start]:
    """Start a server: `serve("gunicorn", workers=4)` or `serve("uvicorn")`; every one of them is stopped afterwards."""
    with ExitStack() as stack:

        def start(kind: str, *, workers: int = 1, **settings: str) -> Server:
            return stack.enter_context(_served(place, kind, workers, settings))

        yield start


@contextmanager
def _served(place: Place, kind: str, workers: int, settings: dict[str, str]) -> Iterator[Server]:
    port = free_port()
    if kind == "gunicorn":
        command = [
            "gunicorn",
            "-w",
            str(workers),
            "-b",
            f"127.0.0.1:{port}",
            "--no-control-socket",
            "site_under_test:wsgi",
        ]
    else:
        command = [
            "uvicorn",
            "--workers",
            str(workers),
            "--port",
            str(port),
            "--log-level",
            "warning",
            "site_under_test:asgi",
        ]
    with (place.folder / f"{kind}-{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=place.folder,
            env=place.environ(**settings),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    server = Server(f"http://127.0.0.1:{port}", process)
    try:
        _await(server, place.folder / f"{kind}-{port}.log")
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()


def _await(server: Server, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise RuntimeError(log.read_text())
        try:
            httpx.get(f"{server.url}/favicon.ico", timeout=1)
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(log.read_text())
