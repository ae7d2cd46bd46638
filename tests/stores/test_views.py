"""The documented views read by plain SQL, as an analyst does."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sojourn.core.events import PAGE_VIEW
from sojourn.core.session import EndReason
from sojourn.stores import open_store
from sojourn.stores.model import Batch
from sojourn.stores.rows import PropertyValue
from sojourn.stores.views import VIEWS
from tests.postgres import Cluster
from tests.stores.contract.steps import NOW, event, row, save

DOCS = Path(__file__).parents[2] / "docs"

READS, ROLE, QUESTIONS = re.findall(r"```sql\n(.*?)```", (DOCS / "data.md").read_text(), re.DOTALL)
QUERIES = [sql.strip() for block in (READS, QUESTIONS) for sql in block.split(";")[:-1]]

Query = Callable[[str], list[tuple[Any, ...]]]


def fill(url: str) -> None:
    """One ended session with a page view, and an open one."""
    ended = row("k", NOW, seen=NOW + 65_000)
    ended.end_reason, ended.utm_source = EndReason.ENDED, "mail"
    ended.browser, ended.device = "Firefox", "desktop"
    ended.properties = {
        f"session_properties.{name}": PropertyValue(value, NOW, "r")
        for name, value in (("plan", "pro"), ("paid", True))
    }
    page_view = event("e", "k", name=PAGE_VIEW)
    page_view.attributes.update({"url.path": "/in", "http.response.status_code": 200})  # type: ignore[attr-defined]
    odd = event("odd", "open", name=PAGE_VIEW)
    odd.attributes["http.response.status_code"] = "no number"  # type: ignore[index]
    bought = event("buy", "k", name="purchase")
    store = open_store(url)
    save(store, Batch(rows=[ended, row("open", NOW)], events=[page_view, bought, odd]))
    store.close()


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def query(request: pytest.FixtureRequest, tmp_path: Path) -> Query:
    """Run SQL on a filled store, with the database's own driver."""
    if request.param == "SQLite":
        path = tmp_path / "sojourn.db"
        fill(f"sqlite:///{path}")

        def in_sqlite(sql: str) -> list[tuple[Any, ...]]:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
                return connection.execute(sql).fetchall()

        return in_sqlite
    postgres: Cluster = request.getfixturevalue("postgres")
    url = postgres.fresh_database()
    fill(url)

    def in_postgres(sql: str) -> list[tuple[Any, ...]]:
        return postgres.run(re.sub(r"\bFROM (\w+)", r"FROM sojourn.\1", sql), database=url)

    return in_postgres


def test_sessions(query: Query) -> None:
    columns = "session_id, duration_ms, end_reason, browser, utm_source, started_at_ms"
    assert query(f"SELECT {columns} FROM sessions WHERE NOT is_open") == [
        ("id-k", 65_000, "ended", "Firefox", "mail", NOW)
    ]
    assert query("SELECT session_key FROM sessions WHERE is_open") == [("open",)]


def test_times_are_readable(query: Query) -> None:
    ((started_at,),) = query("SELECT started_at FROM sessions WHERE session_key = 'k'")
    ((time,),) = query("SELECT time FROM page_views WHERE session_key = 'k'")
    expected = datetime.fromtimestamp(NOW / 1000, UTC)
    for moment in (started_at, time):
        value = moment if isinstance(moment, datetime) else datetime.fromisoformat(f"{moment}+00:00")
        assert value == expected


def test_json_columns_are_objects(query: Query) -> None:
    ((properties, attributes),) = query(
        "SELECT properties, (SELECT attributes FROM events WHERE event_id = 'e') FROM sessions WHERE session_key = 'k'"
    )
    properties, attributes = (
        json.loads(value) if isinstance(value, str) else value for value in (properties, attributes)
    )
    assert properties == {"session_properties.plan": "pro", "session_properties.paid": True}
    assert attributes["url.path"] == "/in"


def test_page_views(query: Query) -> None:
    """A value of another type, as `scrub` may leave it, makes no query fail."""
    assert query("SELECT session_key, path, status FROM page_views WHERE event_id = 'e'") == [("k", "/in", 200)]
    assert len(query("SELECT status FROM page_views")) == 2


@pytest.mark.parametrize("sql", QUERIES)
def test_the_shown_queries_run(query: Query, sql: str) -> None:
    assert query(sql)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_each_column_is_documented(view: Any) -> None:
    section = (DOCS / "data.md").read_text().split(f"\n## {view.name}\n")[1].split("\n## ")[0]
    shown = re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)
    assert shown == [(column.name, column.meaning) for column in view.columns]


def test_beside_tables_of_an_application_the_views_have_a_prefix(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.executescript("CREATE TABLE Sessions (mine); INSERT INTO Sessions VALUES (1);")
    fill(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as theirs:
        assert theirs.execute("SELECT mine FROM sessions").fetchall() == [(1,)]
        assert theirs.execute("SELECT browser FROM sojourn_view_sessions WHERE NOT is_open").fetchall() == [
            ("Firefox",)
        ]
        theirs.execute("CREATE TABLE events (mine)")
        theirs.execute("CREATE TABLE page_views (mine)")


def test_in_a_schema_with_tables_of_an_application_the_views_have_a_prefix(postgres: Cluster) -> None:
    url = postgres.fresh_database()
    postgres.run("CREATE TABLE events (mine int)", database=url)
    fill(f"{url}?schema=public")
    assert postgres.run("SELECT browser FROM sojourn_view_sessions WHERE NOT is_open", database=url) == [("Firefox",)]
    assert postgres.run("SELECT mine FROM events", database=url) == []


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the program sqlite3 is not installed")
@pytest.mark.parametrize("sql", QUERIES)
def test_the_shown_queries_run_in_the_program_sqlite3(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "sojourn.db"
    fill(f"sqlite:///{path}")
    assert _printed("sqlite3", f"file:{path}?mode=ro", sql)


@pytest.mark.parametrize("sql", QUERIES)
def test_the_shown_queries_run_in_psql(postgres: Cluster, sql: str) -> None:
    url = postgres.fresh_database()
    fill(url)
    assert _printed("psql", url, "--no-psqlrc", "--tuples-only", "-c", f"SET search_path TO sojourn; {sql}")


def test_the_shown_role_reads_the_views_and_nothing_else(postgres: Cluster) -> None:
    url = postgres.fresh_database()
    fill(url)
    postgres.run(ROLE, database=url)
    read = ("psql", url, "--no-psqlrc", "--tuples-only", "-c", "SET ROLE metabase", "-c")
    assert "Firefox" in _printed(*read, "SELECT browser FROM sojourn.sessions")
    assert "purchase" in _printed(*read, "SELECT name FROM sojourn.events")
    assert "/in" in _printed(*read, "SELECT path FROM sojourn.page_views")
    refused = subprocess.run(
        [*read, "SELECT * FROM sojourn.sojourn_sessions"], check=False, capture_output=True, text=True
    )
    assert "permission denied" in refused.stderr


def _printed(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()
