"""Each framework with its own test client and its own command line: the cells of the table in docs/frameworks.md."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import starlette.routing

from sojourn import Engine, Settings
from sojourn.testing import ManualClock, MemoryBackend
from tests.child_process import with_tests
from tests.frameworks.matrix import HTML, ROWS, Row
from tests.ports import free_port

TOKEN = "a token that only these tests use"
USER = "ada-7"
PATIENCE_S = 20.0


class Rig:
    def __init__(self) -> None:
        self.backend = MemoryBackend()
        settings = Settings(secret_key="a key that only these tests use", store="memory:", backends=[self.backend])
        self.engine = Engine(settings, clock=ManualClock())

    def named(self, name: str) -> list[Any]:
        self.engine.flush()
        return self.backend.named(name)


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.engine.close()


pytestmark = [  # the frameworks' own, and of their test clients
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:pkg_resources is deprecated:UserWarning"),
    pytest.mark.usefixtures("kept_handlers"),  # Sanic's test client takes the signals
]
rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


@rows
def test_test_client_sees_one_session_of_page_views(row: Row, rig: Rig) -> None:
    assert row.client(row.make(rig.engine), ["/", "/items/7", "/items/8"]) == [200, 200, 200]
    views = rig.named("page_view")
    assert [view.attributes["url.path"] for view in views] == ["/", "/items/7", "/items/8"]
    assert len(rig.named("session.start")) == 1


@rows
def test_route_is_the_frameworks_template(row: Row, rig: Rig) -> None:
    if row.name == "Starlette" and 'scope["route"]' not in inspect.getsource(starlette.routing.Router):
        pytest.skip("this Starlette leaves no route in the scope")
    row.client(row.make(rig.engine), ["/items/7"])
    assert rig.named("page_view")[0].attributes["http.route"] == row.route


@rows
def test_user_is_the_one_that_the_framework_loaded(row: Row, rig: Rig) -> None:
    row.client(row.make(rig.engine), ["/", "/login"])
    assert [event.user_id for event in rig.named("user.identify")] == [row.user_id]
    assert rig.engine.guard.counters() == {}


@rows
def test_unhandled_exception_is_recorded_once(row: Row, rig: Rig) -> None:
    statuses = row.client(row.make(rig.engine), ["/", "/fails", "/missing"])
    assert statuses == [200, 500, 404]
    errors = [event.attributes["exception.type"] for event in rig.named("exception")]
    assert errors == ["ZeroDivisionError"]
    assert len(rig.named("session.start")) == 1


@rows
def test_responses_get_no_vary_and_one_cookie(row: Row, rig: Rig) -> None:
    headers = served(row, rig, "/")
    assert "vary" not in headers
    assert (
        len([line for line in headers.get_list("set-cookie") if line.strip().startswith("sojourn=")]) == 1
    )  # Django writes a space


def served(row: Row, rig: Rig, path: str) -> httpx.Headers:
    """The headers of a page, called by the protocol of the app, without a test client of its own."""
    app = row.make(rig.engine)
    if row.name == "Sanic":
        return httpx.Headers(app.test_client.get(path, headers=HTML)[1].headers.multi_items())
    if not inspect.iscoroutinefunction(app.__call__):
        transport = httpx.WSGITransport(app)
        with httpx.Client(transport=transport, base_url="http://site.test", headers=HTML) as client:
            return client.get(path).headers

    async def run() -> httpx.Headers:
        if row.name == "BlackSheep":
            await app.start()
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://site.test", headers=HTML
        ) as client:
            return (await client.get(path)).headers

    return asyncio.run(run())


# --- its own command line --------------------------------------------------------------------------------------------


@pytest.mark.slow
@rows
def test_command_line_serves_a_named_session_and_its_report(row: Row, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    environment = {
        **{name: value for name, value in with_tests().items() if not name.startswith("SOJOURN_")},
        "SOJOURN_SECRET_KEY": "a key that only these tests use",
        "SOJOURN_STORE": f"sqlite:///{tmp_path / 'sojourn.db'}",
        "SITE_DATABASE": str(tmp_path / "site.db"),
    }
    if row.prepare:
        subprocess.run([sys.executable, *row.prepare], env=environment, check=True)
    with log.open("wb") as output:
        server = subprocess.Popen(row.arguments(port, tmp_path), env=environment, stdout=output, stderr=output)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, headers=HTML, timeout=10) as browser:
            wait_for(lambda: responds(browser), server, log)
            assert browser.get("/items/7").status_code == 200
            assert browser.get("/login").status_code == 200
            assert browser.get("/fails").status_code == 500
            with httpx.Client(base_url=browser.base_url, trust_env=False, timeout=10) as reader:
                assert reader.get("/_sojourn/").status_code == 303  # to its log-in
                reader.headers["Authorization"] = f"Bearer {TOKEN}"
                wait_for(lambda: USER in reader.get("/_sojourn/sessions").text, server, log)
    finally:
        server.terminate()
        server.wait(PATIENCE_S)
    assert "Sojourn failed" not in log.read_text()


def wait_for(holds: Callable[[], bool], server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.1)


def responds(browser: httpx.Client) -> bool:
    try:
        return browser.get("/").status_code == 200
    except httpx.TransportError:
        return False
