"""Open a SQLite database: the file, its WAL, the settings of a connection. Any number of processes may open it at once.

The file is created with `O_EXCL` and closed before SQLite opens it. From then on only SQLite touches it: closing any
other descriptor of the file would drop the locks that this process holds. Nothing is changed before `migration` has
found that the file can hold a store.

See P12 in docs/internals.md.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sojourn.core.shared_places import is_anothers, is_replaceable, is_shared_link, others_may_write
from sojourn.core.threads import AnyLock, Lock
from sojourn.errors import StoreError

from .migration import inspect, migrate
from .statements import PREPARE
from .waiting import BUSY, PATIENCE_S, patiently

log = logging.getLogger("sojourn")

_OLDEST_SQLITE: Final = (3, 33, 0)
_JOURNAL_SIZE_LIMIT: Final = 32 * 1024 * 1024

_warned: Final[set[Path]] = set()
_making: Final[dict[int, AnyLock]] = {}
"""By process: a child may be forked while a thread of its parent holds the lock."""


def open_file(path: Path) -> sqlite3.Connection:
    """Connect to the store at this path; create or migrate it first where needed. Raises `StoreError` with the fix."""
    _check_library()
    try:
        _check_owners(path)
        _make(path)
        connection = connect(path)
    except (OSError, sqlite3.Error) as error:
        raise _explained(path, error) from error
    try:
        inspect(connection, str(path))
        _take_wal(connection, path)
        _tune(connection)
        migrate(connection, str(path))
        _prepare(connection)
    except sqlite3.Error as error:
        connection.close()
        raise _explained(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def open_memory() -> sqlite3.Connection:
    """Connect to a new database in memory."""
    _check_library()
    connection = _connect("file::memory:")
    _tune(connection)
    migrate(connection, "memory:")
    _prepare(connection)
    return connection


def exists(path: Path) -> bool:
    """Whether there is a store at this path. Creates and changes nothing. Raises `StoreError` with the fix."""
    _check_library()
    # SQLite would create the file, and take an empty one for a database.
    if not path.is_file() or path.stat().st_size == 0:
        return False
    try:
        with closing(connect(path)) as connection:
            return inspect(connection, str(path)).version is not None
    except sqlite3.Error as error:
        raise _explained(path, error) from error


def _check_library() -> None:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        oldest = ".".join(map(str, _OLDEST_SQLITE))
        msg = f"SQLite {sqlite3.sqlite_version} is too old for the store; use a Python with SQLite {oldest} or newer"
        raise StoreError(msg)


def _check_owners(path: Path) -> None:
    """Refuse a link that others may have planted, and warn of what others may write: they may read and change the store."""
    if is_shared_link(path):
        msg = f"{path} is a symbolic link in a folder that others may write to; choose another folder for the store"
        raise StoreError(msg)
    if path in _warned:
        return
    advice = None
    if path.exists() and others_may_write(path.stat()):
        advice = f"run chmod go-w {path}"
    elif is_anothers(path) or is_replaceable(path):
        advice = f"choose another folder, or run chmod go-w {path.parent}"
    if advice is not None:
        _warned.add(path)
        log.warning("Other users may write to the store %s, or replace it: %s", path, advice)


def _make(path: Path) -> None:
    # One thread at a time: another one could see the file and take locks, and lose them when the first closes it.
    with _making.setdefault(os.getpid(), Lock()), suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_CLOEXEC", 0), 0o600))


def connect(path: Path) -> sqlite3.Connection:
    """Connect to a file that is there, with no settings of a store yet."""
    return _connect(f"file:{quote(str(path))}?mode=rw")


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(
        uri,
        uri=True,
        timeout=PATIENCE_S,
        isolation_level=None,
        # Any thread may close the store. `Connections` lets one thread at a time use a connection.
        check_same_thread=False,
        cached_statements=256,
    )


def _take_wal(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = patiently(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchone())
    if mode != "wal":
        msg = f"{path} is on a file system where SQLite cannot use a WAL; put the store on a local disk"
        raise StoreError(msg)


def _tune(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA temp_store = MEMORY")
    # What is deleted or moved within the file is overwritten, or an erasure would find it no more. Many builds do so anyway.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA cache_size = -8192")
    # Four times the default: pages that busy sessions touch repeatedly move to the database less often.
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_SIZE_LIMIT}")


def _prepare(connection: sqlite3.Connection) -> None:
    for statement in PREPARE:
        connection.execute(statement)


def _explained(path: Path, error: OSError | sqlite3.Error) -> StoreError:
    folder = path.parent
    if path.is_dir():
        return StoreError(f"{path} is a folder; add a file name to the store's URL")
    if not folder.is_dir():
        return StoreError(f"the folder {folder} of the store does not exist; create it, or choose another folder")
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return StoreError(f"{path} is not a SQLite database; move it away, or choose another file for the store")
    if code in BUSY:
        return StoreError(
            f"{path} has been locked by another process for {PATIENCE_S:.0f} s; stop that process, then try again"
        )
    if isinstance(error, PermissionError) or code in (
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
    ):
        return StoreError(
            f"the store {path} cannot be written by this process ({error}); "
            "change the owner or mode of the file and its folder, or choose another folder"
        )
    return StoreError(f"the store {path} cannot be opened: {error}; check the disk, or restore the file")
