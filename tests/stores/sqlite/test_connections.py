"""Connections belong to a thread and a process; closing leaves nothing behind; a batch is a handful of statements."""

from __future__ import annotations

import gc
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from sojourn.core.events import Position
from sojourn.errors import StoreError
from sojourn.stores import SQLiteStore, open_store
from sojourn.stores.model import Batch, DeadLetter, Settled
from sojourn.stores.sqlite import waiting
from tests.child_process import with_tests
from tests.leaks import is_open
from tests.stores.contract.steps import NOW, assert_adds_up, ended, event, lease, load, mark, row, save


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(path)
    yield store
    store.close()


def connections() -> int:
    return sum(issubclass(type(each), sqlite3.Connection) and is_open(each) for each in gc.get_objects())


def test_each_thread_has_one_connection_and_close_closes_all(store: SQLiteStore) -> None:
    def use(number: int) -> None:
        save(store, Batch(rows=[row(str(number))]))
        store.stats()
        barrier.wait(60)

    gc.collect()
    before = connections()
    barrier = threading.Barrier(3)
    with ThreadPoolExecutor(max_workers=3) as pool:
        list(pool.map(use, range(3)))
    assert connections() == before + 3
    store.close()
    gc.collect()
    assert connections() == before


def test_a_use_after_close_opens_again(store: SQLiteStore) -> None:
    save(store, Batch(rows=[row("k")]))
    store.close()
    assert set(load(store, "k").rows) == {"k"}


