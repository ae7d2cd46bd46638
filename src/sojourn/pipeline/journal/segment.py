"""A segment file as its writer uses it: mapped where that is safe, else written. The writer decides what goes where.

A segment gets its name when it has its header, so a segment without one was damaged.
A mapped file was first filled with real zeros by `write()`, so that a full disk is an exception there and then; a hole
or a cut end would make it a SIGBUS later, which kills the application. So such a file is never sparse and never cut.

See P4 in docs/internals.md.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from .files import File, Files
from .format import END_WORD, SEGMENT_HEADER, WORD, pack_word
from .names import UNFINISHED

_ZEROS: Final = bytes(256 * 1024)


class MappedSegment:
    """A segment mapped into memory: an append is a memory store, which the kernel keeps when the process dies."""

    __slots__ = ("map", "number", "path", "size", "words")
    is_mapped: Final = True

    def __init__(self, files: Files, path: Path, number: int, header: bytes, size: int) -> None:
        self.path, self.number, self.size = path, number, size
        unfinished = path.with_suffix(UNFINISHED)
        file = files.create(unfinished)
        try:
            offset = 0
            while offset < size:
                offset += file.write(_ZEROS[: size - offset], offset)
            file.write(header, 0)
            self.map = file.map(size)
            files.rename(unfinished, path)
        except BaseException:
            files.remove(unfinished)
            raise
        finally:
            file.close()
        self.words = memoryview(self.map).cast("Q")

    def write(self, offset: int, word: int, body: bytes) -> None:
        self.map[offset + WORD : offset + WORD + len(body)] = body
        self.words[offset >> 3] = word

    def holds(self, offset: int, end: int) -> bool:
        """Say whether the frame at `offset` was written (a signal handler may have raised just after it)."""
        return self.words[offset >> 3] != 0

    def cut(self, offset: int) -> None:
        """Do nothing: without its word it is no frame."""

    def finish(self, offset: int) -> None:
        """Mark for readers that no frame follows."""
        if offset + WORD <= self.size:
            self.words[offset >> 3] = END_WORD

    def sync(self) -> None:
        self.map.flush()

    def close(self) -> None:
        self.words.release()
        self.map.close()


class WrittenSegment:
    """A segment that grows by `write()`: each append is a system call, and a full disk an exception."""

    __slots__ = ("_file", "number", "path", "size")
    is_mapped: Final = False

    def __init__(self, files: Files, path: Path, number: int, header: bytes, size: int) -> None:
        self.path, self.number, self.size = path, number, size
        unfinished = path.with_suffix(UNFINISHED)
        self._file: File = files.create(unfinished)
        try:
            if self._file.write(header, 0) != SEGMENT_HEADER:
                raise OSError("no room for the header of a segment")
            files.rename(unfinished, path)
        except BaseException:
            self._file.close()
            files.remove(unfinished)
            raise

    def write(self, offset: int, word: int, body: bytes) -> None:
        frame = pack_word(word) + body
        if self._file.write(frame, offset) != len(frame):
            raise OSError("no room for a frame")

    def holds(self, offset: int, end: int) -> bool:
        """Say whether the frame from `offset` to `end` was written."""
        return self._file.size() >= end

    def cut(self, offset: int) -> None:
        """Remove what was written of a frame that did not fit. Safe, as this file is never mapped."""
        with contextlib.suppress(OSError):
            self._file.cut(offset)

    def finish(self, offset: int) -> None:
        """Mark for readers that no frame follows."""
        if offset + WORD <= self.size and self._file.write(pack_word(END_WORD), offset) != WORD:
            raise OSError("no room for the end of a segment")

    def sync(self) -> None:
        self._file.sync()

    def close(self) -> None:
        self._file.close()


Segment = MappedSegment | WrittenSegment
