"""The store in one SQLite file, or in memory for one process.

One object serves several threads and survives a fork: each thread of each process has its own connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sojourn.errors import StoreError
from sojourn.stores.inbox.target import InboxTarget
from sojourn.stores.recording_protocol import Recording
from sojourn.stores.store import SQLStore

from .connections import Connections
from .database import SQLiteDatabase
from .opening import exists, open_file, open_memory
from .recording import SQLiteRecording
from .upkeep import SQLiteUpkeep
from .waiting import truncate_log


class SQLiteStore(SQLStore):
    """`Store`. `path=None`: in memory, shared by the threads of this process, gone with `close()`."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.name = "memory:" if path is None else f"sqlite:///{path}"
        self._connections = Connections(
            open_memory if path is None else partial(open_file, path),
            name="memory:" if path is None else str(path),
            is_shared=path is None,
        )
        self._database = SQLiteDatabase(self._connections)
        super().__init__(
            self._database, recording=self._recording, checkpoint=self._checkpoint, replicas=self._replicas
        )

    @property
    def upkeep(self) -> SQLiteUpkeep:
        if self.path is None:
            raise StoreError("a store in memory: has no file to copy")
        return SQLiteUpkeep(self.path)

    def __repr__(self) -> str:
        return f"SQLiteStore({None if self.path is None else str(self.path)!r})"

    def open(self) -> None:
        with self._connections.reading():
            pass

    def exists(self) -> bool:
        return self.path is None or exists(self.path)

    def recreate(self) -> SQLiteStore:
        if self.path is None:
            raise StoreError("a store in memory: belongs to one process; no other one can look into it")
        return SQLiteStore(self.path)

    def time(self) -> int | None:
        """Return None: a file belongs to one machine, and so does its clock."""
        return None

    def inbox_target(self) -> InboxTarget:
        return InboxTarget(name=self.name, path=self.path)

    def close(self) -> None:
        self._connections.close()
        self._database.forget_key()

    @contextmanager
    def _recording(self) -> Iterator[Recording]:
        with self._database.writing() as work:
            yield SQLiteRecording(work.connection, work.key)

    def _checkpoint(self) -> bool:
        """Move the WAL into the database and truncate it, without waiting for a reader."""
        with self._connections.reading() as db:
            db.execute("PRAGMA busy_timeout = 0")
            try:
                return truncate_log(db)
            finally:
                db.execute("PRAGMA busy_timeout = 5000")

    def _replicas(self) -> list[str]:
        """Where Litestream, which keeps its state beside the file, has copies of what was written."""
        folder = None if self.path is None else self.path.with_name(f".{self.path.name}-litestream")
        return [str(folder)] if folder is not None and folder.is_dir() else []
