"""What an everyday request costs, in what can be counted exactly: calls of our functions, and bytes in the journal.

A returning visitor opens a page, in a running session. Times are for `scripts/bench`: they say more about the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import sojourn
from sojourn.asgi import SojournMiddleware as AsgiDoor
from sojourn.engine import Engine
from sojourn.settings import Settings
from sojourn.wsgi import SojournMiddleware as WsgiDoor

OURS = str(Path(sojourn.__file__).parent)
REQUESTS = 20
MOST_CALLS = {"asgi": 51, "wsgi, a whole body": 52, "wsgi, a generator": 61}
"""A request calls so many functions of ours, a tenth more than when it was last counted. Raise one only with a reason."""
MOST_BYTES = 272
"""Of a page view's record, with the header of its frame."""

BROWSER = {
    "host": "example.org",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
    "sec-fetch-site": "same-origin",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
}
HTML = "text/html; charset=utf-8"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    # Nothing in the background of this process, whose calls would be counted too.
    settings = Settings(secret_key="k" * 32, store=f"sqlite:///{tmp_path / 'sojourn.db'}", deliver="worker")
    with Engine(settings) as engine:
        yield engine


@pytest.mark.parametrize("door", MOST_CALLS)
def test_everyday_request_calls_few_functions(engine: Engine, door: str) -> None:
    ask = _asgi(engine) if door == "asgi" else _wsgi(engine, is_whole=door == "wsgi, a whole body")
    cookie = ask("theme=dark")
    assert cookie is not None
    for _ in range(3):  # what is remembered is remembered
        assert ask(cookie) is None
    calls = _calls(lambda: [ask(cookie) for _ in range(REQUESTS)])
    assert len(calls) / REQUESTS <= MOST_CALLS[door], sorted(set(calls))


def test_page_view_takes_few_bytes(engine: Engine) -> None:
    ask = _asgi(engine)
    cookie = ask("theme=dark")
    assert cookie is not None
    before = _bytes_used(engine)
    for _ in range(REQUESTS):
        ask(cookie)
    assert (_bytes_used(engine) - before) / REQUESTS <= MOST_BYTES


def _bytes_used(engine: Engine) -> int:
    journal = engine.stats().journal
    assert journal is not None
    return journal.bytes_used


def _calls(work: Callable[[], object]) -> list[str]:
    """The functions of ours that this work calls."""
    calls: list[str] = []

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            calls.append(f"{Path(frame.f_code.co_filename).name} {frame.f_code.co_name}")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def _asgi(engine: Engine) -> Callable[[str], str | None]:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", HTML.encode())]})
        await send({"type": "http.response.body", "body": b"<p>Hello</p>"})

    door = AsgiDoor(app, engine=engine)

    def ask(cookie: str) -> str | None:
        headers = [(name.encode(), value.encode()) for name, value in {**BROWSER, "cookie": cookie}.items()]
        scope = {"type": "http", "method": "GET", "path": "/", "scheme": "http", "headers": headers}
        lines: list[str] = []

        async def send(message: Any) -> None:
            lines.extend(value.decode() for name, value in message.get("headers", ()) if name == b"set-cookie")

        async def receive() -> Any:
            return {}

        with pytest.raises(StopIteration):
            door(scope, receive, send).__await__().__next__()
        return lines[0].partition(";")[0] if lines else None

    return ask


def _wsgi(engine: Engine, *, is_whole: bool) -> Callable[[str], str | None]:
    def whole(_environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", HTML)])
        return [b"<p>Hello</p>"]

    def generator(_environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", HTML)])
        yield b"<p>Hello</p>"

    door = WsgiDoor(whole if is_whole else generator, engine=engine)

    def ask(cookie: str) -> str | None:
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.url_scheme": "http", "HTTP_COOKIE": cookie}
        environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in BROWSER.items()}
        lines: list[str] = []

        def start_response(_status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> Any:
            lines.extend(value for name, value in headers if name == "Set-Cookie")

        body = door(environ, start_response)
        assert b"".join(body) == b"<p>Hello</p>"
        if hasattr(body, "close"):
            body.close()
        return lines[0].partition(";")[0] if lines else None

    return ask
