"""What an import of Sojourn loads, counted in modules: a time would say more about the machine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.child_process import with_tests

MOST_OWN_MODULES = 115
"""Ours, behind a door, with room for modules that are parted. What comes with the engine, when an app is made, is `LATER`."""
FRAMEWORKS = ("blacksheep", "bottle", "django", "falcon", "flask", "litestar", "pyramid", "quart", "sanic", "starlette")
LATER = ("sojourn.backends", "sojourn.engine", "sojourn.pipeline", "sojourn.report", "sojourn.stores")
NEVER = ("difflib", "httpx", "importlib.resources", "is_crawler", "jinja2", "psycopg", "sqlalchemy", "sqlite3")

LOADED_BY_IMPORT = """
import json, sys, {framework}
before = set(sys.modules)
import sojourn.{door}
print(json.dumps(sorted(set(sys.modules) - before)))
"""

LOADED_BY_REQUEST = """
import json, sys, tempfile
from pathlib import Path
from sojourn.engine import Engine
from sojourn.settings import Settings
from sojourn.wsgi import SojournMiddleware

def app(environ, start_response):
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


def _modules(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=with_tests())
    loaded: list[str] = json.loads(done.stdout)
    return loaded
