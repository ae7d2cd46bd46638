"""The reading side on disk: all journals of a directory, of living and dead processes, as one stream of frames.

It only reads until `discard` is called. It uses `pread`, never a map: a file that is cut under a map kills the reader.

A reader may leave a segment whose next frame is missing if the writer's mark says so, or if nothing can ever be added: the
owner is dead, or a later segment has begun. It must know that *before* its last look at that place, or it would pass over a
frame that was written in between.

See P8 and P10 in docs/internals.md.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from sojourn.core.clock import SystemClock

from .files import SYSTEM_FILES, File, Files
from .format import (
    END_WORD,
    FRAME_HEADER,
    MAX_FRAME,
    SEGMENT_HEADER,
    WORD,
    Gap,
    HeaderFault,
    SegmentHeader,
    decode,
    decode_header,
    pack_word,
)
from .names import list_journals, lock_name, segment_name
from .protocol import Frame, Reading

log = logging.getLogger("sojourn")

_PEEK: Final = 4096
_READ_AHEAD: Final = 2 * MAX_FRAME
_MOST_OPEN: Final = 32
_SAME_TICK_NS: Final = 50_000_000
"""A second change this soon may have the same time: file systems count in ticks of some milliseconds."""
_IDLE_WORDS: Final = frozenset({b"", bytes(WORD), pack_word(END_WORD)})


class JournalDirectory:
    """Reads a directory of journals; keeps a few files open between calls, until `close`."""

    def __init__(self, path: Path, *, files: Files = SYSTEM_FILES, now: Callable[[], int] = SystemClock.now) -> None:
        self.path: Final = path
        self._system = files
        self._now = now
        self._boot = files.boot_id()
        self._numbers: dict[str, list[int]] = {}
        self._changed_at: int | None = None
        self._listed_at = 0
        self._headers: dict[str, SegmentHeader] = {}  # of the earliest readable segment seen of each journal
        self._files: dict[tuple[str, int], File] = {}
        self._dead: set[str] = set()
        self._foreign: set[str] = set()
        self._faulty: set[str] = set()
        self._warned: set[str] = set()

    def place(self) -> str:
        """Return a name of this directory that no other one has, on this host or on another. Raises `OSError`."""
        return self._system.place_of(self.path)

    def journals(self) -> frozenset[str]:
        """Return the ids of all journals that can be read; those of another format version are left alone."""
        self._refresh()
        return frozenset(self._numbers.keys() - self._foreign)

    def read(self, positions: Mapping[str, int], *, before: int, limit: int) -> Reading:
        self._refresh()
        ranks = self._rank_boots()
        streams = []
        for tie, (journal, header) in enumerate(self._headers.items()):
            rank = ranks[header.boot]
            horizon = before if header.boot == self._boot else None
            streams.append(self._ranked(rank, tie, self._frames(journal, positions.get(journal, 0)), horizon))
        merged = heapq.merge(*streams)
        frames = [frame for _, _, _, frame in islice(merged, limit)]
        return Reading(frames, more=next(merged, None) is not None)

    def is_alive(self, journal: str) -> bool:
        if journal in self._dead:  # for good: an id is given to one process, once
            return False
        if self._system.is_locked(self.path / lock_name(journal)):
            return True
        self._dead.add(journal)
        return False

    def discard(self, positions: Mapping[str, int]) -> frozenset[str]:
        """Remove what was read. An id without any file counts as gone, too: this may have crashed half-way."""
        dead = {journal for journal in self.journals() | positions.keys() if not self.is_alive(journal)}
        self._refresh()  # afterwards: this shows all there will ever be of a dead journal
        if self._system.is_gone(self.path):
            return frozenset()
        gone = set()
        for journal in positions.keys() | self._numbers.keys():
            if journal in self._foreign:
                continue
            position = positions.get(journal, 0)
            numbers = self._numbers.get(journal, [])
            if journal in dead and next(self._frames(journal, position), None) is None:
                if journal not in self._faulty and self._remove(journal, numbers, with_lock=True):
                    gone.add(journal)
            else:
                self._remove(journal, [number for number in numbers if self._is_read(journal, number, position)])
        return frozenset(gone)

    def close(self) -> None:
        """Close all files; the object may be used again, and then opens them anew."""
        while self._files:
            self._files.popitem()[1].close()

    def _refresh(self) -> None:
        """List the files, unless the directory has not changed since the last listing."""
        self._faulty.clear()
        changed_at = self._system.changed_at(self.path)
        if changed_at is None or changed_at != self._changed_at or self._listed_at - changed_at < _SAME_TICK_NS:
            self._changed_at, self._listed_at = changed_at, self._now() * 1_000_000
            self._list()
        for journal, numbers in self._numbers.items():
            if journal not in self._headers:
                self._find_header(journal, numbers)

    def _list(self) -> None:
        self._numbers = list_journals(self._system, self.path)
        for key in [key for key in self._files if key[1] not in self._numbers.get(key[0], ())]:
            self._files.pop(key).close()  # a removed file takes up room on the disk while it is open
        for journal in self._headers.keys() - self._numbers.keys():
            del self._headers[journal]
        self._dead &= self._numbers.keys()
        self._foreign &= self._numbers.keys()
        self._warned &= self._numbers.keys()

    def _find_header(self, journal: str, numbers: list[int]) -> None:
        try:
            for number in numbers:
                match self._header(journal, number):
                    case SegmentHeader() as header:
                        self._headers[journal] = header
                        return
                    case HeaderFault.UNKNOWN_VERSION | HeaderFault.UNRELEASED as fault:
                        if journal not in self._foreign:
                            self._foreign.add(journal)
                            self._report_foreign(fault)
                        return
                    case HeaderFault.TORN:  # not ready yet, or never to be
                        continue
        except OSError as error:
            self._note_fault(journal, error)

    def _report_foreign(self, fault: HeaderFault) -> None:
        if fault is HeaderFault.UNKNOWN_VERSION:
            log.warning("A journal of another version of Sojourn is left alone in %s", self.path)
        else:
            log.error(
                "A journal in %s was written by a Sojourn from before its first release, and cannot be read by any other;"
                " stop the processes that use the folder, then delete it",
                self.path,
            )

    def _header(self, journal: str, number: int) -> SegmentHeader | HeaderFault:
        header = decode_header(self._pread(journal, number, SEGMENT_HEADER, 0))
        if isinstance(header, SegmentHeader) and header.journal != journal:
            return HeaderFault.TORN
        return header

    def _rank_boots(self) -> dict[str, int]:
        """Order the boots of the machine: by when their journals were made, the present one last."""
        earliest: dict[str, int] = {}
        for header in self._headers.values():
            earliest[header.boot] = min(header.created, earliest.get(header.boot, header.created))
        order = sorted(earliest, key=lambda boot: (boot == self._boot, earliest[boot], boot))
        return {boot: rank for rank, boot in enumerate(order)}

    @staticmethod
    def _ranked(
        rank: int, tie: int, frames: Iterator[Frame], horizon: int | None
    ) -> Iterator[tuple[int, int, int, Frame]]:
        for frame in frames:
            if horizon is not None and frame.mono >= horizon:
                return
            yield rank, frame.mono, tie, frame

    def _frames(self, journal: str, position: int) -> Iterator[Frame]:
        """Yield the frames of one journal from a position on, as far as they are there now."""
        header = self._headers.get(journal)
        if header is None:
            return
        start, offset = divmod(position, header.size)
        numbers = [number for number in self._numbers[journal] if number >= start]
        try:
            for index, number in enumerate(numbers):
                base = number * header.size
                reached = max(SEGMENT_HEADER, offset if number == start else 0)
                is_final = journal in self._dead
                while True:
                    gap = Gap.OPEN
                    for item in self._segment(journal, number, reached, header.size):
                        if isinstance(item, Gap):
                            gap = item
                        else:
                            reached = item.end - base
                            yield item
                    if gap is Gap.ENDED or is_final:
                        break
                    later = numbers[index + 1 :]
                    if not later or not (self._has_begun(journal, later) or not self.is_alive(journal)):
                        return
                    is_final = True  # and look once more
        except OSError as error:
            self._note_fault(journal, error)

    def _note_fault(self, journal: str, error: OSError) -> None:
        """Remember until the next listing: a journal that could not be read must not be removed."""
        self._faulty.add(journal)
        if journal not in self._warned:
            self._warned.add(journal)
            log.warning("A journal in %s cannot be read: %s", self.path, error.strerror or error)

    def _segment(self, journal: str, number: int, offset: int, size: int) -> Iterator[Frame | Gap]:
        """Yield the frames of one segment from an offset on, then why there is no further one."""
        if isinstance(self._header(journal, number), HeaderFault):
            yield Gap.OPEN
            return
        length = _PEEK
        while size - offset >= FRAME_HEADER:
            data = self._pread(journal, number, length, offset)
            at, base = 0, number * size + offset
            while not isinstance(item := decode(data, at, journal=journal, base=base), Gap):
                at = item.end - base
                yield item
            if item is not Gap.SHORT:
                yield item
                return
            if at == 0 and length == _READ_AHEAD:  # the longest possible frame, and still not whole
                yield Gap.TORN
                return
            if at == 0 or size - offset - at >= FRAME_HEADER:
                length = _READ_AHEAD
            offset += at
        yield Gap.ENDED

    def _has_begun(self, journal: str, numbers: list[int]) -> bool:
        return any(self._pread(journal, number, WORD, SEGMENT_HEADER) not in _IDLE_WORDS for number in numbers)

    def _is_read(self, journal: str, number: int, position: int) -> bool:
        """Say whether a segment lies wholly before the position, or was read up to the mark at its end."""
        header = self._headers.get(journal)
        if header is None:
            return False
        reached, offset = divmod(position, header.size)
        if number != reached:
            return number < reached
        if offset < SEGMENT_HEADER:
            return False
        try:
            return next(self._segment(journal, number, offset, header.size)) is Gap.ENDED
        except OSError:
            return False

    def _pread(self, journal: str, number: int, length: int, offset: int) -> bytes:
        key = (journal, number)
        file = self._files.get(key)
        if file is None:
            try:
                file = self._system.open(self.path / segment_name(journal, number))
            except FileNotFoundError:
                return b""  # another recorder has read and removed it
            while len(self._files) >= _MOST_OPEN:
                self._files.pop(next(iter(self._files))).close()
            self._files[key] = file
        return file.read(length, offset)

    def _remove(self, journal: str, numbers: list[int], *, with_lock: bool = False) -> bool:
        """Remove segments, then the lock file. A crash in between leaves a dead, empty journal, which the next call removes."""
        names = [segment_name(journal, number) for number in numbers]
        names += [lock_name(journal)] if with_lock else []
        try:
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    self._system.remove(self.path / name)
        except OSError as error:
            log.warning("A journal that was read cannot be removed from %s: %s", self.path, error.strerror or error)
            return False
        return True
