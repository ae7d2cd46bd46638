"""A database is created by the first process that opens it, however many open it at once, and never by mistake."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from sojourn.errors import StoreError
from sojourn.stores import open_store
from sojourn.stores.model import Batch, PositionMoved
from sojourn.stores.schema import SCHEMA_VERSION, SESSIONS, STORE_KEY_BYTES, TABLES
from sojourn.stores.sqlite.opening import exists, open_file, open_memory
from tests.stores.contract.steps import NOW, event, key_of, load, mark, row, save

ROUNDS = 25
PROCESSES = 4

spawning = multiprocessing.get_context("spawn")


def open_in_rounds(
    folder: str, rounds: int, number: int, barrier: Barrier, results: multiprocessing.Queue[str]
) -> None:
    """Run in a process of its own: open the same fresh path as all the others, once a round, and write to it."""
    for turn in range(rounds):
        barrier.wait(60)
        store = open_store(f"sqlite:///{folder}/{turn}.db")
        try:
            store.open()
            key = key_of(store).hex()
            save(store, Batch(rows=[row(str(number))], events=[event(str(number))], counts={"n": 1}))
            results.put(f"{turn} {key}")
        except Exception as error:  # noqa: BLE001 - reported to the test, which fails
            results.put(f"{turn} failed: {error!r}")
        finally:
            store.close()


def open_at_once(folder: Path, rounds: int) -> list[str]:
    barrier = spawning.Barrier(PROCESSES)
    results: multiprocessing.Queue[str] = spawning.Queue()
    workers = [
        spawning.Process(target=open_in_rounds, args=(str(folder), rounds, number, barrier, results))
        for number in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    outcomes = [results.get(timeout=120) for _ in range(rounds * PROCESSES)]
    for worker in workers:
        worker.join(60)
    results.close()
    results.join_thread()
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES
    return outcomes


@pytest.mark.slow
def test_processes_can_create_a_store_at_the_same_time(tmp_path: Path) -> None:
    outcomes = open_at_once(tmp_path, ROUNDS)
    assert [line for line in outcomes if "failed" in line] == []
    assert len(set(outcomes)) == ROUNDS, "one key per database, the same for all"
    for turn in range(ROUNDS):
        store = open_store(f"sqlite:///{tmp_path}/{turn}.db")
        assert store.stats().counters == {"n": PROCESSES, "events.recorded": PROCESSES}
        store.close()


def apply_journal(path: str, size: int, barrier: Barrier, results: multiprocessing.Queue[int]) -> None:
    """Run in a process of its own: apply the same positions as the other, and report how many it won."""
    store = open_store(f"sqlite:///{path}")
    won = 0
    barrier.wait(60)
    for position in range(size):
        try:
            with store.records.recording() as recording:
                counted = recording.load(["s"]).rows.get("s") or row("s")
                counted.requests += 1
                recording.save(
                    Batch(
                        rows=[counted],
                        events=[event(str(position))],
                        counts={"n": 1},
                        marks=[(mark("j", position + 1), position)],
                    )
                )
            won += 1
        except PositionMoved:
            continue
    store.close()
    results.put(won)


@pytest.mark.slow
def test_each_position_is_applied_by_one_of_two_processes(tmp_path: Path) -> None:
    path, size = tmp_path / "store.db", 200
    barrier = spawning.Barrier(2)
    results: multiprocessing.Queue[int] = spawning.Queue()
    workers = [spawning.Process(target=apply_journal, args=(str(path), size, barrier, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    won = [results.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join(60)
    results.close()
    results.join_thread()
    store = open_store(f"sqlite:///{path}")
    assert sum(won) == size
    assert store.records.marks()["j"].position == size
    assert store.stats().counters == {"n": size, "events.recorded": size}
    assert load(store, "s").rows["s"].requests == size
    store.close()


def test_threads_can_create_a_store_at_the_same_time(tmp_path: Path) -> None:
    def opened(turn: int) -> bytes:
        barrier.wait(60)
        connection = open_file(tmp_path / f"{turn}.db")
        key: bytes = connection.execute("SELECT value FROM sojourn_meta WHERE name = 'store_key'").fetchone()[0]
        connection.close()
        return key

    barrier = threading.Barrier(4)
    with ThreadPoolExecutor(max_workers=4) as pool:
        for turn in range(10):
            assert len(set(pool.map(opened, [turn] * 4))) == 1


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    connection = open_file(tmp_path / "store.db")
    connection.execute("DELETE FROM sojourn_counters")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    connection.close()
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}


def test_each_database_has_a_key_of_its_own(tmp_path: Path) -> None:
    keys = set()
    for url in ("memory:", "memory:", f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db"):
        store = open_store(url)
        keys.add(key_of(store))
        assert key_of(store) in keys
        store.close()
    assert {len(key) for key in keys} == {STORE_KEY_BYTES}
    assert len(keys) == 4


def test_the_key_outlives_the_process(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/a.db")
    key = key_of(store)
    store.close()
    assert key_of(store) == key
    store.close()


def test_settings_of_a_connection(tmp_path: Path) -> None:
    connection = open_file(tmp_path / "store.db")
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    values = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names}
    connection.close()
    assert values == {
        "journal_mode": "wal",
        "synchronous": 1,
        "foreign_keys": 0,
        "busy_timeout": 5000,
    }


def test_the_tables_are_those_of_the_schema() -> None:
    connection = open_memory()
    for table in TABLES:
        columns = [line[1] for line in connection.execute(f"PRAGMA table_info({table.name})")]
        assert columns == [column.name for column in table.columns]
    found = {line[0] for line in connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'sojourn_ix_%'")}
    connection.close()
    assert found == {index.name for table in TABLES for index in table.indices}
    assert SESSIONS.columns[0].name == "key"


@pytest.mark.parametrize(
    ("query", "index"),
    [
        pytest.param(
            "SELECT key FROM sojourn_sessions WHERE end_reason IS NULL AND is_manual = 0 AND last_seen_at <= 9"
            " ORDER BY last_seen_at LIMIT 5",
            "sojourn_ix_sessions_open_seen",
            id="open sessions by silence",
        ),
        pytest.param(
            "SELECT key FROM sojourn_sessions WHERE end_reason IS NULL AND is_manual <= 1 AND started_at <= 9"
            " ORDER BY +last_seen_at LIMIT 5",
            "sojourn_ix_sessions_open_started",
            id="open sessions by age",
        ),
        pytest.param(
            "SELECT key FROM sojourn_sessions WHERE previous_key = 'a'", "sojourn_ix_sessions_previous", id="successors"
        ),
        pytest.param(
            "SELECT seq FROM sojourn_events WHERE session_key = 'a'",
            "sojourn_ix_events_session",
            id="events of a session",
        ),
    ],
)
def test_a_query_uses_its_index(query: str, index: str) -> None:
    connection = open_memory()
    plan = [line[3] for line in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    connection.close()
    assert any(index in line for line in plan), plan


# --- what cannot be opened


def newer_database(path: Path) -> None:
    with closing(open_file(path)) as connection:
        connection.execute(
            "UPDATE sojourn_meta SET value = ? WHERE name = 'schema_version'", (str(SCHEMA_VERSION + 1).encode(),)
        )


def unreleased_database(path: Path) -> None:
    """As Sojourn made it before its first release."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "PRAGMA application_id = 1399810670; PRAGMA user_version = 4; CREATE TABLE meta (name, value);"
        )


