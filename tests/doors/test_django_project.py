"""docs/django.md, followed to the letter in a new project."""

from __future__ import annotations

import re
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


@pytest.fixture
def installed(project: Project) -> Project:
    """The same, with the app in `INSTALLED_APPS`."""
    project.add("settings", block_with("INSTALLED_APPS"))
    return project


def test_the_system_checks_find_nothing_to_say(installed: Project) -> None:
    assert installed.manage("check", "--fail-level", "DEBUG").stderr == ""


@pytest.mark.parametrize(
    ("lines", "texts"),
    [
        pytest.param(
            "MIDDLEWARE = MIDDLEWARE[1:] + MIDDLEWARE[:1]",
            ["sojourn.W003", "'django.middleware.security.SecurityMiddleware', ", "Move"],
            id="something in front",
        ),
        pytest.param("MIDDLEWARE += MIDDLEWARE[:1]", ["sojourn.E003", "more than once"], id="twice"),
        pytest.param("MIDDLEWARE = MIDDLEWARE[1:]", ["sojourn.W002", "lacks Sojourn"], id="missing"),
        pytest.param(
            "MIDDLEWARE[0] = 'sojourn.wsgi.SojournMiddleware'",
            ["sojourn.E002", "Replace it by 'sojourn.django.SojournMiddleware'"],
            id="a door for whole projects",
        ),
        pytest.param("SOJOURN = {'idle_timeout': '-3'}", ["sojourn.E001", "idle_timeout"], id="a wrong setting"),
        pytest.param("SECRET_KEY = 'dev'", ["sojourn.W001", "too short for DEBUG = False"], id="a short key"),
    ],
)
def test_the_system_checks_name_the_fix(installed: Project, lines: str, texts: list[str]) -> None:
    installed.add("settings", lines)
    shown = installed.manage("check", "--fail-level", "WARNING", code=1).stderr
    assert all(text in shown for text in texts), shown


def test_the_command_uses_the_projects_store(installed: Project) -> None:
    assert "there is no store at" in installed.manage("sojourn", "status", code=1).stderr
    visit = (
        "import django; django.setup(); from django.test import Client; "
        "Client(SERVER_NAME='localhost').get('/buy/basil/')"
    )
    installed.run("-W", "error", "-c", visit, DJANGO_SETTINGS_MODULE="shop.settings")
    listed = installed.manage("sojourn", "sessions", "list", "--settings=shop.settings")
    assert "/buy/basil/" in listed.stdout
    assert f"store: sqlite:///{installed.folder / 'sojourn.db'}" in listed.stderr
    assert "usage: manage.py sojourn" in installed.manage("sojourn", "--help").stdout
    call = "from django.core.management import call_command; call_command('sojourn', 'sessions', 'list')"
    script = f"import django; django.setup(); {call}"
    assert "/buy/basil/" in installed.run("-c", script, DJANGO_SETTINGS_MODULE="shop.settings").stdout


def test_a_secret_is_printed_even_where_the_key_is_too_short(installed: Project) -> None:
    installed.add("settings", "DEBUG = False\nSECRET_KEY = 'dev'")
    assert installed.manage("sojourn", "secret").stdout.startswith("SOJOURN_SECRET_KEY=")
    assert "needs at least 16 bytes" in installed.manage("sojourn", "status", code=2).stderr


IN_DJANGO = Path(__file__).with_name("in_django")


@pytest.mark.parametrize("tests", sorted(path.stem for path in IN_DJANGO.glob("*.py")))
def test_in_a_project(installed: Project, tests: str) -> None:
    (installed.folder / "shop" / "tests.py").write_text((IN_DJANGO / f"{tests}.py").read_text())
    assert re.search(r"\nOK( \(.*\))?\n", installed.manage("test").stderr)


@pytest.mark.parametrize("module", ["wsgi", "asgi"])
@pytest.mark.parametrize("place", [0, 3])
def test_a_door_for_whole_projects_in_the_list_names_the_right_class(project: Project, module: str, place: int) -> None:
    project.add("settings", f"MIDDLEWARE.insert({place}, 'sojourn.{module}.SojournMiddleware')")
    for made in ("wsgi", "asgi"):
        shown = project.run("-c", f"import shop.{made}", code=1, SOJOURN_SECRET_KEY="a key that only tests use").stderr
        assert "TypeError: this class goes around a whole project" in shown
        assert '"sojourn.django.SojournMiddleware"' in shown


def test_the_middleware_around_a_whole_project_names_the_right_class(project: Project) -> None:
    wrap = "from sojourn.django import SojournMiddleware; SojournMiddleware(application)"
    for made in ("wsgi", "asgi"):
        shown = project.run("-c", f"from shop.{made} import application; {wrap}", code=1).stderr
        assert f"use `from sojourn.{made} import SojournMiddleware`" in shown
