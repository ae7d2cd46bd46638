"""Decide what a new journal is: files or memory, and whether the files may be mapped.

See P7 in docs/internals.md.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from . import locks
from .filesystem import make_private, may_map
from .format import SEGMENT_SIZE
from .memory import MemoryJournal
from .writer import FileJournal

log = logging.getLogger("sojourn")


def open_journal(
    directory: Path | None, *, limit: int, fsync: bool = False, segment_size: int = SEGMENT_SIZE
) -> FileJournal | MemoryJournal:
    """Open this process's journal: files in `directory` where that can be, else memory, with one warning.

    `None` asks for memory. With `fsync` every append waits until the disk has it, which survives a loss of power too.
    """
    if directory is None:
        return MemoryJournal(limit=limit)
    reason: object = "this system has no POSIX file locks"
    if locks.is_supported:
        try:
            return open_files(directory, limit=limit, fsync=fsync, segment_size=segment_size)
        except OSError as error:
            reason = error.strerror or error
    log.warning(
        "The journal is kept in memory, and what is not yet recorded is lost if this process is killed: "
        "the directory %s cannot be used (%s)",
        directory,
        reason,
    )
    return MemoryJournal(limit=limit)


def open_files(
    directory: Path,
    *,
    limit: int,
    fsync: bool = False,
    segment_size: int = SEGMENT_SIZE,
    refused: Mapping[str, int] | None = None,
) -> FileJournal:
    """Open a journal of files, and make its directory; raises `OSError` where that cannot be.

    `refused`: what the journal refused that this one takes the place of, by kind, so that it is told all the same.
    """
    make_private(directory)
    return FileJournal(
        directory, limit=limit, fsync=fsync, segment_size=segment_size, may_map=may_map(directory), refused=refused
    )
