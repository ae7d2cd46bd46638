"""An example app under its real server, browsers for it, and the store beside it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from sojourn.core.events import Event
from sojourn.stores import Store, open_store
from sojourn.stores.rows import SessionRow

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "starlette": ("uvicorn", "examples.starlette_app.app:app", "--port"),
    "flask": ("gunicorn", "--workers=2", "--worker-tmp-dir=.", "examples.flask_app.app:app", "--bind"),
    "django": ("gunicorn", "--workers=2", "--worker-tmp-dir=.", "examples.django_app.wsgi:application", "--bind"),
}
PATIENCE_S = 20.0
SECRET_KEY = "a key that only tests use"
CSRF_TOKEN = "x" * 32


def environment(**settings: str) -> dict[str, str]:
    """This process's environment, and of SOJOURN_* only what the test says."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SOJOURN_")}
    return {**own, "PYTHONPATH": str(ROOT), **settings}


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Ask again and again; the recorder works while we look."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:.0f} s in vain: {what}"
        time.sleep(0.02)


@dataclass(frozen=True)
class Example:
    """A running example app: browsers for it, and what its store knows."""

    kind: str
    address: str
    store: Store
    browsers: ExitStack
    events_file: Path

    def browser(self, cookies: httpx.Cookies | None = None) -> httpx.Client:
        """A new visitor's browser, or one that comes with its cookies.

        uvicorn closes a connection whose app failed, at no certain moment: none is kept.
        """
        browser = self.browsers.enter_context(
            httpx.Client(
                base_url=self.address,
                cookies=cookies,
                follow_redirects=True,
                trust_env=False,
                timeout=PATIENCE_S,
                limits=httpx.Limits(max_keepalive_connections=0),
            )
        )
        if self.kind == "django":  # as the forms of its pages say, which the tests do not read
            browser.headers["X-CSRFToken"] = CSRF_TOKEN
            browser.cookies.set("csrftoken", CSRF_TOKEN)
        return browser

    def row(self, session_id: str) -> SessionRow | None:
        return next((row for row in self.store.sessions.latest(limit=1000) if row.session_id == session_id), None)

    def recorded(self, session_id: str, *, requests: int) -> SessionRow:
        """The session in the store, once all its requests are there."""

        def is_there() -> bool:
            row = self.row(session_id)
            return row is not None and row.requests >= requests

        eventually(is_there, f"{requests} requests of the session, of which there is {self.row(session_id)}")
        row = self.row(session_id)
        assert row is not None
        return row

    def events(self, row: SessionRow) -> list[Event]:
        return self.store.log.of_session(row.key)

    def forwarded(self) -> list[dict[str, Any]]:
        """What its backend, a file, has got so far: CloudEvents."""
        if not self.events_file.exists():
            return []
        lines = self.events_file.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def got(self, session_id: str, *names: str) -> list[dict[str, Any]]:
        """What the backend got of a session, once events of all these names are there."""

        def mine() -> list[dict[str, Any]]:
            return [event for event in self.forwarded() if event["subject"] == session_id]

        eventually(lambda: {event["type"] for event in mine()} >= {*names}, f"{names} of the session are forwarded")
        return mine()


def visit_on(page: httpx.Response) -> str:
    """The session id that the footer of a page shows."""
    found = re.search(r"Your visit is ([0-9a-f-]{36})", page.text)
    assert found is not None, page.text
    return found[1]


def responds(address: str) -> bool:
    """Whether the app is there, asked by a request that begins no session."""
    try:
        return httpx.get(f"{address}/favicon.ico", trust_env=False).status_code == 404
    except httpx.TransportError:
        return False


@contextmanager
def served(kind: str, folder: Path, **settings: str) -> Iterator[Example]:
    """Start the server, wait until it responds, and stop it by its process at the end of the block.

    A second time in the same folder is the same app after a restart. `settings`: more of SOJOURN_*.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    module, *arguments = COMMANDS[kind]
    url = f"sqlite:///{folder / 'shop.db'}"
    log = folder / "server.log"
    events_file = folder / "events.jsonl"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, str(port) if kind == "starlette" else f"127.0.0.1:{port}"],
            cwd=folder,
            env=environment(
                SOJOURN_SECRET_KEY=SECRET_KEY,
                SOJOURN_STORE=url,
                SOJOURN_BACKENDS=f"jsonl:{quote(str(events_file))}",
                **settings,
            ),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"

    def is_there() -> bool:
        assert process.poll() is None, log.read_text()
        return responds(address)

    store = open_store(url)
    try:
        eventually(is_there, "the server responds")
        store.open()  # here and not in a test: it is shared by the tests of a module
        with ExitStack() as browsers:
            yield Example(kind, address, store, browsers, events_file)
    finally:
        store.close()
        process.terminate()
        process.wait(PATIENCE_S)
    assert "Sojourn failed" not in log.read_text()
