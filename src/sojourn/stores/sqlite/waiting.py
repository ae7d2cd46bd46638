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


def patiently(attempt: Callable[[], _Result]) -> _Result:
    """Repeat what the lock of another process refused, with jitter. SQLite itself does not wait in every case."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return attempt()
        except sqlite3.OperationalError as error:
            # The low byte is the kind of error, the rest a detail.
            if (error.sqlite_errorcode & 0xFF) not in BUSY or time.monotonic() >= deadline:
                raise
        sleep(random.uniform(0.001, 0.02))  # noqa: S311 - jitter is no secret
