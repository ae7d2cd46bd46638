"""Copy a SQLite store while it is used, and write it anew without the pages that deleted rows left."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from sojourn.errors import StoreError
from sojourn.stores.upkeep_protocol import BackedUp, Compacted

from .opening import connect
from .waiting import PATIENCE_S, is_busy, patiently, truncate_log

_MEBI: Final = 1024**2
_PAGES_AT_ONCE: Final = 2_000
_READERS_S: Final = 5.0
"""How long `compact()` waits for other readers, to cut the file."""
_PAUSE_S: Final = 0.05


class SQLiteUpkeep:
    """`Upkeep`, over connections of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def is_own(self, path: Path) -> bool:
        own = (self.path.with_name(self.path.name + end) for end in ("", "-wal", "-shm"))
        return path.exists() and any(each.exists() and path.samefile(each) for each in own)

    def back_up(self, target: Path, *, on_progress: Callable[[int, int], None]) -> BackedUp:
        # Made here, for its owner alone, and not opened by anything but SQLite from now on.
        try:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_CLOEXEC", 0), 0o600))
        except OSError as error:
            msg = f"{target} cannot be created: {error.strerror}; choose another place"
            raise StoreError(msg) from error
        with (
            _explained(f"the copy {target}"),
            closing(connect(self.path)) as source,
            closing(connect(target)) as copy,
        ):
            # One moment for all pages. Otherwise SQLite would begin anew with every write of another process.
            source.execute("BEGIN")
            source.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            source.backup(copy, pages=_PAGES_AT_ONCE, progress=lambda _, left, total: on_progress(total - left, total))
            source.execute("COMMIT")
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without companions; a store takes its WAL again
            (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                msg = f"the copy is damaged, and so may be the store {self.path}: {verdict}"
                raise StoreError(msg)
            sessions, events = copy.execute(
                "SELECT (SELECT COUNT(*) FROM sojourn_sessions), (SELECT COUNT(*) FROM sojourn_events)"
            ).fetchone()
            pages, page = _pages(copy)
        return BackedUp(sessions=sessions, events=events, size=pages * page)

    def compact(self) -> Compacted:
        with _explained(f"the store {self.path}"), closing(connect(self.path)) as db:
            db.execute("PRAGMA secure_delete = ON")
            before = self._size()
            pages, page = _pages(db)
            (free,) = db.execute("PRAGMA freelist_count").fetchone()
            self._check_room((pages - free) * page)
            patiently(lambda: db.execute("VACUUM"))
            is_cut = _cut(db)
        return Compacted(before=before, after=self._size(), is_cut=is_cut)

    def _size(self) -> int:
        log = self.path.with_name(f"{self.path.name}-wal")
        return sum(file.stat().st_size for file in (self.path, log) if file.exists())

    def _check_room(self, needed: int) -> None:
        """A disk that is full would keep the app from writing its journals."""
        temporary, folder = _temporary_folder(), self.path.parent
        is_one_disk = os.stat(temporary).st_dev == os.stat(folder).st_dev
        for place, room in ((folder, 2 * needed if is_one_disk else needed), (temporary, needed)):
            free = shutil.disk_usage(place).free
            if free < room:
                msg = (
                    f"nothing was changed: it takes {room / _MEBI:,.0f} MiB on the disk of {place}, and "
                    f"{free / _MEBI:,.0f} MiB are free; make room, or let SQLITE_TMPDIR name a folder on another disk"
                )
                raise StoreError(msg)


def _pages(db: sqlite3.Connection) -> tuple[int, int]:
    (pages,), (page,) = (db.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    return pages, page


def _cut(db: sqlite3.Connection) -> bool:
    """Move the log into the database, which cuts both; say whether that was possible."""
    deadline = time.monotonic() + _READERS_S
    db.execute("PRAGMA busy_timeout = 0")
    while not (is_cut := truncate_log(db)) and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
    return is_cut


def _temporary_folder() -> Path:
    """Where SQLite puts its temporary files: https://www.sqlite.org/tempfiles.html, 5."""
    names = (os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"), "/var/tmp", "/usr/tmp", "/tmp", ".")  # noqa: S108
    usable = (Path(name) for name in names if name and os.path.isdir(name) and os.access(name, os.W_OK | os.X_OK))
    return next(usable, Path())


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if is_busy(error):
            msg = f"{what} has been locked by another process for {PATIENCE_S:.0f} s; try again"
            raise StoreError(msg) from error
        msg = f"{what}: {error}"
        raise StoreError(msg) from error
