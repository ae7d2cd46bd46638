"""Which store a command uses: options, the environment, pyproject.toml, this folder; and which commands take no guess."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sojourn import cli
from sojourn.cli import _stores
from sojourn.settings import Settings
from sojourn.stores import SQLiteStore

APP = """
from sojourn import Settings
from sojourn.asgi import SojournMiddleware

async def app(scope, receive, send): ...

def create_app():
    return SojournMiddleware(app, Settings(secret_key="a key that only tests use", store="sqlite:///{name}.db"))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a folder in it, which is the current one. No variable of ours is set."""
    for name in [name for name in os.environ if name.startswith("SOJOURN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "path", list(sys.path))
    here = tmp_path / "project" / "part"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    return here


def made(path: Path) -> str:
    path.parent.mkdir(exist_ok=True)
    store = SQLiteStore(path)
    store.open()
    store.close()
    return f"sqlite:///{path}"


def pyproject(folder: Path, lines: str) -> Path:
    file = folder / "pyproject.toml"
    file.write_text(f'[project]\nname = "shop"\n\n[tool.sojourn]\n{lines}\n')
    return file


def named(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What standard error says about the store."""
    assert cli.main(["sessions", "list", *arguments]) == 0
    out, err = capsys.readouterr()
    assert out == "none\n"
    return err.removeprefix("store: ").rstrip("\n")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_each_place_counts_before_the_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    instance = made(folder / "instance" / "sojourn.db")
    assert named(capsys) == f"{instance} (found in this folder)"
    near = made(folder / "sojourn.db")
    assert named(capsys) == f"{near} (found in this folder; there is instance/sojourn.db, too)"
    above = made(folder.parent / "data.db")
    file = pyproject(folder.parent, 'store = "sqlite:///data.db"')
    assert named(capsys) == f"{above} ([tool.sojourn] in {file})"
    variable = made(folder / "variable.db")
    monkeypatch.setenv("SOJOURN_STORE", "sqlite:///variable.db")
    assert named(capsys) == f"{variable} (SOJOURN_STORE)"
    (folder / "named.py").write_text(APP.format(name="app"))
    app = made(folder / "app.db")
    assert named(capsys, "--app", "named:create_app") == app
    flag = made(folder / "flag.db")
    assert named(capsys, "--store", "sqlite:///flag.db") == flag
    assert cli.main(["sessions", "list"], settings=Settings(enabled=False, store=app)) == 0
    assert capsys.readouterr().err == f"store: {app}\n"


def test_without_any_store_the_error_says_how_to_name_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no store is named: give --store URL" in refused(capsys, "status")


def test_a_current_folder_that_is_gone_has_no_store(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.rmdir()
    assert "no store is named" in refused(capsys, "status")


def test_an_app_in_pyproject_is_imported_from_its_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder.parent / "in_pyproject.py").write_text(APP.format(name="shop"))
    shop = made(folder.parent / "shop.db")
    file = pyproject(folder.parent, 'app = "in_pyproject:create_app"')
    assert named(capsys) == f"{shop} ([tool.sojourn] in {file})"
    assert Path.cwd() == folder


def test_the_nearest_pyproject_with_the_table_counts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pyproject.toml").write_text("[tool.ruff]\n# sojourn is set up above\n")
    far = pyproject(folder.parent.parent, 'store = "sqlite:///far.db"')
    made(folder.parent.parent / "far.db")
    assert named(capsys).endswith(f"([tool.sojourn] in {far})")
    near = pyproject(folder.parent, 'store = "sqlite:///near.db"')
    made(folder.parent / "near.db")
    assert named(capsys).endswith(f"([tool.sojourn] in {near})")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://shop:hunter2@db.example/shop",
        "postgres://:hunter2@db.example/shop",
        "postgresql+psycopg://shop:hunt@er2@db.example/shop",
        "postgresql://shop:hunt?er2@db.example/shop",
        "postgresql://db.example/shop?password=hunter2",
        "postgresql://db.example/shop?user=shop&pass%77ord=hunter2",
        "postgresql://db.example/shop?sslpassword=hunter2",
        "postgresql://db.example/shop?oauth_client_secret=hunter2",
    ],
)
def test_a_password_in_pyproject_is_refused_and_not_shown(
    url: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pyproject(folder, f'store = "{url}"')
    error = refused(capsys, "status")
    assert "store has a password" in error
    assert "PGPASSWORD" in error
    assert "er2" not in error


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        pytest.param('stroe = "x"', "'stroe' is unknown; did you mean 'store'?", id="misspelt"),
        pytest.param('idle_timeout = "5m"', "Settings belong to the app, which does not read this file", id="setting"),
        pytest.param('store = "x"\napp = "y:z"', "write either store", id="both"),
        pytest.param("", "write either store", id="none"),
        pytest.param("store = 3", "store must be text", id="number"),
        pytest.param('app = " "', "app must be text", id="blank"),
        pytest.param("store = ", "is no TOML", id="no TOML"),
        pytest.param('app = "shop"', "app: give module:app", id="no app"),
    ],
)
def test_what_pyproject_cannot_say(lines: str, error: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = pyproject(folder, lines)
    code = cli.main(["status"])
    out, err = capsys.readouterr()
    assert (out, code in {1, 2}, err.count("\n")) == ("", True, 1)
    assert error in err
    assert str(file) in err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_what_another_user_left_in_a_shared_folder_is_not_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.parent.chmod(0o1777)
    file = pyproject(folder.parent, 'app = "os:system"')
    made(folder / "sojourn.db")
    os.chown(file, 65534, 65534)
    assert named(capsys).endswith("(found in this folder)")


DESTRUCTIVE = [
    ["erase", "--user", "anna", "--yes"],
    ["outbox", "skip", "posthog", "--all"],
    ["tokens", "revoke", "dashboard"],
]


@pytest.mark.parametrize("command", DESTRUCTIVE, ids=lambda command: command[0])
@pytest.mark.parametrize("place", ["pyproject.toml", "sojourn.db", "instance/sojourn.db"])
def test_what_cannot_be_undone_takes_no_guess(
    command: list[str], place: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if place == "pyproject.toml":
        url = made(folder / "named.db")
        pyproject(folder, 'store = "sqlite:///named.db"')
    else:
        url = made(folder / place)
    assert f"add --store {url}, or --app MODULE:APP, or set SOJOURN_STORE" in refused(capsys, *command)


@pytest.mark.parametrize("command", DESTRUCTIVE, ids=lambda command: command[0])
def test_what_cannot_be_undone_takes_the_environment(
    command: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = made(folder / "sojourn.db")
    monkeypatch.setenv("SOJOURN_STORE", "sqlite:///sojourn.db")
    assert cli.main(command) in {0, 1}
    assert f"store: {url} (SOJOURN_STORE)\n" in capsys.readouterr().err


def test_the_environment_brings_its_other_settings(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As for the app that reads them: a place of journals, and hashed ids."""
    made(folder / "sojourn.db")
    monkeypatch.setenv("SOJOURN_STORE", "sqlite:///sojourn.db")
    monkeypatch.setenv("SOJOURN_JOURNAL_DIR", "elsewhere")
    arguments = cli.parser("sojourn").parse(["status"])
    assert _stores.source_of(arguments).journals() == folder / "elsewhere"
