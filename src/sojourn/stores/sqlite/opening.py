"""Opens a SQLite database, whoever comes first, and how many at once: the file, its WAL, its tables. Knows no session.

The file is made by `O_EXCL` and closed before SQLite sees it, then only SQLite touches it: closing any other descriptor
of it would drop the locks that this process holds. What is there is looked at before anything is changed, so that
another application's database stays as it is.
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from sojourn.core.threads import AnyLock, Lock, sleep
from sojourn.errors import StoreError
from sojourn.stores import schema
from sojourn.stores.reporting.rollup_triggers import SQLITE_TRIGGERS

from .statements import CREATE, PREPARE

SCHEMA_VERSION: Final = schema.SCHEMA_VERSION
STORE_KEY_BYTES: Final = schema.STORE_KEY_BYTES

_APPLICATION_ID: Final = 0x536F6A6E  # "Sojn": tells our file from any other
_OLDEST_SQLITE: Final = (3, 33, 0)
_PATIENCE: Final = 5.0
_JOURNAL_SIZE_LIMIT: Final = 32 * 1024 * 1024
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

_Answer = TypeVar("_Answer")

_making: Final[dict[int, AnyLock]] = {}
"""By process: a child may have been forked while its parent held it."""


def open_file(path: Path) -> sqlite3.Connection:
    """A connection to the database at this path, made or migrated where needed. Raises `StoreError` with the fix."""
    _check_library()
    try:
        _make(path)
        connection = _connect(f"file:{quote(str(path))}?mode=rw")
    except (OSError, sqlite3.Error) as error:
        raise _explained(path, error) from error
    try:
        _check_ours(connection, path)
        _take_wal(connection, path)
        _tune(connection)
        _migrate(connection, str(path))
        _prepare(connection)
    except sqlite3.Error as error:
        connection.close()
        raise _explained(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def open_memory() -> sqlite3.Connection:
    """A private database in memory."""
    _check_library()
    connection = _connect("file::memory:")
    _tune(connection)
    _migrate(connection, "memory:")
    _prepare(connection)
    return connection


def begin(connection: sqlite3.Connection) -> None:
    """Begin to write. A deferred transaction would fail at once when it turns to writing beside another writer."""
    patiently(lambda: connection.execute("BEGIN IMMEDIATE"))


def patiently(attempt: Callable[[], _Answer]) -> _Answer:
    """Repeat what another process's lock refused, with jitter: SQLite itself does not wait in every case."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return attempt()
        except sqlite3.OperationalError as error:
            # The low byte is the kind; the rest says which of its cases.
            if (error.sqlite_errorcode & 0xFF) not in _BUSY or time.monotonic() >= deadline:
                raise
        sleep(random.uniform(0.001, 0.02))  # noqa: S311 - jitter is no secret


def _check_library() -> None:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        oldest = ".".join(map(str, _OLDEST_SQLITE))
        msg = f"SQLite {sqlite3.sqlite_version} is too old for the store; use a Python with SQLite {oldest} or newer"
        raise StoreError(msg)


def _make(path: Path) -> None:
    # One thread at a time: a second one that saw the file and took locks would lose them when the first closes it.
    with _making.setdefault(os.getpid(), Lock()), contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_CLOEXEC", 0), 0o600))


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(
        uri,
        uri=True,
        timeout=_PATIENCE,
        isolation_level=None,
        # Closed by whoever closes the store; the store itself sees to one thread at a time.
        check_same_thread=False,
        cached_statements=256,
    )


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    # One statement, one moment: a process beside us may be creating the tables.
    look = (
        "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),"
        " (SELECT COUNT(*) FROM sqlite_master)"
    )
    application, version, tables = patiently(lambda: connection.execute(look).fetchone())
    if application != _APPLICATION_ID and (application or version or tables):
        msg = f"{path} is the database of another application; choose another file for the store"
        raise StoreError(msg)


def _take_wal(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = patiently(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchone())
    if mode != "wal":
        msg = f"{path} lies on a file system where SQLite cannot use a WAL; put the store on a local disk"
        raise StoreError(msg)


def _tune(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -8192")
    # Four times SQLite's own: pages that busy sessions touch again and again are moved to the database less often.
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_SIZE_LIMIT}")


def _migrate(connection: sqlite3.Connection, name: str) -> None:
    if _version(connection) == SCHEMA_VERSION:
        return
    begin(connection)
    try:
        version = _version(connection)
        if version > SCHEMA_VERSION:
            msg = (
                f"{name} was written by a newer Sojourn (schema {version}, this one knows {SCHEMA_VERSION}); "
                "upgrade this installation: pip install --upgrade sojourn"
            )
            raise StoreError(msg)
        if version == 0:
            _create(connection)
        else:
            for statement in chain.from_iterable(STEPS[step] for step in range(version, SCHEMA_VERSION)):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _prepare(connection: sqlite3.Connection) -> None:
    for statement in PREPARE:
        connection.execute(statement)


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _create(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    for statement in chain(CREATE, SQLITE_TRIGGERS):
        connection.execute(statement)
    key = secrets.token_bytes(STORE_KEY_BYTES)
    connection.execute("INSERT INTO sojourn_meta (name, value) VALUES ('store_key', ?)", (key,))


STEPS: Final[Mapping[int, tuple[str, ...]]] = {}
"""By version n, the statements that lead from there to n + 1. A released step never changes."""


def _explained(path: Path, error: OSError | sqlite3.Error) -> StoreError:
    folder = path.parent
    if path.is_dir():
        return StoreError(f"{path} is a folder; add a file name to the store's URL")
    if not folder.is_dir():
        return StoreError(f"the folder {folder} of the store does not exist; create it, or choose another place")
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return StoreError(f"{path} is not a SQLite database; move it away, or choose another file for the store")
    if code in _BUSY:
        return StoreError(
            f"{path} has been locked by another process for {_PATIENCE:.0f} s; end what holds it, then try again"
        )
    if isinstance(error, PermissionError) or code in (
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
    ):
        return StoreError(
            f"the store {path} cannot be written by this process ({error}); "
            "change the owner or mode of the file and its folder, or choose another place"
        )
    return StoreError(f"the store {path} cannot be opened: {error}; check the disk, or restore the file")
