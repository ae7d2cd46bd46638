"""docs/django.md, followed to the letter in a new project."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doors.django_project import Project, block_with


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


PRINT = "import django; django.setup(); from sojourn.django import get_engine; print(get_engine().settings)"


def shown_settings(project: Project, code: int = 0, **environ: str) -> str:
    done = project.run("-c", PRINT, code=code, DJANGO_SETTINGS_MODULE="shop.settings", **environ)
    return done.stdout if code == 0 else done.stderr


def test_files_go_to_the_projects_folder_and_its_key_signs(project: Project) -> None:
    assert f"store='sqlite:///{project.folder / 'sojourn.db'}'" in shown_settings(project)


def test_settings_in_a_dict_one_by_one_and_in_the_environment(project: Project) -> None:
    project.add("settings", block_with("SOJOURN = {"))
    shown = shown_settings(project, SOJOURN_SERVICE_NAME="shop", SOJOURN_IDLE_TIMEOUT="1h")
    for text in ("idle_timeout=20m", "exclude=", "ignore_http_clients=True", "service_name='shop'"):
        assert text in shown


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        pytest.param("SOJOURN = {'idle_timout': 30}", "SOJOURN_IDLE_TIMOUT is not a setting", id="misspelt"),
        pytest.param("SOJOURN = {'store': 'memory:'}\nSOJOURN_STORE = 'memory:'", "both set store", id="twice"),
        pytest.param("SOJOURN = ['x']", "give a dict", id="not a dict"),
        pytest.param("DEBUG = False\nSECRET_KEY = 'short'", "needs at least 16 bytes", id="a short key"),
    ],
)
def test_wrong_settings_name_the_fix(project: Project, lines: str, error: str) -> None:
    project.add("settings", lines)
    assert error in shown_settings(project, code=1)


def test_upper_case_keys_and_retired_secret_keys(project: Project) -> None:
    project.add("settings", "SOJOURN = {'IDLE_TIMEOUT': '5m'}\nSECRET_KEY_FALLBACKS = ['an older key of this project']")
    script = PRINT.replace("settings)", "settings.secret_key[0], get_engine().settings.idle_timeout)")
    done = project.run("-c", script, DJANGO_SETTINGS_MODULE="shop.settings")
    assert done.stdout.split() == ["b'an", "older", "key", "of", "this", "project'", "0:05:00"]


def test_the_shown_test_of_a_view_passes_and_leaves_no_file(project: Project) -> None:
    project.add("settings", "SOJOURN = {'backends': ['jsonl:events.jsonl']}")
    project.add("tests", block_with("class ShopTests"))
    done = project.manage("test")
    assert "Ran 1 test" in done.stderr
    assert not list(project.folder.glob("sojourn*"))
    assert not (project.folder / "events.jsonl").exists()


def test_the_shown_asgi_module_shares_the_engine(project: Project) -> None:
    (project.folder / "shop" / "asgi.py").write_text(block_with("django.core.asgi"))
    script = "from shop.asgi import application as door, get_engine; print(door.engine is get_engine())"
    assert project.run("-W", "error", "-c", script).stdout == "True\n"
