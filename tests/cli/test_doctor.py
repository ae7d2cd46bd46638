"""`sojourn doctor`: each line is true of a real app, store and folder, and the exit code says whether one is wrong."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from sojourn import Settings, cli
from sojourn.engine import Engine
from sojourn.stores import SQLiteStore
from tests.doors.browser import Browser, Site

APP = """
from starlette.applications import Starlette
from sojourn import Settings
from sojourn.starlette import Sojourn

app = Starlette()
Sojourn(app, Settings(secret_key="a key that only these tests use", {settings}))
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SOJOURN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def checked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    code = cli.main(["doctor", "--json", *arguments])
    document = json.loads(capsys.readouterr().out)
    assert document["is_well"] is (code == 0)
    return code, {check["name"]: check for check in document["checks"]}


def app(folder: Path, name: str, settings: str) -> str:
    (folder / f"{name}.py").write_text(APP.format(settings=settings))
    return f"{name}:app"


def visited(folder: Path, *, is_bot: bool = False) -> str:
    """A store that one visitor, or one fetch, has reached."""
    url = f"sqlite:///{folder / 'sojourn.db'}"
    site = Site("wsgi", store=url)
    browser = Browser(site)
    if is_bot:
        browser.fetch("/api")
    else:
        browser.navigate()
    site.engine.flush()
    site.close()
    return url


def test_missing_store_is_wrong_and_is_not_made(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, checks = checked(capsys, "--store", "sqlite:///none.db")
    assert code == 1
    assert checks["Store"]["state"] == "bad"
    assert "there is none" in checks["Store"]["text"]
    assert list(own_folder.iterdir()) == []


def test_store_with_sessions_is_well(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, checks = checked(capsys, "--store", visited(own_folder))
    assert (code, checks["Store"]["state"]) == (1, "good")  # no process runs any more
    assert checks["Last request"]["state"] == "good"
    assert checks["Middleware"]["state"] == "bad"


def test_doctor_says_why_the_last_request_began_no_session(
    own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, checks = checked(capsys, "--store", visited(own_folder, is_bot=True))
    assert "began no session: it opens no page" in checks["Last request"]["text"]


def test_doctor_leaves_nothing_behind(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = visited(own_folder)
    checked(capsys, "--store", url)
    store = SQLiteStore(own_folder / "sojourn.db")
    store.open()
    assert not [lease for lease in store.leases.held() if lease.name == "doctor"]
    store.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_store_is_wrong(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = visited(own_folder)
    (own_folder / "sojourn.db").chmod(0o400)
    _, checks = checked(capsys, "--store", url)
    assert checks["Store"]["state"] == "bad"


def test_file_that_is_no_store_is_wrong(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own_folder / "other.db").write_bytes(b"not a database at all" * 100)
    code, checks = checked(capsys, "--store", "sqlite:///other.db")
    assert (code, checks["Store"]["state"]) == (1, "bad")


def test_settings_of_an_app(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = app(own_folder, "doctor_app", 'trusted_proxies="10.0.0.0/8", backends=["jsonl:out.jsonl"], automatic=False')
    code, checks = checked(capsys, "--app", name)
    assert code == 1  # the store is not there yet
    assert (checks["Secret key"]["state"], checks["Proxies"]["text"]) == ("good", "10.0.0.0/8 may name the client")
    assert checks["Backends"]["text"] == "jsonl"
    assert checks["Starts"]["state"] == "note"
    assert checks["Journal"]["state"] == "good"


def test_disabled_app_is_wrong(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, checks = checked(capsys, "--app", app(own_folder, "doctor_disabled", "enabled=False"))
    assert checks["Enabled"]["state"] == "bad"


@pytest.mark.parametrize("name", ["nowhere:app", "os:path"])
def test_app_that_cannot_be_used_is_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, checks = checked(capsys, "--app", name)
    assert (code, list(checks)) == (1, ["Settings"])


def test_environment_without_a_key_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, checks = checked(capsys)
    assert checks["Secret key"]["state"] == "bad"
    monkeypatch.setenv("SOJOURN_SECRET_KEY", "a key that only these tests use, in the environment")
    _, checks = checked(capsys)
    assert checks["Secret key"]["state"] == "good"


def test_running_app_is_well(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{own_folder / 'sojourn.db'}"
    with Engine(Settings(secret_key="a key that only these tests use", store=url)) as engine:
        engine.flush()
        _, checks = checked(capsys, "--store", url)
    assert checks["Middleware"]["state"] == "good"
    assert checks["Last request"]["state"] == "unknown"


def test_page_has_a_line_for_each_check_and_its_fix(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["doctor", "--store", visited(own_folder)])
    lines = capsys.readouterr().out.splitlines()
    assert code == 1
    assert any(line.startswith("ok     Store") for line in lines)
    assert any(line.startswith("wrong  Middleware") for line in lines)
    assert any(line.strip() == "start the app" for line in lines)


def test_app_and_store_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["doctor", "--app", "a:b", "--store", "sqlite:///x.db"])
    assert stopped.value.code == 2
    capsys.readouterr()
