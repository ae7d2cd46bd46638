"""Wait for the locks of other processes on a SQLite file."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from typing import Final, TypeVar

from sojourn.core.threads import sleep

PATIENCE_S: Final = 5.0
BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

_Result = TypeVar("_Result")


def begin(connection: sqlite3.Connection) -> None:
    """Begin a writing transaction. A deferred one would fail at once when it starts to write beside another writer."""
    patiently(lambda: connection.execute("BEGIN IMMEDIATE"))


def is_busy(error: sqlite3.Error) -> bool:
    """Whether the lock of another process is the reason."""
    # The low byte is the kind of error, the rest a detail. Errors of the module itself have no code.
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in BUSY


def truncate_log(connection: sqlite3.Connection) -> bool:
    """Move the WAL into the database and truncate it; say whether no lock of another process prevented that."""
    try:
        (is_prevented, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError as error:
        if not is_busy(error):
            raise
        return False
    return not is_prevented


def patiently(attempt: Callable[[], _Result]) -> _Result:
    """Repeat what the lock of another process refused, with jitter. SQLite itself does not wait in every case."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return attempt()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= deadline:
                raise
        sleep(random.uniform(0.001, 0.02))  # noqa: S311 - jitter is no secret
