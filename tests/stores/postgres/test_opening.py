"""A PostgreSQL store is created by the first process that opens it, beside any other tables, and says what is in its way."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier

import psycopg
import pytest

from sojourn.errors import StoreError
from sojourn.stores import PostgreSQLStore, open_store
from sojourn.stores.model import Batch
from sojourn.stores.postgres import opening
from sojourn.stores.schema import SCHEMA_VERSION, STORE_KEY_BYTES, TABLES
from tests.postgres import Cluster
from tests.stores.contract.steps import event, key_of, load, row, save

PROCESSES = 10
ROUNDS = 5

spawning = multiprocessing.get_context("spawn")


@pytest.fixture
def url(postgres: Cluster) -> str:
    return postgres.fresh_database()


def open_in_rounds(url: str, number: int, barrier: Barrier, results: multiprocessing.Queue[str]) -> None:
    """Run in a process of its own: open the same fresh store as all the others, once a round, and write to it."""
    for turn in range(ROUNDS):
        store = open_store(f"{url}?schema=turn_{turn}")
        assert isinstance(store, PostgreSQLStore)
        barrier.wait(60)
        try:
            store.open()
            save(store, Batch(rows=[row(str(number))], events=[event(str(number))], counts={"n": 1}))
            results.put(f"{turn} {key_of(store).hex()}")
        except Exception as error:  # noqa: BLE001 - reported to the test, which fails
            results.put(f"{turn} failed: {error!r}")
        finally:
            store.close()


@pytest.mark.slow
def test_ten_processes_that_open_a_fresh_store_at_once_all_come_up(url: str) -> None:
    barrier = spawning.Barrier(PROCESSES)
    results: multiprocessing.Queue[str] = spawning.Queue()
    workers = [
        spawning.Process(target=open_in_rounds, args=(url, number, barrier, results)) for number in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    outcomes = [results.get(timeout=120) for _ in range(ROUNDS * PROCESSES)]
    for worker in workers:
        worker.join(60)
    results.close()
    results.join_thread()
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES
    assert [line for line in outcomes if "failed" in line] == []
    assert len(set(outcomes)) == ROUNDS, "one key per store, the same for all"
    for turn in range(ROUNDS):
        store = open_store(f"{url}?schema=turn_{turn}")
        assert store.stats().counters == {"n": PROCESSES, "events.recorded": PROCESSES}
        store.close()


def test_threads_that_open_a_fresh_store_at_once_all_come_up(url: str) -> None:
    def key(turn: int) -> bytes:
        store = PostgreSQLStore(f"{url}?schema=turn_{turn}")
        barrier.wait(60)
        try:
            return key_of(store)
        finally:
            store.close()

    barrier = threading.Barrier(8)
    with ThreadPoolExecutor(max_workers=8) as pool:
        keys = [set(pool.map(key, [turn] * 8)) for turn in range(5)]
    assert [len(each) for each in keys] == [1] * 5, "one key per store"
    assert len(set.union(*keys)) == 5
    assert {len(each) for each in set.union(*keys)} == {STORE_KEY_BYTES}


def test_it_lies_in_a_schema_of_its_own_beside_the_apps_tables(url: str, postgres: Cluster) -> None:
    postgres.run("CREATE TABLE sessions (mine int)", database=url)
    postgres.run("CREATE TABLE events (mine int)", database=url)
    store = open_store(url)
    save(store, Batch(rows=[row("k")], events=[event("e")]))
    store.close()
    assert postgres.run("SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM events)", database=url) == [
        (0, 0)
    ]
    assert postgres.run("SELECT key FROM sojourn.sojourn_sessions", database=url) == [("k",)]


def test_two_schemas_of_one_database_are_two_stores(url: str) -> None:
    one, other = open_store(url), open_store(f"{url}?schema=shop")
    save(one, Batch(rows=[row("k")]))
    assert set(load(other, "k").rows) == set()
    assert set(load(one, "k").rows) == {"k"}
    one.close()
    other.close()


@pytest.mark.parametrize(
    "url_of",
    [
        pytest.param("postgres://{rest}", id="the platforms' old scheme"),
        pytest.param("postgresql+psycopg://{rest}", id="with its driver"),
        pytest.param("postgresql+asyncpg://{rest}", id="with the app's driver"),
        pytest.param("postgresql://{rest}?application_name=other&connect_timeout=9", id="with options"),
    ],
)
def test_forms_of_the_url(url: str, url_of: str) -> None:
    store = open_store(url_of.format(rest=url.removeprefix("postgresql://")))
    assert isinstance(store, PostgreSQLStore)
    assert key_of(store)
    store.close()


# --- its tables


def columns(postgres: Cluster, url: str) -> list[tuple[object, ...]]:
    return postgres.run(
        "SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name"
        " FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)"
        " WHERE table_schema = 'sojourn' AND table_type = 'BASE TABLE' ORDER BY table_name, column_name",
        database=url,
    )


def test_the_tables_are_those_of_the_schema(url: str, postgres: Cluster) -> None:
    store = open_store(url)
    store.open()
    store.close()
    found = {(table, column) for table, column, *_ in columns(postgres, url)}
    assert found == {(table.name, column.name) for table in TABLES for column in table.columns}
    named = {index.name for table in TABLES for index in table.indices if not index.is_wide}
    look = "SELECT indexname FROM pg_indexes WHERE schemaname = 'sojourn' AND indexname LIKE 'sojourn_ix_%'"
    assert {name for (name,) in postgres.run(look, database=url)} == named


def test_each_version_has_the_step_that_leads_there() -> None:
    assert set(opening.STEPS) == set(range(1, SCHEMA_VERSION))


def test_a_migration_runs_once_and_keeps_what_is_there(
    url: str, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(url)
    save(store, Batch(rows=[row("k")]))
    store.close()
    monkeypatch.setattr(opening, "SCHEMA_VERSION", SCHEMA_VERSION + 2)
    steps = {
        SCHEMA_VERSION: ("CREATE TABLE first_step (x int)", "INSERT INTO first_step VALUES (1)"),
        SCHEMA_VERSION + 1: ("INSERT INTO first_step VALUES (2)",),
    }
    monkeypatch.setattr(opening, "STEPS", steps)
    barrier = threading.Barrier(6)

    def migrated(_: int) -> set[str]:
        newer = open_store(url)
        barrier.wait(60)
        try:
            return set(load(newer, "k").rows)
        finally:
            newer.close()

    with ThreadPoolExecutor(max_workers=6) as pool:
        assert list(pool.map(migrated, range(6))) == [{"k"}] * 6
    assert postgres.run("SELECT x FROM sojourn.first_step ORDER BY x", database=url) == [(1,), (2,)]


def test_a_migration_that_fails_leaves_all_as_it_was(
    url: str, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(url)
    save(store, Batch(rows=[row("k")]))
    store.close()
    before = columns(postgres, url)
    with monkeypatch.context() as patch:
        patch.setattr(opening, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
        patch.setattr(opening, "STEPS", {SCHEMA_VERSION: ("CREATE TABLE half (x int)", "SELECT 1 / 0")})
        with pytest.raises(StoreError, match="DivisionByZero"):
            store.open()
    assert columns(postgres, url) == before
    assert set(load(store, "k").rows) == {"k"}
    store.close()


# --- what cannot be opened


# --- stores of a Sojourn before the first release, with the same version

EARLIER = (
    "DROP VIEW sessions",
    "DROP INDEX sojourn_ix_sessions_public",
    "ALTER TABLE sojourn_sessions DROP COLUMN country",
    "ALTER TABLE sojourn_sessions DROP COLUMN late",
    "DROP TABLE sojourn_inbox",
    "DROP FUNCTION sojourn_forget_rollups_of_gone() CASCADE",
    "DELETE FROM sojourn_meta WHERE name = 'shape'",
)


def test_what_an_earlier_store_lacks_is_added(url: str, postgres: Cluster) -> None:
    store = open_store(url)
    save(store, Batch(rows=[row("k")]))
    store.close()
    look = (
        "SELECT relname::text, obj_description(oid) FROM pg_class WHERE relnamespace = 'sojourn'::regnamespace"
        " UNION SELECT tgname::text, NULL FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
    )
    whole = postgres.run(look, database=url)
    postgres.run("; ".join(("SET search_path = sojourn", *EARLIER)), database=url)
    barrier = threading.Barrier(6)

    def opened(_: int) -> set[str]:
        newer = open_store(url)
        barrier.wait(60)
        try:
            return set(load(newer, "k").rows)
        finally:
            newer.close()

    with ThreadPoolExecutor(max_workers=6) as pool:
        assert list(pool.map(opened, range(6))) == [{"k"}] * 6
    assert load(store, "k").rows["k"] == row("k")
    save(store, Batch(rows=[row("new")]))
    store.close()
    assert postgres.run(look, database=url) == whole


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("ALTER TABLE sojourn_sessions ADD COLUMN later TEXT", "sojourn_sessions has the column later"),
        ("ALTER TABLE sojourn_sessions DROP COLUMN anchor", "sojourn_sessions lacks the column anchor"),
    ],
)
def test_a_store_of_other_tables_is_refused(url: str, postgres: Cluster, change: str, says: str) -> None:
    store = open_store(url)
    store.open()
    store.close()
    other = "UPDATE sojourn_meta SET value = 'other' WHERE name = 'shape'"
    postgres.run(f"SET search_path = sojourn; {change}; {other}", database=url)
    before = columns(postgres, url)
    with pytest.raises(StoreError, match=f"{says}.*run DROP SCHEMA sojourn CASCADE"):
        store.open()
    store.close()
    assert columns(postgres, url) == before


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        pytest.param(
            ["UPDATE sojourn.sojourn_meta SET value = '99' WHERE name = 'schema_version'"],
            r"newer Sojourn \(schema 99, this one reads \d+\); upgrade this installation",
            id="written by a newer Sojourn",
        ),
        pytest.param(
            ["DROP SCHEMA sojourn CASCADE", "CREATE SCHEMA sojourn", "CREATE TABLE sojourn.sojourn_events (x int)"],
            r"tables of another application that are called sojourn_\*; choose another with \?schema=name",
            id="another application's tables",
        ),
        pytest.param(
            ["DROP SCHEMA sojourn CASCADE", "CREATE SCHEMA sojourn", "CREATE TABLE sojourn.sojourn_meta (x int)"],
            "tables of another application",
            id="another application's table of that name",
        ),
        pytest.param(
            ["DROP SCHEMA sojourn CASCADE", "CREATE SCHEMA sojourn"]
            + [f"CREATE TABLE sojourn.{name} (x int)" for name in ("dead_letters", "meta", "sessions", "withheld")],
            "before its first release.*DROP SCHEMA sojourn CASCADE",
            id="written before the first release",
        ),
        pytest.param(
            ["DELETE FROM sojourn.sojourn_meta WHERE name = 'schema_version'"],
            "tables of another application",
            id="no version",
        ),
    ],
)
def test_what_is_no_store_of_ours_says_the_fix(url: str, postgres: Cluster, statements: list[str], says: str) -> None:
    store = open_store(url)
    store.open()
    store.close()
    for statement in statements:
        postgres.run(statement, database=url)
    before = columns(postgres, url)
    with pytest.raises(StoreError, match=says):
        store.open()
    assert columns(postgres, url) == before, "it was left as it is"
    store.close()


def test_a_database_of_another_encoding_says_the_fix(postgres: Cluster) -> None:
    postgres.run("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    with pytest.raises(StoreError, match="LATIN1; make a database with ENCODING 'UTF8'"):
        open_store(postgres.url("latin")).open()


def test_a_role_that_may_make_no_schema_says_what_to_run_and_then_works(url: str, postgres: Cluster) -> None:
    postgres.role("modest", "pw")
    database = url.rpartition("/")[2]
    store = open_store(postgres.url(database, user="modest", password="pw"))
    with pytest.raises(StoreError, match="CREATE SCHEMA sojourn AUTHORIZATION"):
        store.open()
    postgres.run("CREATE SCHEMA sojourn AUTHORIZATION modest", database=url)
    save(store, Batch(rows=[row("k")]))
    store.close()
    postgres.run("ALTER TABLE sojourn.sojourn_sessions OWNER TO postgres", database=url)
    with pytest.raises(StoreError, match="does not give this role enough privileges"):
        load(store, "k")
    store.close()


# --- what is never shown


@pytest.mark.parametrize(
    ("url", "says"),
    [
        pytest.param("postgresql://me:hunter2@127.0.0.1:1/db", "cannot be reached", id="no server"),
        pytest.param("postgresql://me:hun@ter2@host/db", "cannot be read", id="an unquoted @"),
        pytest.param("postgresql://me:hun/ter2@host/db", "cannot be read", id="an unquoted slash"),
        pytest.param("postgresql://me:hun?ter2@host/db", "cannot be read", id="an unquoted question mark"),
        pytest.param("postgresql://me:hun%ter2@host/db", "cannot be read", id="an unquoted percent"),
        pytest.param("postgresql://me:hunter2@host/db?hunter2=1", "cannot be read", id="an unknown option"),
        pytest.param("postgresql://me:hunter2@host:a/db", "cannot be read", id="a port that is none"),
        pytest.param("postgresql://me:hunter2@host", "names no database", id="no database"),
        pytest.param("postgresql://me:hunter2@host/db?schema=A-b", "lower-case letters", id="a schema that is none"),
        pytest.param("postgresql:hunter2", '"postgresql:"', id="no URL"),
    ],
)
def test_no_error_shows_the_password(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says) as caught:
        open_store(url).open()
    text = "".join(traceback.format_exception(caught.value))
    # The lines of this file are in a traceback too.
    assert "hunter2" not in str(caught.value)
    assert "ter2" not in text.replace(url, "").replace("hunter2@", "")


def test_a_wrong_password_is_not_shown(url: str, postgres: Cluster) -> None:
    postgres.role("guarded_one", "right")
    store = open_store(postgres.url(url.rpartition("/")[2], user="guarded_one", password="hunter2"))
    with pytest.raises(StoreError, match="password authentication failed") as caught:
        store.open()
    shown = [str(caught.value), repr(caught.value), repr(store), str(store), "".join(map(str, caught.value.args))]
    assert all("hunter2" not in text for text in shown)
    assert repr(store) == f"PostgreSQLStore('postgresql://127.0.0.1:{postgres.port}/{url.rpartition('/')[2]}')"


def test_no_error_quotes_what_was_to_be_stored(url: str, postgres: Cluster) -> None:
    store = open_store(url)
    store.open()
    postgres.run("ALTER TABLE sojourn.sojourn_sessions ADD CONSTRAINT c CHECK (browser <> 'hunter2')", database=url)
    hers = row("k")
    hers.browser = "hunter2"
    with pytest.raises(StoreError, match="CheckViolation") as caught:
        save(store, Batch(rows=[hers]))
    assert "hunter2" not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__suppress_context__
    store.close()


def test_without_the_driver_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["psycopg"] = None
from sojourn.stores import open_store
try:
    open_store("postgresql://me:hunter2@host/db")
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    line = 'StoreError a store in PostgreSQL needs psycopg; install it: pip install "sojourn[postgres]"\n'
    assert (done.returncode, done.stderr, done.stdout) == (0, "", line)


def test_importing_the_package_loads_no_driver() -> None:
    code = "import sojourn.stores, sys; print(*sorted({'sqlite3', 'psycopg'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout.split()) == (0, "", [])


def test_exists_creates_nothing(url: str, postgres: Cluster) -> None:
    store = PostgreSQLStore(url)
    assert not store.exists()
    assert postgres.run("SELECT 1 FROM pg_namespace WHERE nspname = 'sojourn'", database=url) == []
    store.open()
    assert store.exists()
    store.close()


def test_the_key_outlives_the_process_and_is_the_databases_own(url: str, postgres: Cluster) -> None:
    store = PostgreSQLStore(url)
    key = key_of(store)
    store.close()
    assert key_of(store) == key
    store.close()
    other = PostgreSQLStore(postgres.fresh_database())
    assert key_of(other) != key
    other.close()


def test_plans_of_what_is_asked_often_use_an_index(url: str, postgres: Cluster) -> None:
    store = open_store(url)
    store.open()
    store.close()
    asked = {
        "sojourn_ix_sessions_open_seen": "SELECT key FROM sojourn.sojourn_sessions WHERE end_reason IS NULL AND NOT is_manual"
        " AND last_seen_at <= 9 ORDER BY last_seen_at LIMIT 5",
        "sojourn_ix_sessions_open_started": "SELECT key FROM sojourn.sojourn_sessions WHERE end_reason IS NULL"
        " AND started_at <= 9 ORDER BY last_seen_at + 0 LIMIT 5",
        "sojourn_ix_sessions_previous": "SELECT key FROM sojourn.sojourn_sessions WHERE previous_key = 'a'",
        "sojourn_ix_events_session": "SELECT seq FROM sojourn.sojourn_events WHERE session_key = 'a'",
    }
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET enable_seqscan = off")
        for index, query in asked.items():
            plan = " ".join(line for (line,) in connection.execute(f"EXPLAIN {query}".encode()))
            assert index in plan, plan
