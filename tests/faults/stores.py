"""Faults of the store: SQLite locked by another program, PostgreSQL down, connections cut."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .scene import Fault, Scene

if TYPE_CHECKING:
    from tests.postgres import Cluster

_LOCK: Final = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
db.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
db.execute("ROLLBACK")
"""


def sqlite_locked(scene: Scene) -> None:
    """Lock the database from another program, beyond the busy timeout and the idle timeout."""
    with scene.deployment.gunicorn(workers=3) as server:
        with scene.visitors(server):
            scene.wait(2)
            file = Path(scene.deployment.store.removeprefix("sqlite:///"))
            with _locked(file):
                scene.say("the database is locked")
                scene.wait(scene.seconds)
                if _may_write(file):
                    scene.wrong.append("the database was not locked: the fault did not happen")
            scene.say("the lock is released")
            scene.wait(2)
        scene.settle()


def postgres_stopped(scene: Scene) -> None:
    """Crash the database and keep it down beyond the idle timeout, while visitors browse."""
    cluster = use_postgres(scene)
    scene.idle_s = 6.0
    scene.deployment.settings["IDLE_TIMEOUT"] = "6s"
    with scene.deployment.gunicorn(workers=3) as server:
        with scene.visitors(server):
            scene.wait(3)
            cluster.stop("immediate")
            scene.say("PostgreSQL is stopped")
            scene.wait(scene.seconds)
            cluster.start()
            scene.say("PostgreSQL is back")
            scene.wait(3)
        scene.settle()


def postgres_cut(scene: Scene) -> None:
    """Cut its connections again and again, also in the middle of a transaction."""
    cluster, cut = use_postgres(scene), 0
    name = scene.deployment.store.rpartition("/")[2]
    ending = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    with scene.deployment.gunicorn(workers=3) as server:
        with scene.visitors(server):
            for _ in scene.ticks(0.15):
                cut += len(cluster.run(ending))
            scene.wait(1)
        scene.settle()
    scene.notes.append(f"{cut} connections cut")


def use_postgres(scene: Scene) -> Cluster:
    """Put the store of this scene into a PostgreSQL server of its own."""
    from tests.postgres import Cluster

    began = time.monotonic()
    cluster = scene.stack.enter_context(Cluster())
    scene.deployment.store = cluster.fresh_database()
    scene.say(f"PostgreSQL is ready after {time.monotonic() - began:.1f} s")
    return cluster


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    command = [sys.executable, "-c", _LOCK, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdout.readline()
            yield
        finally:
            process.stdin.close()
            process.wait(30)


def _may_write(file: Path) -> bool:
    with contextlib.closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as db:
        try:
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
    return True


@cache
def no_postgres() -> str:
    """Say why no PostgreSQL server can be started here."""
    try:
        from tests.postgres import Cluster

        Cluster().remove()
    except (ImportError, RuntimeError) as error:
        return str(error)
    return ""


FAULTS = (
    Fault(
        name="sqlite-locked",
        about="the SQLite file is locked by another program, beyond the busy timeout",
        play=sqlite_locked,
        seconds=12,
    ),
    Fault(
        name="postgres-stopped",
        about="PostgreSQL crashes and is down beyond the idle timeout, under traffic",
        play=postgres_stopped,
        seconds=15,
        missing=no_postgres,
    ),
    Fault(
        name="postgres-cut",
        about="PostgreSQL's connections are cut in mid-transaction, again and again",
        play=postgres_cut,
        seconds=15,
        missing=no_postgres,
    ),
)
