"""A store that an older Sojourn made is led to the schema of today, with all that is in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from sojourn.core.events import SESSION_END
from sojourn.stores import SQLiteStore, open_store
from sojourn.stores.protocol import Batch, Settled
from sojourn.stores.sqlite.opening import SCHEMA_VERSION, open_file
from sojourn.stores.tombstones import VISITOR, DataSubject
from tests.stores.contract.steps import NOW, assert_adds_up, claim_ids, event, lease, load, row, save, tombstones

SCHEMAS = Path(__file__).parent
KEY = b"k" * 32


def insert(old: sqlite3.Connection, table: str, **values: str | int) -> None:
    """Insert a row; what that version needs beside these values is nothing much."""
    for _, name, kind, is_needed, _, _ in old.execute(f"PRAGMA table_info({table})"):
        if is_needed:
            values.setdefault(name, "" if kind == "TEXT" else 0)
    marks = ", ".join("?" * len(values))
    old.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values()))


def made_by(version: int, path: Path) -> None:
    """Make an empty store as that version made it; its statements are kept beside this test."""
    open_file(path).close()
    with sqlite3.connect(path) as ours:
        application = ours.execute("PRAGMA application_id").fetchone()[0]
    ours.close()
    path.unlink()
    with sqlite3.connect(path) as old:
        old.executescript((SCHEMAS / f"schema_{version}.sql").read_text())
        old.execute(f"PRAGMA application_id = {application}")
        old.execute(f"PRAGMA user_version = {version}")
        old.execute("INSERT INTO meta VALUES ('store_key', ?)", (KEY,))
        old.execute("INSERT INTO counters VALUES ('events.recorded', 2)")
        insert(old, "sessions", key="k", session_id="id-k", visitor_id="visitor", started_at=NOW, last_seen_at=NOW)
        old.execute(f"UPDATE sessions SET activity = '[{NOW}]', anchor = {NOW}")
        for name in ("session.start", "page_view"):
            old.execute(
                "INSERT INTO events (id, name, time, session_key, session_started_at, is_manual, no_forward, data)"
                f" VALUES (?, ?, {NOW}, 'k', {NOW}, 0, 0, '{{}}')",
                (name, name),
            )
        insert(old, "backends", name="b", cursor=1, read_seq=1, in_use_at=NOW, delivered=1)
    old.close()


@pytest.fixture(params=range(1, SCHEMA_VERSION), ids=lambda version: f"schema {version}")
def migrated(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SQLiteStore]:
    made_by(request.param, tmp_path / "old.db")
    store = SQLiteStore(tmp_path / "old.db")
    store.open()
    yield store
    store.close()


def structure(path: Path) -> dict[str, object]:
    connection = sqlite3.connect(path)
    tables = [line[0] for line in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found: dict[str, object] = {
        # Name, type, whether it may be nothing, its place in the key. A column that was added has a default.
        name: [(*line[1:4], line[5]) for line in connection.execute(f"PRAGMA table_info({name})")]
        for name in tables
    }
    found |= dict(connection.execute("SELECT name, tbl_name FROM sqlite_master WHERE type = 'index'"))
    connection.close()
    return found


def test_it_becomes_what_a_new_store_is(migrated: SQLiteStore, tmp_path: Path) -> None:
    open_file(tmp_path / "new.db").close()
    assert migrated.path is not None
    assert structure(migrated.path) == structure(tmp_path / "new.db"), (
        "a change of the schema needs a step in opening.py"
    )


def test_all_that_was_in_it_is_kept(migrated: SQLiteStore) -> None:
    assert migrated.store_key() == KEY
    assert load(migrated, "k").rows == {"k": row("k")}
    assert [each.id for each in migrated.events_after(0, limit=9)] == ["session.start", "page_view"]
    state = migrated.backend("b")
    assert (state.recorded, state.delivered, state.backlog) == (2, 1, 1)


def test_it_works_as_a_new_one_does(migrated: SQLiteStore) -> None:
    """What went out before the migration counts as gone out after it."""
    save(migrated, Batch(events=[event("end", "k", name=SESSION_END)], opted_out={"visitor": NOW}))
    anna = DataSubject(VISITOR, "visitor")
    assert set(tombstones(migrated, anna)) == {anna}
    held = lease(migrated)
    claim = migrated.claim("b", held, until=NOW, limit=9, now=NOW)
    assert claim.barred == {"page_view", "end"}
    assert set(claim.started) == {"k"}
    migrated.settle("b", held, Settled(upto=claim.events[-1].seq, delivered=1, skipped=1), now=NOW)
    assert_adds_up(migrated)
    assert claim_ids(migrated, "b", held) == []


def test_it_is_migrated_once(migrated: SQLiteStore) -> None:
    assert migrated.path is not None
    again = open_store(f"sqlite:///{migrated.path}")
    assert load(again, "k").rows == {"k": row("k")}
    again.close()