def test_a_closed_store_leaves_one_file(store: SQLiteStore, path: Path) -> None:
    save(store, Batch(rows=[row("k")]))
    store.close()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_memory_is_shared_by_threads_and_gone_when_closed() -> None:
    store = open_store("memory:")
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(save, store, Batch(rows=[row("k")])).result()
    assert set(load(store, "k").rows) == {"k"}
    store.close()
    assert load(store, "k").rows == {}
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("url", ["memory:", "sqlite:///store.db"])
def test_a_child_neither_uses_nor_closes_its_parents_connections(tmp_path: Path, url: str) -> None:
    code = f"""
import os, sys
from sojourn.errors import StoreError
from sojourn.stores import open_store
from tests.stores.contract.steps import Batch, event, row, save, load
store = open_store({url!r})
with store.records.recording() as recording:
    recording.load(["parent"])
    pid = os.fork()
    if pid == 0:
        try:
            assert store.stats().sessions == 0, "a database of its own in memory"
        except StoreError:
            assert {url!r} != "memory:", "in the middle of its parent's transaction a file cannot be used"
        store.close()
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    recording.save(Batch(rows=[row("parent")], events=[event("1")]))
assert set(load(store, "parent").rows) == {{"parent"}}
pid = os.fork()
if pid == 0:
    save(store, Batch(rows=[row("child")]))
    store.close()
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
save(store, Batch(rows=[row("again")]))
print(*sorted(load(store, "parent", "child", "again").rows))
store.close()
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", code],
        cwd=tmp_path,
        env=with_tests(),
        capture_output=True,
        text=True,
        check=False,
    )
    expected = ["again", "child", "parent"] if url != "memory:" else ["again", "parent"]
    assert (done.returncode, done.stderr, done.stdout.split()) == (0, "", expected)


def test_importing_the_package_loads_no_database_library() -> None:
    code = "import sojourn.stores, sys; print(*sorted({'psycopg', 'sqlite3'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout.split()) == (0, "", [])


def test_a_failing_database_is_a_store_error_and_may_recover(store: SQLiteStore, path: Path) -> None:
    save(store, Batch(rows=[row("k")]))
    other = sqlite3.connect(path)
    other.execute("ALTER TABLE sojourn_sessions RENAME TO away")
    with pytest.raises(StoreError, match="failed"):
        load(store, "k")
    with pytest.raises(StoreError, match="failed"):
        store.stats()
    other.execute("ALTER TABLE away RENAME TO sojourn_sessions")
    other.close()
    assert set(load(store, "k").rows) == {"k"}


def test_a_lock_that_lasts_is_a_store_error(store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE_S", 0.0)
    store.open()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked by another process"):
        save(store, Batch(rows=[row("k")]))
    other.execute("ROLLBACK")
    other.close()
    save(store, Batch(rows=[row("k")]))


def test_a_transaction_within_another_is_refused_and_harms_nothing(store: SQLiteStore) -> None:
    with store.records.recording() as recording:
        with pytest.raises(StoreError):
            lease(store)
        recording.save(Batch(rows=[row("k")]))
    assert set(load(store, "k").rows) == {"k"}


def test_checkpoint_truncates_the_log_unless_it_is_being_read(store: SQLiteStore, path: Path) -> None:
    wal = Path(f"{path}-wal")
    save(store, Batch(rows=[row(str(n)) for n in range(100)]))
    assert wal.stat().st_size > 0
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM sojourn_sessions").fetchone()
    save(store, Batch(rows=[row("late")]))
    assert store.maintenance.checkpoint() is False
    reader.execute("COMMIT")
    reader.close()
    assert store.maintenance.checkpoint() is True
    assert wal.stat().st_size == 0


@pytest.mark.parametrize("size", [1, 10, 128, 129, 500])
def test_a_batch_is_few_calls(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    said: list[str] = []

    class Watched(sqlite3.Connection):
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            said.append(sql.split(maxsplit=1)[0])
            return super().execute(sql, parameters)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Watched))
    store = open_store("memory:")
    store.outbox.register(["b"], now=NOW)
    save(store, Batch(rows=[ended(row(str(n)), f"end-{n}") for n in range(size // 2)]))
    said.clear()
    with store.records.recording() as recording:
        rows = recording.load([str(n) for n in range(size)]).rows
        rows |= recording.load(["x"], successors_of=[str(n) for n in range(size)]).rows
        for n in range(size):
            rows.setdefault(str(n), row(str(n))).requests += 1
        recording.save(
            Batch(
                rows=list(rows.values()),
                events=[event(f"{n}") for n in range(size)],
                withdrawn=["end-0"],
                counts={"n": 1},
                marks=[(mark("j", size), 0)],
            )
        )
    store.close()
    touched = size // 2
    chunked = [["SELECT"] * ceil(size / 128), ["WITH", "DELETE"], ["INSERT"] * ceil(size / 128)]
    chunked += [["UPDATE"] * ceil(touched / 128), ["INSERT"] * ceil((size - touched) / 128)]
    assert said == ["BEGIN", *chain(*chunked), "INSERT", "COMMIT"]


def test_queries_of_reports_and_exports(store: SQLiteStore) -> None:
    rows = [row(str(n), NOW + n) for n in range(5)]
    save(store, Batch(rows=rows, events=[event(f"e{n}", key=str(n % 2)) for n in range(6)]))
    assert [each.key for each in store.sessions.latest(limit=2)] == ["4", "3"]
    assert store.sessions.latest(limit=9, started_before=NOW + 1) == [rows[1], rows[0]]
    assert [each.id for each in store.log.of_session("1")] == ["e1", "e3", "e5"]
    assert [each.id for each in store.log.after(Position(2), limit=3)] == ["e2", "e3", "e4"]
    assert [each.position for each in store.log.after(Position(2), limit=3)] == [Position(3), Position(4), Position(5)]


def test_dead_letters_are_kept_whole_until_retention(store: SQLiteStore) -> None:
    store.outbox.register(["b"], now=NOW)
    save(store, Batch(events=[event("one"), event("two")]))
    held = lease(store)
    one, two = store.delivery.claim("b", held, until=NOW, limit=9, now=NOW).events
    store.delivery.settle(
        "b", held, Settled(upto=two.position, dead=[(one, "too old", 422), (two, "no", None)]), now=NOW + 5
    )
    assert store.outbox.letters("b", after=0, limit=1) == [DeadLetter(1, "b", "too old", 422, NOW + 5, None, one)]
    assert store.outbox.letters("b", after=0, limit=9)[1].event == two
    assert store.outbox.letters("other", after=0, limit=9) == []
    assert store.maintenance.expire(older_than=NOW + 5, limit=9, now=NOW) == 2, "the events, not yet the letters"
    assert store.maintenance.expire(older_than=NOW + 6, limit=1, now=NOW) == 1
    assert [letter.event for letter in store.outbox.letters("b", after=0, limit=9)] == [two]
    assert store.stats().counters["dead_letters.expired"] == 1
    assert_adds_up(store)


def test_a_long_backlog_is_counted_in_full() -> None:
    store = open_store("memory:")
    store.outbox.register(["b"], now=NOW)
    save(store, Batch(events=[event(str(n)) for n in range(10_050)]))
    held = lease(store)
    first = store.delivery.claim("b", held, until=NOW, limit=30, now=NOW).events
    store.delivery.settle("b", held, Settled(upto=first[29].position, delivered=20, skipped=10), now=NOW)
    assert store.delivery.state("b").backlog == 10_020
    assert_adds_up(store)
    store.close()


def test_journals_that_are_gone_are_forgotten_with_the_retention(store: SQLiteStore, path: Path) -> None:
    save(store, Batch(marks=[(mark("gone", 5), 0), (mark("lives", 5), 0)]))
    store.records.forget_journals(["gone"])
    for older_than, left in ((NOW, ["gone", "lives"]), (NOW + 1, ["lives"])):
        store.maintenance.expire(older_than=older_than, limit=9, now=NOW)
        other = sqlite3.connect(path)
        assert [line[0] for line in other.execute("SELECT id FROM sojourn_journals ORDER BY id")] == left
        other.close()


def test_an_unregistered_backend_says_so(store: SQLiteStore) -> None:
    held = lease(store)
    with pytest.raises(StoreError, match="register it"):
        store.delivery.state("b")
    with pytest.raises(StoreError, match="register it"):
        store.delivery.claim("b", held, until=NOW, limit=1, now=NOW)
