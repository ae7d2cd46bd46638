"""What a journal asks of the machine: its files, their locks, and on which file system and boot they are.

Journals touch files through `Files` only, which the engine hands in. So a simulation can bring files that tear writes,
fill up or vanish, and run every process of a host in one thread.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from pathlib import Path
from typing import Final, Protocol

from . import filesystem, locks

_NOT_A_LINK: Final = getattr(os, "O_NOFOLLOW", 0)


class File(Protocol):
    """An open file. Every call but `close` may raise `OSError`."""

    def read(self, length: int, offset: int) -> bytes: ...
    def write(self, data: bytes, offset: int) -> int:
        """Write, and return how much was written: less than all of it where the disk is full."""
        ...

    def size(self) -> int: ...
    def cut(self, size: int) -> None: ...
    def sync(self) -> None: ...
    def map(self, size: int) -> mmap.mmap:
        """Map the file, which has `size` real bytes. The map outlives `close`."""
        ...

    def close(self) -> None:
        """Release it. Never raises: it is released in any case, and what reached the disk is what `sync` said."""
        ...


class Lock(Protocol):
    """The lock of a living owner."""

    path: Path

    def release(self) -> None: ...


class Files(Protocol):
    """The files of one host. Every call may raise `OSError`, but those that return a verdict."""

    def make_private(self, directory: Path) -> None:
        """Make the directory, for this user alone; raises `PermissionError` for one that others may write to."""
        ...

    def names(self, directory: Path) -> list[str]:
        """List the names in the directory; none if it does not exist."""
        ...

    def changed_at(self, directory: Path) -> int | None:
        """Return when a name was last added or removed (ns since the epoch), or `None` if that cannot be seen."""
        ...

    def written_at(self, path: Path) -> int:
        """Return when the file was last written (ms since the epoch)."""
        ...

    def is_gone(self, path: Path) -> bool: ...
    def create(self, path: Path) -> File: ...
    def open(self, path: Path) -> File: ...
    def open_to_change(self, path: Path) -> File: ...
    def rename(self, path: Path, name: Path) -> None: ...
    def link(self, path: Path, name: Path) -> None:
        """Give the file one more name. Raises `FileExistsError` if there is one."""
        ...

    def remove(self, path: Path) -> None: ...
    def sync_directory(self, directory: Path) -> None: ...

    @property
    def has_locks(self) -> bool: ...

    def lock(self, path: Path) -> Lock:
        """Make a lock file and hold its lock until `release`, or until this process ends."""
        ...

    def is_locked(self, path: Path) -> bool: ...

    def may_map(self, directory: Path) -> bool: ...
    def place_of(self, directory: Path) -> str: ...
    def boot_id(self) -> str: ...


class SystemFile:
    """A file descriptor of this process."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, length: int, offset: int) -> bytes:
        return os.pread(self._fd, length, offset)

    def write(self, data: bytes, offset: int) -> int:
        return os.pwrite(self._fd, data, offset)

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def cut(self, size: int) -> None:
        os.ftruncate(self._fd, size)

    def sync(self) -> None:
        os.fsync(self._fd)

    def map(self, size: int) -> mmap.mmap:
        return mmap.mmap(self._fd, size)  # with a descriptor of its own

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._fd)


class SystemFiles:
    """The files of this machine."""

    make_private = staticmethod(filesystem.make_private)
    may_map = staticmethod(filesystem.may_map)
    place_of = staticmethod(filesystem.place_of)
    boot_id = staticmethod(filesystem.boot_id)
    is_gone = staticmethod(filesystem.is_gone)
    changed_at = staticmethod(filesystem.changed_at)
    names = staticmethod(filesystem.names)
    sync_directory = staticmethod(filesystem.sync_directory)
    lock = staticmethod(locks.OwnerLock)
    is_locked = staticmethod(locks.is_held)

    @property
    def has_locks(self) -> bool:
        return locks.is_supported

    @staticmethod
    def create(path: Path) -> SystemFile:
        return SystemFile(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))

    @staticmethod
    def open(path: Path) -> SystemFile:
        return SystemFile(os.open(path, os.O_RDONLY))

    @staticmethod
    def open_to_change(path: Path) -> SystemFile:
        return SystemFile(os.open(path, os.O_RDWR | _NOT_A_LINK))

    @staticmethod
    def rename(path: Path, name: Path) -> None:
        os.rename(path, name)

    @staticmethod
    def link(path: Path, name: Path) -> None:
        os.link(path, name)

    @staticmethod
    def written_at(path: Path) -> int:
        return os.stat(path).st_mtime_ns // 1_000_000

    @staticmethod
    def remove(path: Path) -> None:
        os.unlink(path)


SYSTEM_FILES: Final = SystemFiles()
