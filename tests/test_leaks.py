"""The check that every test runs under sees each kind of thing that may be left open."""

from __future__ import annotations

import signal
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sojourn import Settings
from sojourn.engine import Engine
from sojourn.stores import open_store
from sojourn.testing import ManualClock
from tests.leaks import OpenResources


def leave_store(folder: Path) -> Callable[[], object]:
    store = open_store(f"sqlite:///{folder}/sojourn.db")
    store.open()
    return store.close


def leave_connection(folder: Path) -> Callable[[], object]:
    return sqlite3.connect(":memory:").close


def leave_engine(folder: Path) -> Callable[[], object]:
    engine = Engine(Settings(secret_key="a key that only tests use", store="memory:"), clock=ManualClock())
    engine.start()
    return engine.close


def leave_file(folder: Path) -> Callable[[], object]:
    return (folder / "a journal").open("w").close


def leave_thread(folder: Path) -> Callable[[], object]:
    ends = threading.Event()
    thread = threading.Thread(target=ends.wait, name="of ours")
    thread.start()

    def end() -> None:
        ends.set()
        thread.join()

    return end


def leave_handler(folder: Path) -> Callable[[], object]:
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    return lambda: signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("leave", "kind"),
    [
        pytest.param(leave_store, "SQLite connection to ", id="store"),
        pytest.param(leave_connection, "SQLite connection to :memory:", id="connection"),
        pytest.param(leave_engine, "engine", id="engine"),
        pytest.param(leave_file, "file ", id="file"),
        pytest.param(leave_thread, "thread of ours", id="thread"),
        pytest.param(leave_handler, "handler of SIGTERM", id="handler"),
    ],
)
def test_what_is_left_open_is_seen_until_it_is_closed(
    leave: Callable[[Path], Callable[[], object]], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.leaks._ENDING_S", 0.01)
    before = OpenResources()
    close = leave(tmp_path)
    assert any(leak.startswith(kind) for leak in before.leaks())
    close()
    assert before.leaks() == []
