"""The table of docs/frameworks.md is what the tests of this folder run, and its examples are apps that record a session.

`python -m tests.frameworks.test_table` writes the table anew.
"""

from __future__ import annotations

import importlib
import itertools
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from sojourn import engine as engines
from tests.doors.django_project import Project, block_with
from tests.frameworks import test_matrix
from tests.frameworks.matrix import ROWS, Row

PAGE = Path(__file__).parents[2] / "docs" / "frameworks.md"
TABLE = re.compile(r"(<!-- made by [^>]*-->\n).*?(<!-- end -->)", re.DOTALL)
SECTION = re.compile(r"^## (\w+)\n(.*?)(?=^## )", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
pytestmark = test_matrix.pytestmark
NUMBERS = itertools.count()
COLUMNS = {  # and the test that backs each cell
    "lines": "test_example_in_the_docs_records_a_session",
    "hook": "test_example_in_the_docs_records_a_session",
    "route": "test_route_is_the_frameworks_template",
    "user": "test_user_is_the_one_that_the_framework_loaded",
    "exception": "test_unhandled_exception_is_recorded_once",
    "report": "test_command_line_serves_a_named_session_and_its_report",
    "test client": "test_test_client_sees_one_session_of_page_views",
    "command line": "test_command_line_serves_a_named_session_and_its_report",
}


def example(row: Row) -> str:
    """The first block of the framework's section, or page."""
    if row.name == "Django":
        return block_with("MIDDLEWARE = [")
    sections = dict(SECTION.findall(PAGE.read_text()))
    blocks: list[str] = BLOCK.findall(sections[row.name.partition(" ")[0]])
    return blocks[0]


def own_lines(row: Row) -> int:
    """The lines that Sojourn adds to the app, without settings."""
    lines = [line for line in example(row).splitlines() if "ojourn" in line and ".config" not in line]
    return len(lines)


def table() -> str:
    lines = [f"| framework | {' | '.join(COLUMNS)} |", f"|---{'|---' * len(COLUMNS)}|"]
    for row in ROWS:
        cells = (
            row.name,
            str(own_lines(row)),
            row.hook,
            f"`{row.route}`",
            row.user,
            "yes",
            "yes",
            row.client_name,
            row.command_name,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_table_in_the_docs_is_that_of_the_tests() -> None:
    shown = TABLE.search(PAGE.read_text())
    assert shown is not None
    assert shown[0] == f"{shown[1]}{table()}{shown[2]}", "python -m tests.frameworks.test_table"


def test_every_column_has_a_test_that_runs_every_row() -> None:
    for name in COLUMNS.values():
        test = globals().get(name) or getattr(test_matrix, name)
        (marked,) = (mark for mark in test.pytestmark if mark.name == "parametrize")
        assert marked.args == ("row", ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_example_in_the_docs_records_a_session(row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if row.name == "Django":
        assert sessions_of_a_new_project(tmp_path) == 1
        return
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOJOURN_SECRET_KEY", "a key that only these tests use")
    made = engines_of_now_on(monkeypatch)
    code = example(row)
    if row.factory == "make_asgi":
        code = code.replace("import falcon\n", "import falcon.asgi\n").replace("falcon.App()", "falcon.asgi.App()")
        code = code.replace("def on_get", "async def on_get")
    if row.name == "Litestar":  # its logging leaves a thread behind
        code = code.replace("[SojournPlugin()]", "[SojournPlugin()], logging_config=None")
    app = imported(code, tmp_path, monkeypatch).app
    assert row.client(app, ["/"]) == [200]
    (engine,) = made
    engine.flush()
    assert engine.stats().store.sessions == 1
    engine.close()


def engines_of_now_on(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A list that gets every engine that is made from now on: the apps of the docs make their own."""
    made: list[Any] = []
    kept = engines.Engine.__init__

    def keep(self: Any, *args: Any, **more: Any) -> None:
        made.append(self)
        kept(self, *args, **more)

    monkeypatch.setattr(engines.Engine, "__init__", keep)
    return made


def sessions_of_a_new_project(folder: Path) -> int:
    """How many sessions a page of a project records that `startproject` makes, and then the docs change."""
    visit = (
        "import django; django.setup(); from django.test import Client; from sojourn.django import get_engine; "
        "Client(SERVER_NAME='localhost').get('/admin/login/', headers={'accept': 'text/html'}); "
        "get_engine().flush(); print(get_engine().stats().store.sessions)"
    )
    done = Project(folder).run("-c", visit, DJANGO_SETTINGS_MODULE="shop.settings")
    return int(done.stdout)


def imported(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that a reader makes of a block. Some frameworks look for its source."""
    file = folder / f"shown_{next(NUMBERS)}.py"
    file.write_text(code)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return importlib.import_module(file.stem)


def test_every_other_block_runs() -> None:
    examples = {example(row) for row in ROWS}
    others = [block for block in BLOCK.findall(PAGE.read_text()) if block not in examples]
    assert len(others) == 5
    for block in others:
        exec(compile(block, str(PAGE), "exec", dont_inherit=True), {"__name__": "shown"})


if __name__ == "__main__":
    text = PAGE.read_text()
    PAGE.write_text(TABLE.sub(lambda shown: f"{shown[1]}{table()}{shown[2]}", text))
