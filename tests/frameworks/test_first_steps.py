"""docs/first-steps.md: each app that it shows names its session, and its report is there."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.doors.django_project import Project
from tests.frameworks import test_matrix, test_table
from tests.frameworks.matrix import ROWS, Row

PAGE = Path(__file__).parents[2] / "docs" / "first-steps.md"
SECTIONS = dict(test_table.SECTION.findall(PAGE.read_text()))
SHOWN = [row for row in ROWS if row.name in SECTIONS and row.name != "Django"]
pytestmark = test_matrix.pytestmark


def test_page_has_the_frameworks_that_it_promises() -> None:
    assert SECTIONS.keys() >= {"FastAPI", "Litestar", "Flask", "Django"}
    assert {row.name for row in SHOWN} == {"FastAPI", "Litestar", "Flask"}


@pytest.mark.parametrize("row", SHOWN, ids=lambda row: row.name)
def test_app_names_its_session(row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOJOURN_SECRET_KEY", "a key that only these tests use")
    made = test_table.engines_of_now_on(monkeypatch)
    (code,) = test_table.BLOCK.findall(SECTIONS[row.name])
    if row.name == "Litestar":  # its logging leaves a thread behind
        code = code.replace("plugins=[sojourn]", "plugins=[sojourn], logging_config=None")
    app = test_table.imported(code, tmp_path, monkeypatch).app
    statuses = row.client(app, ["/", "/login", "/_sojourn/"])
    (engine,) = made
    assert engine.flush().done
    (session,) = engine.store.sessions.latest(limit=5)
    assert (session.user_id, session.user_name, session.page_views) == ("ada", "Ada L.", 2)
    assert statuses == [
        200,
        200,
        200 if row.name in {"FastAPI", "Litestar"} else 303,
    ]  # those clients follow to the log-in
    engine.close()


STEPS = """
import django; django.setup()
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from sojourn.django import get_engine
call_command("migrate", verbosity=0)
get_user_model().objects.create_superuser("ada", "ada@shop.example", "a password")
browser = Client(SERVER_NAME="localhost")
page = browser.post("/admin/login/?next=/admin/", {"username": "ada", "password": "a password"}, follow=True)
assert page.status_code == 200
get_engine().flush()
report = browser.get("/_sojourn/sessions")
assert report.status_code == 200
print("names:", b"ada" in b"".join(report))
"""


def test_django_project_names_its_session_and_shows_it_to_staff(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (urls,) = test_table.BLOCK.findall(SECTIONS["Django"])
    (tmp_path / "shop" / "urls.py").write_text(urls)
    done = project.run("-W", "error", "-c", STEPS, DJANGO_SETTINGS_MODULE="shop.settings")
    assert done.stdout.strip() == "names: True"


def test_commands_are_those_of_the_page() -> None:
    text = PAGE.read_text()
    blocks = list(itertools.chain.from_iterable(block.splitlines() for block in sh_blocks(text)))
    assert all(
        line.split()[0] in {"pip", "export", "fastapi", "litestar", "flask", "python", "django-admin"}
        for line in blocks
    )


def sh_blocks(text: str) -> list[str]:
    return [part.partition("```")[0] for part in text.split("```sh\n")[1:]]
