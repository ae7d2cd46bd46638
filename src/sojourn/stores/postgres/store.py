"""The store in a PostgreSQL database, for a fleet.

One object serves several threads and survives a fork: each thread of each process has its own connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sojourn.stores.inbox.target import InboxTarget, mark_of
from sojourn.stores.recording_protocol import Recording
from sojourn.stores.store import SQLStore

from .address import address
from .connections import Connections
from .database import PostgreSQLDatabase
from .opening import connect, exists, lock_number
from .recording import PostgreSQLRecording
from .upkeep import PostgreSQLUpkeep

_TIME: Final = "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint"


class PostgreSQLStore(SQLStore):
    """`Store`. Raises `StoreError` for a URL that cannot be read."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._address = address(url)
        self.name = self._address.name
        """Where it is, without user and password."""
        self._connections = Connections(self._address)
        self._log_lock = lock_number(self._address.schema, "log")
        database = PostgreSQLDatabase(self._connections, self._log_lock)
        super().__init__(database, recording=self._recording, checkpoint=_checkpoint)

    @property
    def upkeep(self) -> PostgreSQLUpkeep:
        return PostgreSQLUpkeep(self._address)

    def __repr__(self) -> str:
        return f"PostgreSQLStore({self.name!r})"

    def open(self) -> None:
        self._connections.read("SELECT 1")

    def exists(self) -> bool:
        return exists(self._address)

    def recreate(self) -> PostgreSQLStore:
        return PostgreSQLStore(self._url)

    def time(self) -> int | None:
        now: int = self._connections.read(_TIME)[0]
        return now

    def inbox_target(self) -> InboxTarget:
        # Over a connection of its own: the thread that asks serves requests, and needs none later.
        opened = connect(self._address)
        opened.connection.close()
        return InboxTarget(name=self.name, schema=self._address.schema, mark=mark_of(opened.store_key))

    def close(self) -> None:
        self._connections.close()

    @contextmanager
    def _recording(self) -> Iterator[Recording]:
        with self._connections.writing() as work:
            recording = PostgreSQLRecording(work, self._log_lock)
            yield recording
            recording.end()


def _checkpoint() -> bool:
    """Return True: the server maintains its log and its tables by itself."""
    return True
