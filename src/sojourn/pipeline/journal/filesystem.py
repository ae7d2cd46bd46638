"""Facts of the machine about a journal's directory: who may write to it, its file system, its place, and the boot.

See P4 and P6 in docs/internals.md.
"""

from __future__ import annotations

import os
import platform
import re
import time
import uuid
from hashlib import blake2b
from pathlib import Path
from typing import Final

from sojourn.core.shared_places import others_may_write

MAPPABLE: Final = frozenset({"ext4", "xfs", "tmpfs", "overlay"})
"""File systems on which bytes that were written once can be stored again through a map without a fault. Network and
copy-on-write ones may run out of room at that moment, which kills the process."""

_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


def names(directory: Path) -> list[str]:
    """List the names in the directory; none if it does not exist."""
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def changed_at(directory: Path) -> int | None:
    """Return when a name was last added or removed (ns), by the file system's clock; `None` if that cannot be seen."""
    try:
        return os.stat(directory).st_mtime_ns
    except OSError:
        return None


def sync_directory(directory: Path) -> None:
    """Wait until the disk has the names in the directory."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def is_gone(path: Path) -> bool:
    """Say whether the file was removed. Any other error counts as no."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def make_private(directory: Path) -> None:
    """Make the directory for this user alone, or take one that no other user can write to. Raises `OSError` otherwise.

    A directory that exists keeps its mode: it may hold more than journals, or be the machine's temporary one.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if others_may_write(os.stat(directory)):
        msg = "other users may write to it; name a directory inside it"
        raise PermissionError(msg)


def may_map(directory: Path) -> bool:
    """Say whether files in this directory may be written through a map."""
    try:
        # Bytes: a mount point may have any name, and the table must be readable all the same.
        mounts = Path("/proc/self/mounts").read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return False
    return filesystem_of(os.path.realpath(directory), mounts) in MAPPABLE


def filesystem_of(path: str, mounts: str) -> str | None:
    """Return the type of the file system that holds an absolute path, as a mount table in `/proc` format has it."""
    best, kind = -1, None
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[1]).rstrip("/")
        # Of two mounts on one point the later one covers the other.
        if len(point) >= best and (path == point or path.startswith(f"{point}/")):
            best, kind = len(point), fields[2]
    return kind


def place_of(directory: Path) -> str:
    """Return 16 hex digits that name a directory among those of all hosts. Processes that agree on it share its locks.

    Containers that mount one volume see one inode under one kernel, and share their file locks there. Two hosts with
    directories of the same path or inode differ in their boots.
    """
    status = os.stat(directory)
    machine = _kernel_boot_id() or platform.node()
    return blake2b(f"{machine}:{status.st_dev}:{status.st_ino}".encode(), digest_size=8).hexdigest()


def _kernel_boot_id() -> str | None:
    try:
        return uuid.UUID(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()).hex
    except (OSError, ValueError):
        return None


def boot_id() -> str:
    """Return 32 hex digits that name this boot of the machine. Monotonic clocks compare within a boot only."""
    # Without the kernel's id: to the minute. Two readings may differ at its edge; then frames of this boot are merely taken
    # for older ones. One name for two boots would hide frames until the clock has caught up.
    return _kernel_boot_id() or f"{int((time.time() - time.monotonic()) // 60):032x}"
