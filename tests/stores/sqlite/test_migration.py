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
from sojourn.stores.reporting.model import DAY_MS
from sojourn.stores.schema import SCHEMA_VERSION
from sojourn.stores.sqlite import migration as opening
from tests.stores.contract.steps import NOW, key_of, load, row, save


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


# --- stores of a Sojourn before the first release, with the same version


EARLIER = (
    "DROP VIEW sessions",
    "DROP INDEX sojourn_ix_sessions_closed_filters",
    "ALTER TABLE sojourn_sessions DROP COLUMN country",
    "ALTER TABLE sojourn_sessions DROP COLUMN late",
    "DROP TABLE sojourn_agents",
    "DROP TRIGGER sojourn_rollups_of_gone",
    "DELETE FROM sojourn_meta WHERE name = 'shape'",
)
_SHAPE = "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2"


def test_what_an_earlier_store_lacks_is_added(store: SQLiteStore, path: Path) -> None:
    store.maintenance.roll_up(finished_before=NOW + 9 * DAY_MS, limit=9)
    store.close()
    with closing(sqlite3.connect(path)) as db:
        whole = db.execute(_SHAPE).fetchall()
        db.executescript(";".join(EARLIER))
    with ThreadPoolExecutor(max_workers=4) as pool:
        stores = [SQLiteStore(path) for _ in range(4)]
        assert [set(rows) for rows in pool.map(lambda each: load(each, "k").rows, stores)] == [{"k"}] * 4
        for each in stores:
            pool.submit(each.close).result()
            each.close()
    assert load(store, "k").rows["k"] == row("k")
    save(store, Batch(rows=[row("new", NOW + DAY_MS)]))
    with closing(sqlite3.connect(path)) as db:
        assert db.execute(_SHAPE).fetchall() == whole
        assert db.execute("SELECT COUNT(*) FROM sojourn_rollups").fetchone() == (0,), "they are made again"
        assert db.execute("SELECT country FROM sessions").fetchall() == [(None,), (None,)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("ALTER TABLE sojourn_sessions ADD COLUMN later TEXT", "sojourn_sessions has the column later"),
        ("ALTER TABLE sojourn_events RENAME COLUMN time TO moment", "sojourn_events has the column moment"),
        ("ALTER TABLE sojourn_sessions DROP COLUMN anchor", "sojourn_sessions lacks the column anchor"),
    ],
)
def test_a_store_of_other_tables_is_refused_and_left_as_it_is(
    store: SQLiteStore, path: Path, change: str, says: str
) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"DROP VIEW sessions; DROP VIEW events; DROP VIEW page_views; {change}")
        db.execute("UPDATE sojourn_meta SET value = 'other' WHERE name = 'shape'")
        db.commit()
        before = db.execute(_SHAPE).fetchall()
    with pytest.raises(StoreError, match=rf"{says}.*open it with that one, or delete it") as caught:
        store.open()
    assert str(path) in str(caught.value)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute(_SHAPE).fetchall() == before
