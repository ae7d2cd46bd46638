"""A store that was led to this schema forgets summaries as a new one does."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sojourn.stores import PostgreSQLStore, SQLiteStore
from sojourn.stores.schema import SCHEMA_VERSION
from tests.postgres import Cluster
from tests.stores.sqlite.test_migration import made_by

POSTGRES_SCHEMA_3 = Path(__file__).parents[1] / "postgres" / "postgres_schema_3.sql"


def opened(path: Path) -> list[tuple[str, str]]:
    """Open the store at this path, and return its triggers."""
    store = SQLiteStore(path)
    store.open()
    store.close()
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name").fetchall()


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_a_migrated_file_has_the_triggers_of_a_new_one(version: int, tmp_path: Path) -> None:
    made_by(version, tmp_path / "old.db")
    assert opened(tmp_path / "old.db") == opened(tmp_path / "new.db") != []


def test_a_migrated_database_has_the_triggers_of_a_new_one(postgres: Cluster) -> None:
    look = """
SELECT t.tgname, pg_get_triggerdef(t.oid), p.prosrc FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal ORDER BY 1
"""
    found = []
    for schema in (POSTGRES_SCHEMA_3.read_text(), "SELECT 1"):
        url = postgres.fresh_database()
        postgres.run(schema, database=url)
        store = PostgreSQLStore(url)
        store.open()
        store.close()
        found.append(postgres.run(look, database=url))
    assert found[0] == found[1]
    assert [name for name, *_ in found[0]] == ["summaries_of_changed", "summaries_of_gone", "summaries_of_new"]
