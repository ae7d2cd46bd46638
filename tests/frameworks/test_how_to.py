"""The how-tos of docs/frameworks.md for apps built on other frameworks. They are heavy: each runs where it is installed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.responses import HTMLResponse

from tests.child_process import with_tests
from tests.frameworks.matrix import HTML
from tests.frameworks.test_table import BLOCK, PAGE

pytestmark = pytest.mark.filterwarnings("ignore")  # of what these frameworks load


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOJOURN_SECRET_KEY", "a key that only these tests use")
    monkeypatch.setenv("SOJOURN_STORE", f"sqlite:///{tmp_path / 'sojourn.db'}")
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")


NAMES = """
import asyncio, sys
import httpx
names = {"__name__": "shown"}
exec(sys.argv[1], names)
"""
OPENED = """
async def open_page():
    headers = {"Accept": "text/html"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://site.test", headers=headers) as client:
        return (await client.get("/")).status_code

print(asyncio.run(open_page()))
engine.flush()
print(engine.stats().store.sessions)
"""


def block_of(text: str) -> str:
    block: str
    (block,) = (block for block in BLOCK.findall(PAGE.read_text()) if text in block)
    return block


def in_a_process(script: str, block: str) -> list[str]:
    """The status of a page and the number of sessions, in another process: for frameworks that leave things open.

    The script makes an app of the `names` of a block, and says which `engine` it has.
    """
    script = f"{NAMES}{script}{OPENED}"
    done = subprocess.run(
        [sys.executable, "-c", script, block], capture_output=True, text=True, check=True, env=with_tests()
    )
    return done.stdout.split()


def names_of(text: str) -> dict[str, Any]:
    block = block_of(text)
    names: dict[str, Any] = {"__name__": "shown"}
    exec(compile(block, str(PAGE), "exec", dont_inherit=True), names)
    return names


def open_asgi(app: Any, path: str = "/") -> int:
    async def run() -> int:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://site.test", headers=HTML, follow_redirects=True
        ) as client:
            return (await client.get(path)).status_code

    return asyncio.run(run())


def sessions_of(engine: Any) -> int:
    engine.flush()
    try:
        count: int = engine.stats().store.sessions
        return count
    finally:
        engine.close()


def missing(name: str) -> str:
    return f"{name} is not installed here; `pip install {name}` runs this"


GRADIO = """
import gradio
with gradio.Blocks() as blocks:
    gradio.Markdown("hello")
app = names["serve"](blocks)
engine = app.state.sojourn.engine
"""


def test_gradio() -> None:
    pytest.importorskip("gradio", reason=missing("gradio"))
    # It leaves event loops open.
    assert in_a_process(GRADIO, block_of("mount_gradio_app"))[-2:] == ["200", "1"]


def test_nicegui() -> None:
    nicegui = pytest.importorskip("nicegui", reason=missing("nicegui"))
    sojourn = names_of("from nicegui import app")["track_nicegui"]()

    nicegui.app.add_api_route("/hello", lambda: HTMLResponse("hello"))
    assert open_asgi(nicegui.app, "/hello") == 200
    assert sessions_of(sojourn.engine) == 1


def test_dash() -> None:
    dash = pytest.importorskip("dash", reason=missing("dash"))
    app = dash.Dash(__name__)
    app.layout = dash.html.H1("hello")
    sojourn = names_of("track_dash")["track_dash"](app)
    assert app.server.test_client().get("/", headers=HTML).status_code == 200
    assert sessions_of(sojourn.engine) == 1


DATASETTE = """
from datasette.app import Datasette
from datasette.plugins import pm
pm.register(type("Plugin", (), {"asgi_wrapper": staticmethod(names["asgi_wrapper"])}), "sojourn")
app = Datasette(memory=True).app()
engine = app.engine
"""


def test_datasette() -> None:
    pytest.importorskip("datasette", reason=missing("datasette"))
    # It leaves its databases open.
    assert in_a_process(DATASETTE, block_of("asgi_wrapper")) == ["200", "1"]