def database_of(*statements: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(";".join(statements))

    return make


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        pytest.param(lambda path: path.write_text("no database, but long enough " * 9), "is not a SQLite", id="text"),
        pytest.param(lambda path: path.mkdir(), "is a folder; add a file name", id="a folder"),
        pytest.param(newer_database, "upgrade this installation", id="written by a newer Sojourn"),
        pytest.param(unreleased_database, "before its first release.*delete it", id="written before the first release"),
        pytest.param(
            database_of("CREATE TABLE sojourn_events (x)"), "of another application", id="another's table of that name"
        ),
        pytest.param(
            database_of("CREATE TABLE sojourn_meta (x)"), "of another application", id="another's table of the version"
        ),
        pytest.param(database_of("CREATE TABLE sojourn_meta (name, value)"), "of another application", id="no version"),
        pytest.param(lambda path: path.symlink_to(path.parent / "away" / "x.db"), "cannot be", id="a link to nowhere"),
    ],
)
def test_error_for_a_file_that_is_no_store_says_the_fix(tmp_path: Path, prepare: object, says: str) -> None:
    path = tmp_path / "store.db"
    assert callable(prepare)
    prepare(path)
    before = path.read_bytes() if path.is_file() else b""
    store = open_store(f"sqlite:///{path}")
    with pytest.raises(StoreError, match=says) as caught:
        store.open()
    assert str(path) in str(caught.value)
    assert (path.read_bytes() if path.is_file() else b"") == before, "it was left as it is"
    store.close()


APPLICATION = (
    "PRAGMA application_id = 7",
    "PRAGMA user_version = 42",
    "CREATE TABLE sessions (id)",
    "CREATE TABLE Events (id)",
    "INSERT INTO sessions VALUES ('theirs')",
)


def test_a_store_lives_in_the_database_of_an_application(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    database_of(*APPLICATION)(path)
    store = open_store(f"sqlite:///{path}")
    save(store, Batch(rows=[row("k")], events=[event("e")]))
    assert set(load(store, "k").rows) == {"k"}
    store.close()
    with closing(sqlite3.connect(path)) as theirs:
        assert theirs.execute("PRAGMA application_id").fetchone() == (7,)
        assert theirs.execute("PRAGMA user_version").fetchone() == (42,)
        assert theirs.execute("SELECT * FROM sessions").fetchall() == [("theirs",)]
        assert theirs.execute("SELECT * FROM events").fetchall() == []


def test_a_new_file_gets_the_application_id(tmp_path: Path) -> None:
    open_file(tmp_path / "store.db").close()
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (int.from_bytes(b"SJRN"),)


def test_exists_creates_no_store(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    assert not exists(path)
    assert not path.exists()
    database_of(*APPLICATION)(path)
    before = path.read_bytes()
    assert not exists(path)
    assert path.read_bytes() == before
    open_file(path).close()
    assert exists(path)


def test_error_for_a_missing_folder_says_the_fix(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist; create it"):
        open_store(f"sqlite:///{tmp_path}/none/store.db").open()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_error_for_an_unwritable_folder_says_the_fix(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be written by this process"):
        open_store(f"sqlite:///{tmp_path}/store.db").open()


def test_error_for_an_old_sqlite_says_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 32, 3))
    with pytest.raises(StoreError, match=r"3\.33\.0 or newer"):
        open_store("memory:").open()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        pytest.param("mysql://user:hunter2@host/database", '"mysql:"', id="another database"),
        pytest.param("sqlite:///folder/", "path/to/file.db", id="a folder"),
        pytest.param("", "path/to/file.db", id="nothing"),
    ],
)
def test_error_for_an_invalid_url_says_the_fix(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says) as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch()
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    save(store, Batch(rows=[row("k", NOW)]))
    store.close()


def test_a_path_may_hold_what_a_url_would_quote(tmp_path: Path) -> None:
    path = tmp_path / "a b%20#c?.db"
    store = open_store(f"sqlite:///{path}")
    store.open()
    store.close()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
