"""`sojourn settings`: each value and where it came from, without secrets."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from sojourn import Settings, cli
from tests.cli.terminal import run_in_terminal

KEY = "a key that nobody may see here"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("SOJOURN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str], *arguments: str, settings: Settings | None = None) -> dict[str, Any]:
    assert cli.main(["settings", "--json", *arguments], settings=settings) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_every_setting_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    rows = shown(capsys)
    assert list(rows) == [row.name for row in Settings.fields()]
    assert {row["from"] for row in rows.values()} == {"default"}
    assert rows["idle_timeout"] == {"value": "30m", "from": "default", "note": None}
    assert rows["secret_key"]["value"] == "None"  # not the one that the command makes for itself
    assert "/metrics" in rows["exclude"]["value"]  # the last of the list


def test_the_environment_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOJOURN_IDLE_TIMEOUT", "30m")  # as the default is
    monkeypatch.setenv("SOJOURN_SECRET_KEY", KEY)
    rows = shown(capsys, "--changed")
    assert rows == {
        "secret_key": {"value": "<hidden>", "from": "environment", "note": None},
        "idle_timeout": {"value": "30m", "from": "environment", "note": None},
    }


APPS = {
    "in_code": """
from sojourn import Settings
from sojourn.asgi import SojournMiddleware
async def app(scope, receive, send): ...
app = SojournMiddleware(app, Settings(secret_key={key!r}, idle_timeout="5m", page_views=True))
""",
    "in_flask": """
import flask
from sojourn.flask import Sojourn
app = flask.Flask(__name__)
app.config.update(SECRET_KEY={key!r}, SOJOURN_IDLE_TIMEOUT="5m")
Sojourn(app)
""",
}


@pytest.mark.parametrize(
    ("name", "origins", "note"),
    [
        pytest.param(
            "in_code",
            {"secret_key": "code", "idle_timeout": "code", "page_views": "default", "retention": "default"},
            "SOJOURN_RETENTION of the environment is not used",
            id="code",
        ),
        pytest.param(
            "in_flask",
            {
                "secret_key": "configuration",
                "idle_timeout": "configuration",
                "base_dir": "configuration",
                "page_views": "default",
                "retention": "environment",
            },
            None,
            id="the configuration of a framework",
        ),
    ],
)
def test_an_apps_settings(
    name: str,
    origins: dict[str, str],
    note: str | None,
    *,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / f"settings_{name}.py").write_text(APPS[name].format(key=KEY))
    monkeypatch.setenv("SOJOURN_RETENTION", "30d")
    monkeypatch.setenv("SOJOURN_IDLE_TIMEOUT", "7m")
    rows = shown(capsys, "--app", f"settings_{name}:app")
    assert {each: rows[each]["from"] for each in origins} == origins
    assert rows["idle_timeout"]["value"] == "5m"
    assert rows["idle_timeout"]["note"] == "SOJOURN_IDLE_TIMEOUT of the environment is not used"
    assert rows["retention"]["note"] == note
    assert rows["store"]["from"] == "default"


def test_a_project_names_its_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings.from_mapping({"SECRET_KEY": KEY, "SOJOURN_GPC": "off"}, environ={"SOJOURN_DNT": "off"})
    rows = shown(capsys, "--changed", settings=settings)
    assert {name: row["from"] for name, row in rows.items()} == {
        "secret_key": "configuration",
        "gpc": "configuration",
        "dnt": "environment",
    }


def test_the_store_says_who_named_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "store", "--store", "sqlite:///x.db")["store"]["from"] == "--store"
    file = folder / "pyproject.toml"
    file.write_text('[tool.sojourn]\nstore = "sqlite:///data.db"\n')
    row = shown(capsys, "SOJOURN_STORE")["store"]
    assert row == {"value": f"sqlite:///{folder}/data.db", "from": f"[tool.sojourn] in {file}", "note": None}


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {
        "SECRET_KEY": f"{KEY} hunter2",
        "USER_HASH_KEY": f"{KEY} hunter2",
        "STORE": "postgresql://shop:hunter2@db.example/shop?password=hunter2",
        "BACKENDS": "posthog:hunter2,webhook+https://u:hunter2@h.example/?secret=hunter2hunter2hunter2",
        "MAIL_SERVER": "smtps://u:hunter2@mail.example",
        "ALERT_TARGETS": "webhook+https://h.example/?secret=hunter2hunter2",
    }.items():
        monkeypatch.setenv(f"SOJOURN_{name}", value)
    assert cli.main(["settings"]) == 0
    out, err = capsys.readouterr()
    assert "hunter2" not in out + err
    assert "postgresql://shop:***@db.example/shop" in out


def test_a_misspelt_setting_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["settings", "idle_timout"]) == 2
    assert (
        capsys.readouterr().err
        == "sojourn: settings: there is no setting 'idle_timout'; did you mean 'idle_timeout'?\n"
    )
    monkeypatch.setenv("SOJOURN_IDLE_TIMOUT", "5m")
    assert cli.main(["settings"]) == 1
    assert "SOJOURN_IDLE_TIMOUT is not a setting; the nearest is SOJOURN_IDLE_TIMEOUT" in capsys.readouterr().err


def test_it_fits_a_narrow_terminal_and_cuts_nothing(folder: Path) -> None:
    out = run_in_terminal(["settings"], columns=80, folder=folder)
    assert max(map(len, out.splitlines())) <= 80
    assert out.splitlines()[0].split() == ["setting", "from", "value"]
    assert "/metrics" in out  # the last of a long list
    assert "…" not in out


def test_a_variable_that_is_not_used_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOJOURN_GPC", "anonymous")
    assert cli.main(["settings", "gpc"], settings=Settings(secret_key=KEY, gpc="off")) == 0
    assert capsys.readouterr().out.splitlines() == [
        "  setting  from  value",
        "  gpc      code  off",
        "                 SOJOURN_GPC of the environment is not used",
    ]
