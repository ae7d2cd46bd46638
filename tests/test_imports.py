"""What an import of Sojourn loads, counted in modules: a time would say more about the machine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sojourn.cli._commands import COMMANDS
from tests.child_process import with_tests

MOST_OWN_MODULES = 115
"""Ours, behind a door, with room for modules that are parted. What comes with the engine, when an app is made, is `LATER`."""
MOST_OF_A_COMMAND = 25
FRAMEWORKS = ("blacksheep", "bottle", "django", "falcon", "flask", "litestar", "pyramid", "quart", "sanic", "starlette")
LATER = ("sojourn.backends", "sojourn.engine", "sojourn.pipeline", "sojourn.report", "sojourn.stores")
NEVER = ("difflib", "httpx", "importlib.resources", "is_crawler", "jinja2", "psycopg", "sqlalchemy", "sqlite3")

LOADED_BY_IMPORT = """
import json, sys, {framework}
before = set(sys.modules)
import sojourn.{door}
print(json.dumps(sorted(set(sys.modules) - before)))
"""

LOADED_BY_COMMAND = """
import contextlib, io, json, sys
before = set(sys.modules)
from sojourn.cli import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main(sys.argv[1:])
print(json.dumps(sorted(set(sys.modules) - before)))
"""

LOADED_BY_REQUEST = """
import json, sys, tempfile
from pathlib import Path
import sojourn
from sojourn.engine import Engine
from sojourn.settings import Settings
from sojourn.wsgi import SojournMiddleware

def app(environ, start_response):
    assert all(getattr(sojourn, name) for name in sojourn.__all__)
    sojourn.track("purchase", {"price": 3})
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"<p>Hello</p>"]

def environ(cookie):
    return {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.url_scheme": "http", "HTTP_HOST": "example.org",
        "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0", "HTTP_COOKIE": cookie,
    }

with tempfile.TemporaryDirectory() as folder:
    settings = Settings(secret_key="k" * 32, store=f"sqlite:///{Path(folder) / 'sojourn.db'}", deliver="worker")
    with Engine(settings) as engine:
        door = SojournMiddleware(app, engine=engine)
        before, lines = set(sys.modules), []
        start = lambda status, headers, exc_info=None: lines.extend(v for n, v in headers if n == "Set-Cookie")
        door(environ(""), start)
        door(environ(lines[0].partition(";")[0]), start)
        print(json.dumps(sorted(set(sys.modules) - before)))
"""


@pytest.mark.parametrize(
    ("door", "framework"),
    [
        ("asgi", "asyncio"),
        ("wsgi", "http"),
        ("starlette", "starlette.applications"),
        ("flask", "flask"),
        ("bottle", "bottle"),
        ("quart", "quart"),
        ("litestar", "litestar"),
        ("falcon", "falcon.asgi"),
        ("blacksheep", "blacksheep"),
        ("sanic", "sanic"),
    ],
)
def test_door_loads_neither_stores_nor_pipeline(door: str, framework: str) -> None:
    loaded = _modules(LOADED_BY_IMPORT.format(door=door, framework=framework))
    assert [name for name in loaded if name.startswith(LATER)] == []
    assert [name for name in loaded if name.startswith(NEVER)] == []
    own = [name for name in loaded if name.startswith("sojourn")]
    assert len(own) <= MOST_OWN_MODULES, own


@pytest.mark.parametrize(
    ("words", "own"),
    [
        pytest.param("--help", "", id="help"),
        pytest.param("--version", "", id="version"),
        pytest.param("completion words -- se", "_completion", id="a tab behind a part of a command"),
        pytest.param("completion words -- secret --", "_completion _secret", id="a tab behind a command"),
        pytest.param("completion bash", "_completion", id="a command"),
    ],
)
def test_command_line_loads_only_what_it_runs(words: str, own: str) -> None:
    loaded = _modules(LOADED_BY_COMMAND, *words.split())
    parser = {f"sojourn{name}" for name in ("", ".cli", ".cli._commands", ".cli._parser", ".cli._streams", ".errors")}
    assert {name for name in loaded if name.startswith("sojourn")} == parser | {
        f"sojourn.cli.{name}" for name in own.split()
    }


@pytest.mark.parametrize("command", [name for entries in COMMANDS.values() for name in entries])
def test_tab_behind_a_command_loads_what_its_options_need(command: str) -> None:
    loaded = _modules(LOADED_BY_COMMAND, "completion", "words", "--", command, "--")
    assert [name for name in loaded if name in NEVER] == []
    if command not in {"sessions", "export"}:  # their help names every filter, which is in the stores' room
        own = [name for name in loaded if name.startswith("sojourn")]
        assert [name for name in own if name.startswith(("sojourn.settings", "sojourn.tracking", *LATER[1:]))] == []
        assert len(own) <= MOST_OF_A_COMMAND, own


def test_sojourn_loads_no_framework() -> None:
    loaded = set(_modules(LOADED_BY_IMPORT.format(door="integration", framework="http")))
    assert loaded.isdisjoint(FRAMEWORKS)


@pytest.mark.parametrize(
    "name", ["blacksheep", "bottle", "django", "falcon", "flask", "litestar", "pyramid", "quart", "sanic"]
)
def test_missing_framework_names_its_extra(name: str) -> None:
    code = f"import sys; sys.modules[{name!r}] = None; import sojourn.{name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=with_tests())
    assert f"pip install sojourn[{name}]" in done.stderr


def test_request_loads_nothing() -> None:
    assert _modules(LOADED_BY_REQUEST) == []


def _modules(code: str, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, env=with_tests()
    )
    loaded: list[str] = json.loads(done.stdout)
    return loaded
