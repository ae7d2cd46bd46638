"""`sojourn backup` and `sojourn vacuum`: of a store that is written to meanwhile, and never over something else."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from sojourn import cli
from sojourn.errors import StoreError
from sojourn.stores import SQLiteStore, open_store
from sojourn.stores.model import Batch
from sojourn.stores.sqlite import upkeep
from sojourn.stores.sqlite.upkeep import SQLiteUpkeep
from tests.cli.terminal import run_in_terminal
from tests.postgres import Cluster
from tests.stores.contract.steps import event, row, save


def fill(store: SQLiteStore, start: int, count: int) -> None:
    for number in range(start, start + count):
        key = f"s{number:05}"
        save(store, Batch(rows=[row(key)], events=[event(f"e{number}.{each}", key=key) for each in range(5)]))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "sojourn.db")
    fill(store, 0, 100)
    yield store
    store.close()


def backup(store: SQLiteStore, target: Path, *options: str) -> int:
    return cli.main(["backup", str(target), "--store", store.name, *options])


def contents(path: Path) -> tuple[int, int, str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        counts = "SELECT (SELECT COUNT(*) FROM sojourn_sessions), (SELECT COUNT(*) FROM sojourn_events)"
        (verdict,) = db.execute("PRAGMA integrity_check").fetchone()
        return (*db.execute(counts).fetchone(), verdict)


def test_a_copy_is_a_store_of_its_own(store: SQLiteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()
    assert backup(store, target) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{target}: 100 sessions, 500 events, ")
    assert err == f"store: {store.name}\n"
    assert [file.name for file in target.parent.iterdir()] == ["copy.db"]  # no companions, nothing partial
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    copy = SQLiteStore(target)
    assert copy.stats().sessions == 100
    fill(copy, 100, 1)  # it can be used at once
    copy.close()
    assert store.stats().sessions == 100


def test_a_copy_shows_one_moment_however_much_is_written_meanwhile(
    store: SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_PAGES_AT_ONCE", 5)
    progress: list[tuple[int, int]] = []

    def write(done: int, total: int) -> None:
        progress.append((done, total))
        fill(store, 100 + len(progress), 1)

    done = store.upkeep.back_up(tmp_path / "copy.db", on_progress=write)
    assert (done.sessions, done.events) == (100, 500)
    assert contents(tmp_path / "copy.db") == (100, 500, "ok")
    assert progress == sorted(progress)  # it was never begun anew
    assert progress[-1][0] == progress[-1][1]
    assert len(progress) > 10
    assert store.stats().sessions == 100 + len(progress)


def test_nothing_is_overwritten_without_force(
    store: SQLiteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, link = tmp_path / "mine.txt", tmp_path / "dangling"
    target.write_text("mine")
    link.symlink_to(tmp_path / "nowhere")
    for each in (target, link):
        assert backup(store, each) == 1
        assert f"{each} exists; choose another file, or replace it with --force" in capsys.readouterr().err
    assert target.read_text() == "mine"
    assert backup(store, target, "--force") == 0
    assert contents(target) == (100, 500, "ok")


@pytest.mark.parametrize("name", ["sojourn.db", "sojourn.db-wal", "link.db", "hard.db"])
def test_the_store_is_never_overwritten(
    name: str, store: SQLiteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "sojourn.db")
    os.link(tmp_path / "sojourn.db", tmp_path / "hard.db")
    assert backup(store, tmp_path / name, "--force") == 1
    assert "is the store itself" in capsys.readouterr().err
    assert contents(tmp_path / "sojourn.db") == (100, 500, "ok")


@pytest.mark.parametrize(
    ("target", "error"),
    [
        pytest.param("", "is a folder; add a file name", id="a folder"),
        pytest.param("missing/copy.db", "cannot be created: No such file or directory", id="a folder that is missing"),
    ],
)
def test_a_place_that_cannot_be_written(
    target: str, error: str, store: SQLiteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backup(store, tmp_path / target) == 1
    assert error in capsys.readouterr().err


def test_what_fails_leaves_neither_a_part_nor_the_old_copy_changed(
    store: SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "copy.db"
    target.write_text("the old copy")
    with closing(sqlite3.connect(tmp_path / "sojourn.db")) as db:  # a page of the table of events, cut down to nothing
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'sojourn_events'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    with (tmp_path / "sojourn.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    before = sorted(tmp_path.iterdir())
    assert backup(store, target, "--force") == 1
    assert "sojourn: the copy" in capsys.readouterr().err
    assert target.read_text() == "the old copy"
    assert {each.name for each in tmp_path.iterdir()} - {each.name for each in before} <= {
        "sojourn.db-wal",
        "sojourn.db-shm",
    }


def test_progress_is_drawn_on_a_terminal(store: SQLiteStore, tmp_path: Path) -> None:
    out = run_in_terminal(["backup", "copy.db", "--store", store.name], columns=80, folder=tmp_path)
    assert out.startswith("copy.db: 100 sessions, 500 events, ")  # the bar is on standard error


# --- vacuum


def vacuum(store: SQLiteStore) -> int:
    return cli.main(["vacuum", "--store", store.name])


def emptied(store: SQLiteStore) -> None:
    with closing(sqlite3.connect(store.path or "")) as db:
        db.execute("DELETE FROM sojourn_events WHERE session_key > 's00010'")
        db.commit()


def test_room_is_given_back(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert store.path is not None
    fill(store, 100, 500)
    emptied(store)
    store.close()
    before = store.path.stat().st_size
    assert vacuum(store) == 0
    out = capsys.readouterr().out
    assert " freed, in " in out
    assert store.path.stat().st_size < before * 0.7
    assert contents(store.path)[2] == "ok"


def test_an_app_goes_on_writing_meanwhile(store: SQLiteStore) -> None:
    """What it writes is there afterwards, whether it waited or not. It tries again, as the recorder does."""
    assert store.path is not None
    has_begun, failures = threading.Event(), list[BaseException]()

    def write() -> None:
        try:
            for number in range(100):
                while True:
                    with suppress(StoreError):
                        fill(store, 1_000 + number, 1)
                        break
                has_begun.set()
        except BaseException as error:  # noqa: BLE001 - it fails in a thread
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    assert has_begun.wait(30)
    for _ in range(3):
        SQLiteUpkeep(store.path).compact()
    writer.join()
    assert failures == []
    assert contents(store.path) == (200, 1000, "ok")


def test_a_reader_keeps_the_file_from_being_cut(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(upkeep, "_READERS_S", 0.0)
    emptied(store)
    with closing(sqlite3.connect(store.path or "", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM sojourn_events").fetchone()
        assert vacuum(store) == 0
        assert "the file is cut when no other process reads it any more" in capsys.readouterr().out
    assert vacuum(store) == 0
    assert "is cut when" not in capsys.readouterr().out


def test_a_disk_without_room_is_not_filled(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage: Any = shutil.disk_usage("/")._replace(free=10_000)
    monkeypatch.setattr("sojourn.stores.sqlite.upkeep.shutil.disk_usage", lambda _: usage)
    assert vacuum(store) == 1
    assert "nothing was changed: it takes " in capsys.readouterr().err


def test_a_store_that_is_locked_for_long_is_an_error(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "PATIENCE_S", 0.05)
    monkeypatch.setattr("sojourn.stores.sqlite.waiting.PATIENCE_S", 0.05)
    with closing(sqlite3.connect(store.path or "", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another process"):
            store.upkeep.compact()


# --- PostgreSQL


@pytest.mark.slow
def test_postgresql_names_its_own_tools(postgres: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = postgres.fresh_database()
    store = open_store(url)
    store.open()
    store.close()
    assert cli.main(["backup", str(tmp_path / "copy.db"), "--store", url]) == 1
    assert "pg_dump --format=custom --schema=sojourn --file=sojourn.dump postgresql://" in capsys.readouterr().err
    assert cli.main(["vacuum", "--store", url]) == 1
    assert "autovacuum" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
