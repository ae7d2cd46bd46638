"""The public surface is what `__all__` says, and importing it loads no framework, store or HTTP client."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from inspect import ismodule
from pathlib import Path

import pytest

import sojourn
import sojourn.testing

HEAVY = ("flask", "starlette", "fastapi", "httpx", "psycopg", "sqlite3", "werkzeug", "pytest")


def test_the_names_of_sojourn_are_these() -> None:
    public = {name for name in dir(sojourn) if not name.startswith("_") and not ismodule(getattr(sojourn, name))}
    assert public - {"annotations", "TYPE_CHECKING", "Any", "import_module"} == set(sojourn.__all__)


def test_a_public_name_is_the_one_of_its_module() -> None:
    from sojourn.tracking import helpers

    assert sojourn.track is helpers.track is vars(sojourn)["track"]


@pytest.mark.parametrize(
    "module", ["sojourn", "sojourn.testing", "sojourn.backends", "sojourn.starlette", "sojourn.flask"]
)
def test_every_public_name_is_there_and_documented(module: str) -> None:
    found = importlib.import_module(module)
    for name in found.__all__:
        assert getattr(found, name) is not None
        if name != "UNKNOWN":
            assert getattr(found, name).__doc__, name


def test_the_type_checker_sees_every_public_name_in_use() -> None:
    tree = ast.parse((Path(__file__).parent / "typing" / "api.py").read_text())
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert set(sojourn.__all__) - used == set()


@pytest.mark.parametrize("module", [sojourn, sojourn.testing], ids=lambda module: module.__name__)
def test_an_unknown_name_is_an_attribute_error(module: object) -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = module.nonsense  # type: ignore[attr-defined]


def test_importing_the_helpers_is_cheap() -> None:
    code = f"import sys, sojourn; print([name for name in {HEAVY} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_building_a_door_opens_nothing() -> None:
    code = (
        "import threading, os, sojourn.asgi, sojourn\n"
        "before = os.listdir('/proc/self/fd') if os.path.isdir('/proc/self/fd') else []\n"
        "sojourn.asgi.SojournMiddleware(None, sojourn.Settings(secret_key='x' * 16, store='memory:'))\n"
        "after = os.listdir('/proc/self/fd') if os.path.isdir('/proc/self/fd') else []\n"
        "print(threading.active_count(), len(before) == len(after))\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "1 True"
