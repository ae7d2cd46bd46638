"""A store that an older Sojourn made is led to the schema of today, with all that is in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from sojourn.errors import StoreError
from sojourn.stores import SQLiteStore
from sojourn.stores.model import Batch
from sojourn.stores.schema import SCHEMA_VERSION
from sojourn.stores.sqlite import migration as opening
from tests.stores.contract.steps import key_of, load, row, save


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    """A store of today's schema with one session, closed."""
    store = SQLiteStore(path)
    save(store, Batch(rows=[row("k")]))
    store.close()
    yield store
    store.close()


def test_each_version_has_the_step_that_leads_there() -> None:
    assert set(opening.STEPS) == set(range(1, SCHEMA_VERSION))


def test_a_migration_runs_once_and_keeps_what_is_there(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = key_of(store)
    store.close()
    monkeypatch.setattr(opening, "SCHEMA_VERSION", SCHEMA_VERSION + 2)
    steps = {
        SCHEMA_VERSION: ("CREATE TABLE first_step (x int)", "INSERT INTO first_step VALUES (1)"),
        SCHEMA_VERSION + 1: (
            "INSERT INTO first_step VALUES (2)",
            "ALTER TABLE sojourn_sessions ADD COLUMN later TEXT",  # under the views
        ),
    }
    monkeypatch.setattr(opening, "STEPS", steps)

    def migrated(_: int) -> tuple[set[str], bytes]:
        newer = SQLiteStore(path)
        try:
            return set(load(newer, "k").rows), key_of(newer)
        finally:
            newer.close()

    with ThreadPoolExecutor(max_workers=4) as pool:
        assert list(pool.map(migrated, range(4))) == [({"k"}, key)] * 4
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT x FROM first_step ORDER BY x").fetchall() == [(1,), (2,)]
        assert db.execute("SELECT session_key FROM sessions").fetchall() == [("k",)]


def test_a_migration_that_fails_leaves_all_as_it_was(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
    with closing(sqlite3.connect(path)) as db:
        before = db.execute(look).fetchall()
    with monkeypatch.context() as patch:
        patch.setattr(opening, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
        patch.setattr(opening, "STEPS", {SCHEMA_VERSION: ("CREATE TABLE half (x int)", "SELECT no_column")})
        with pytest.raises(StoreError, match="no such column"):
            store.open()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute(look).fetchall() == before
    assert set(load(store, "k").rows) == {"k"}
