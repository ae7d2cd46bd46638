"""The file that the processes of a host map together: made whole by one of them, replaced where its form is another.

It goes through the journal's `Files`, so a simulation of a host has it too.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
from pathlib import Path
from typing import Final
from uuid import uuid4

from .journal import Files

log = logging.getLogger("sojourn")

_ZEROS: Final = bytes(256 * 1024)
_TRIES: Final = 3


def map_shared(files: Files, path: Path, header: bytes, size: int, *, what: str) -> mmap.mmap | None:
    """Map the file as `open_shared` does; `None` where its folder allows none, and logged where that fails.

    `what`: what workers do not see of each other then.
    """
    try:
        files.make_private(path.parent)
        return open_shared(files, path, header, size) if files.may_map(path.parent) else None
    except OSError as error:
        log.warning("Workers of this host do not see each other's %s: %s", what, error.strerror or error)
        return None


def open_shared(files: Files, path: Path, header: bytes, size: int) -> mmap.mmap:
    """Map the file, whose first bytes are `header`; make it if there is none. Raises `OSError`.

    Several processes may open it at once: one of them makes it. A file of another size or form is replaced.
    """
    for _ in range(_TRIES):
        mapped = _map(files, path, header, size)
        if mapped is not None:
            return mapped
        _make(files, path, header, size)
    raise OSError(f"{path.name} cannot be made: other processes keep replacing it")


def _map(files: Files, path: Path, header: bytes, size: int) -> mmap.mmap | None:
    try:
        file = files.open_to_change(path)
    except FileNotFoundError:
        return None
    try:
        if file.size() == size and file.read(len(header), 0) == header:
            return file.map(size)
    finally:
        file.close()
    files.remove(path)
    return None


def _make(files: Files, path: Path, header: bytes, size: int) -> None:
    """Make the file whole under a name of its own, then give it its name if no other process was quicker.

    Filled with real zeros: storing into a hole of a full disk would kill the process.
    """
    draft = path.with_name(f"{path.name}.{uuid4().hex}")
    file = files.create(draft)
    try:
        written = 0
        while written < size:
            written += file.write(_ZEROS[: size - written], written)
        file.write(header, 0)
        with contextlib.suppress(FileExistsError):
            files.link(draft, path)
    finally:
        file.close()
        files.remove(draft)
