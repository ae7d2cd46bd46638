"""Decide what a new journal is: files or memory, and whether the files may be mapped.

See P7 in docs/internals.md.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from sojourn.core.clock import SYSTEM_CLOCK, Clock

from .files import SYSTEM_FILES, Files
from .format import SEGMENT_SIZE
from .memory import MemoryJournal
from .writer import TURN_OVER_MS, FileJournal

log = logging.getLogger("sojourn")


def open_journal(
    directory: Path | None,
    *,
    limit: int,
    fsync: bool = False,
    segment_size: int = SEGMENT_SIZE,
    turn_over: int = TURN_OVER_MS,
    files: Files = SYSTEM_FILES,
    clock: Clock = SYSTEM_CLOCK,
) -> FileJournal | MemoryJournal:
    """Open this process's journal: files in `directory` where that is possible, else memory, with one warning.

    `None` asks for memory. With `fsync` every append waits until the disk has it, which survives a loss of power too.
    """
    if directory is None:
        return MemoryJournal(limit=limit, monotonic_ns=clock.monotonic_ns)
    reason: object = "this system has no POSIX file locks"
    if files.has_locks:
        try:
            return open_files(
                directory,
                limit=limit,
                fsync=fsync,
                segment_size=segment_size,
                turn_over=turn_over,
                files=files,
                clock=clock,
            )
        except OSError as error:
            reason = error.strerror or error
    log.warning(
        "The journal is kept in memory, and records that are not yet applied are lost if this process is killed: "
        "the directory %s cannot be used (%s)",
        directory,
        reason,
    )
    return MemoryJournal(limit=limit, monotonic_ns=clock.monotonic_ns)


def open_files(
    directory: Path,
    *,
    limit: int,
    fsync: bool = False,
    segment_size: int = SEGMENT_SIZE,
    turn_over: int = TURN_OVER_MS,
    refused: Mapping[str, int] | None = None,
    files: Files = SYSTEM_FILES,
    clock: Clock = SYSTEM_CLOCK,
) -> FileJournal:
    """Open a journal of files, and make its directory. Raises `OSError`.

    `refused`: what the journal that this one replaces had refused, by kind; this one goes on counting from there.
    """
    files.make_private(directory)
    return FileJournal(
        directory,
        limit=limit,
        fsync=fsync,
        segment_size=segment_size,
        turn_over=turn_over,
        may_map=files.may_map(directory),
        refused=refused,
        files=files,
        monotonic_ns=clock.monotonic_ns,
        now=clock.now,
    )
