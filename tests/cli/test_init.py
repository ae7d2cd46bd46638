"""`sojourn init`: what it prints for a framework is what makes an app of it record sessions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sojourn import cli
from sojourn.cli._init import RECIPES, detected
from sojourn.errors import SojournError
from tests.frameworks.matrix import ROWS, Row
from tests.frameworks.test_table import engines_of_now_on, example, imported

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:pkg_resources is deprecated:UserWarning"),
]
OWN = re.compile(r"^.*[sS]ojourn.*\n", re.MULTILINE)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOJOURN_SECRET_KEY", "a key that only these tests use")


@pytest.mark.parametrize("row", [row for row in ROWS if row.name != "Django"], ids=lambda row: row.name)
def test_lines_make_an_app_record_sessions(
    row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engines = engines_of_now_on(monkeypatch)
    name = row.name.partition(" ")[0].lower()
    assert cli.main(["init", name]) == 0
    shown = capsys.readouterr().out
    assert all(line.strip() in shown for line in RECIPES[name].code.splitlines())
    recipe = RECIPES[name].code.replace('"..."', '"a password of tests"')
    code = example(row)
    if row.factory == "make_asgi":
        code = code.replace("falcon\nfrom", "falcon.asgi\nfrom").replace("falcon.App()", "falcon.asgi.App()")
        code = code.replace("def on_get", "async def on_get")
    if name == "litestar":
        code = OWN.sub("", code) + recipe.replace("Litestar(...,", "Litestar([home], logging_config=None,")
    elif name == "pyramid":
        code = code.replace(
            '    config.include("sojourn.pyramid")\n',
            recipe.replace("config", "    config", 1).replace("\nconfig", "\n    config"),
        )
    else:
        code = OWN.sub("", code) + recipe
    assert row.client(imported(code, tmp_path, monkeypatch).app, ["/"]) == [200]
    (engine,) = engines
    engine.flush()
    assert engine.stats().store.sessions == 1
    engine.close()


def test_lines_of_django_go_behind_a_projects_settings() -> None:
    """What such settings do is tried with projects of their own."""
    (row,) = (row for row in ROWS if row.name == "Django")
    names: dict[str, Any] = {"INSTALLED_APPS": ["django.contrib.auth"]}
    exec(example(row).replace('    "sojourn.django.SojournMiddleware",  # first\n', "") + RECIPES["django"].code, names)
    assert names["MIDDLEWARE"][0] == "sojourn.django.SojournMiddleware"
    assert names["MIDDLEWARE"].count("sojourn.django.SojournMiddleware") == 1
    assert names["INSTALLED_APPS"] == ["django.contrib.auth", "sojourn.django"]


@pytest.mark.parametrize(
    ("files", "framework"),
    [
        ({"shop/app.py": "import flask\n"}, "flask"),
        ({"a.py": "from fastapi import FastAPI\nfrom starlette.responses import Response\n"}, "fastapi"),
        ({"a.py": "from quart import Quart", "broken.py": "def", ".venv/x.py": "import django"}, "quart"),
        ({"a.py": "def make():\n    from falcon.asgi import App\n"}, "falcon"),
    ],
)
def test_framework_is_the_one_that_is_imported(tmp_path: Path, files: dict[str, str], framework: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert detected(tmp_path) == framework


@pytest.mark.parametrize(
    ("text", "message"), [("import flask, django", "imports of django, flask; name one"), ("import os", "no import")]
)
def test_unclear_framework_is_asked_for(
    tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "app.py").write_text(text)
    with pytest.raises(SojournError, match=message):
        detected(tmp_path)
    assert cli.main(["init"]) == 1
    assert "sojourn init" in capsys.readouterr().err


def test_each_framework_prints_one_page(capsys: pytest.CaptureFixture[str]) -> None:
    for name in RECIPES:
        assert cli.main(["init", name]) == 0
        shown = capsys.readouterr().out
        assert RECIPES[name].title in shown
        assert len(shown.splitlines()) < 24
