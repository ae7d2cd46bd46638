"""The machine that a simulated process runs on: its clocks, its files, and the moments at which either fails.

A disk keeps two states: what the kernel has, which outlives a killed process, and what the disk has, which outlives a loss of
power. A file is real memory of the kernel (`memfd`), so a map of it is a real map.
"""

from __future__ import annotations

import errno
import mmap
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

PAGE = 4096


class Killed(BaseException):
    """The process is gone at this point, as after SIGKILL. No handler of errors may take it for one."""


class PowerLost(Killed):
    """The whole machine stops at this point."""


@dataclass
class Trouble:
    """What is to happen to one process: at which of its next calls, and how. Calls are counted while `left` is set."""

    left: int | None = None
    error: Callable[[], BaseException] = Killed
    calls: int = 0
    calls_before_the_end: int = 0
    is_over: bool = False

    def meet(self, what: str) -> None:
        """Come to a call that may fail."""
        if self.is_over:
            raise Killed  # a dead process does nothing, not even in a `finally`
        self.calls += 1
        if self.left is None or (self.error is ShortWrite and what != "write"):
            return
        self.left -= 1
        if self.left < 0:
            self.left = None
            error = self.error()
            self.is_over = isinstance(error, Killed)
            raise error


class WorldClock:
    """The one true time: milliseconds since the epoch."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms


@dataclass
class HostClock:
    """The clocks of one host, as its processes see them. `lead_ms` is how far the wall clock is ahead of the truth."""

    world: WorldClock
    lead_ms: int = 0
    is_manual = False
    _ticks: int = 0
    _began: int = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.world.now_ms - 3_600_000

    def now(self) -> int:
        return self.world.now_ms + self.lead_ms

    def monotonic(self) -> float:
        return (self.world.now_ms - self._began) / 1000

    def monotonic_ns(self) -> int:
        self._ticks += 1
        return (self.world.now_ms - self._began) * 1_000_000 + self._ticks


class Map(mmap.mmap):
    """A map whose `flush` brings the file to the disk."""

    inode: Inode

    def flush(self, *_: Any) -> None:
        self.inode.sync()


class Inode:
    """A file without a name: what the kernel has of it, and what the disk has."""

    def __init__(self, disk: Disk) -> None:
        self.fd = os.memfd_create("simulated")
        self.disk = disk
        self.written_at = disk.clock.now_ms
        self.on_disk = b""

    def __del__(self) -> None:
        os.close(self.fd)

    def content(self) -> bytes:
        return os.pread(self.fd, os.fstat(self.fd).st_size, 0)

    def sync(self) -> None:
        self.on_disk = self.content()

    def lose_power(self, chance: random.Random) -> None:
        """Of what was not synced, each page may be on the disk or not."""
        now, kept = self.content(), self.on_disk
        size = len(now) if chance.random() < 0.5 else len(kept)
        pages = []
        for at in range(0, size, PAGE):
            new, old = now[at : at + PAGE], kept[at : at + PAGE]
            page = new if chance.random() < 0.5 else old
            pages.append(page.ljust(min(PAGE, size - at), b"\0")[: min(PAGE, size - at)])
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, b"".join(pages), 0)
        self.sync()


class Disk:
    """The files of one host. Names become lasting by `sync_directory`, bytes by `sync`."""

    def __init__(self, clock: WorldClock, boot: str) -> None:
        self.clock = clock
        self.boot = boot
        self.names: dict[Path, Inode] = {}
        self.lasting: dict[Path, Inode] = {}
        self.folders: set[Path] = set()
        self.changed: dict[Path, int] = {}
        self.locks: dict[Path, object] = {}
        self._changes = 0

    def touch(self, folder: Path) -> None:
        self._changes += 1
        self.changed[folder] = self.clock.now_ms * 1_000_000 + self._changes

    def lose_power(self, chance: random.Random, boot: str) -> None:
        """Stop the machine. A change of names that was not synced may have reached the disk or not, each for itself."""
        self.boot = boot
        for name in sorted(self.names.keys() | self.lasting.keys()):
            present, kept = self.names.get(name), self.lasting.get(name)
            if present is not kept and chance.random() < 0.5:
                if kept is None:
                    del self.names[name]
                else:
                    self.names[name] = kept
        for inode in dict.fromkeys(self.names.values()):
            inode.lose_power(chance)
        self.lasting = dict(self.names)
        self.locks.clear()


class SimulatedFile:
    """An open file of a process."""

    def __init__(self, inode: Inode, trouble: Trouble) -> None:
        self._inode = inode
        self._trouble = trouble

    def read(self, length: int, offset: int) -> bytes:
        self._trouble.meet("read")
        return os.pread(self._inode.fd, length, offset)

    def write(self, data: bytes, offset: int) -> int:
        try:
            self._trouble.meet("write")
        except ShortWrite:
            data = data[: len(data) // 2]
        self._inode.written_at = self._inode.disk.clock.now_ms
        return os.pwrite(self._inode.fd, data, offset)

    def size(self) -> int:
        self._trouble.meet("size")
        return os.fstat(self._inode.fd).st_size

    def cut(self, size: int) -> None:
        self._trouble.meet("cut")
        os.ftruncate(self._inode.fd, size)

    def sync(self) -> None:
        self._trouble.meet("sync")
        self._inode.sync()

    def map(self, size: int) -> mmap.mmap:
        self._trouble.meet("map")
        mapped = Map(self._inode.fd, size)
        mapped.inode = self._inode
        return mapped

    def close(self) -> None:
        """Nothing: the inode is closed with its last name and its last file."""


class ShortWrite(Exception):
    """A write that writes half."""


class SimulatedLock:
    """The lock of an owner. It ends with its process."""

    def __init__(self, disk: Disk, path: Path, owner: object) -> None:
        self.path = path
        self._disk = disk
        disk.locks[path] = owner

    def release(self) -> None:
        self._disk.locks.pop(self.path, None)


class SimulatedFiles:
    """The files of a host, as one of its processes (`owner`) sees them."""

    has_locks = True

    def __init__(self, disk: Disk, owner: object, trouble: Trouble) -> None:
        self._disk = disk
        self._owner = owner
        self._trouble = trouble

    def make_private(self, directory: Path) -> None:
        self._trouble.meet("mkdir")
        self._disk.folders.add(directory)

    def names(self, directory: Path) -> list[str]:
        self._trouble.meet("list")
        return [path.name for path in self._disk.names if path.parent == directory]

    def changed_at(self, directory: Path) -> int | None:
        return self._disk.changed.get(directory)

    def written_at(self, path: Path) -> int:
        return self._inode(path).written_at

    def is_gone(self, path: Path) -> bool:
        return path not in self._disk.names

    def create(self, path: Path) -> SimulatedFile:
        self._trouble.meet("create")
        if path in self._disk.names:
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        self._disk.names[path] = Inode(self._disk)
        self._disk.touch(path.parent)
        return self.open(path)

    def open(self, path: Path) -> SimulatedFile:
        self._trouble.meet("open")
        return SimulatedFile(self._inode(path), self._trouble)

    def open_to_change(self, path: Path) -> SimulatedFile:
        return self.open(path)

    def rename(self, path: Path, name: Path) -> None:
        self._trouble.meet("rename")
        self._disk.names[name] = self._inode(path)
        del self._disk.names[path]
        self._disk.touch(path.parent)

    def link(self, path: Path, name: Path) -> None:
        self._trouble.meet("link")
        if name in self._disk.names:
            raise FileExistsError(errno.EEXIST, "File exists", str(name))
        self._disk.names[name] = self._inode(path)
        self._disk.touch(path.parent)

    def remove(self, path: Path) -> None:
        self._trouble.meet("remove")
        self._inode(path)
        del self._disk.names[path]
        self._disk.touch(path.parent)

    def sync_directory(self, directory: Path) -> None:
        self._trouble.meet("sync_directory")
        for name in [path for path in self._disk.lasting if path.parent == directory]:
            if name not in self._disk.names:
                del self._disk.lasting[name]
        self._disk.lasting |= {path: inode for path, inode in self._disk.names.items() if path.parent == directory}

    def lock(self, path: Path) -> SimulatedLock:
        self._trouble.meet("lock")
        if path in self._disk.names:
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        self._disk.names[path] = Inode(self._disk)
        self._disk.touch(path.parent)
        return SimulatedLock(self._disk, path, self._owner)

    def is_locked(self, path: Path) -> bool:
        return path in self._disk.locks

    def may_map(self, directory: Path) -> bool:
        return True

    def place_of(self, directory: Path) -> str:
        return blake2b(f"{self._disk.boot}:{directory}".encode(), digest_size=8).hexdigest()

    def boot_id(self) -> str:
        return self._disk.boot

    def _inode(self, path: Path) -> Inode:
        try:
            return self._disk.names[path]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path)) from None
