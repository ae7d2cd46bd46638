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
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from sojourn.core.clock import SystemClock
from sojourn.core.threads import RLock

from .damaged import DamagedSegments
from .erasing import erase_frames
from .files import SYSTEM_FILES, File, Files
from .format import POSITION_BITS, Gap, HeaderFault, SegmentHeader
from .names import damaged_name, list_journals, list_unfinished, lock_name, segment_name
from .protocol import Damage, Frame, Reading
from .scanning import SegmentReader

log = logging.getLogger("sojourn")

_OFFSET: Final = (1 << POSITION_BITS) - 1
_MOST_OPEN: Final = 32
_ALIVE_FOR_MS: Final = 1_000
_SAME_TICK_NS: Final = 50_000_000
"""A second change this soon may have the same time: file systems count in ticks of some milliseconds."""


class JournalDirectory:
    """Reads a directory of journals; keeps a few files open between calls, until `close`."""

    def __init__(self, path: Path, *, files: Files = SYSTEM_FILES, now: Callable[[], int] = SystemClock.now) -> None:
        self.path: Final = path
        self._lock = RLock()  # a lease is asked for beside the recorder, and both look at the journals
        self._system = files
        self._now = now
        self._boot = files.boot_id()
        self._numbers: dict[str, list[int]] = {}
        self._changed_at: int | None = None
        self._listed_at = 0
        self._headers: dict[str, SegmentHeader] = {}  # of the earliest segment seen of each journal
        self._segments: dict[tuple[str, int], SegmentReader] = {}
        self._files: dict[tuple[str, int], File] = {}
        self._damaged = DamagedSegments(files, path)
        self._dead: set[str] = set()
        self._alive_at: dict[str, int] = {}
        self._foreign: set[str] = set()
        self._faulty: set[str] = set()
        self._warned: set[str] = set()

    def place(self) -> str:
        """Return a name of this directory that no other one has, on this host or on another. Raises `OSError`."""
        return self._system.place_of(self.path)

    def journals(self) -> frozenset[str]:
        """Return the ids of all journals that can be read; those of another format version are left alone."""
        with self._lock:
            self._refresh()
            return frozenset(self._numbers.keys() - self._foreign)

    def unreadable(self) -> frozenset[str]:
        """Return the ids of the journals of another format version, which are left alone."""
        with self._lock:
            self._refresh()
            return frozenset(self._foreign)

    def read(self, positions: Mapping[str, int], *, before: int, limit: int) -> Reading:
        with self._lock:
            self._refresh()
            ranks = self._rank_boots()
            streams = []
            for tie, (journal, header) in enumerate(self._headers.items()):
                rank = ranks[header.boot]
                horizon = before if header.boot == self._boot else None
                streams.append(self._ranked(rank, tie, self._frames(journal, positions.get(journal, 0)), horizon))
            merged = heapq.merge(*streams)
            frames = [frame for _, _, _, frame in islice(merged, limit)]
            more = next(merged, None) is not None
            return Reading(frames, more=more, damaged=self._damaged.ranges())

    def set_aside(self) -> None:
        with self._lock:
            self._damaged.keep()

    def erase(self, frames: Sequence[Frame]) -> None:
        try:
            erase_frames(self._system, self.path, frames)
        except OSError as error:
            log.warning("Records cannot be erased from a journal in %s: %s", self.path, error.strerror or error)

    def expire(self, older_than: int) -> None:
        with self._lock:
            try:
                self._damaged.expire(older_than)
            except OSError as error:
                log.warning("A damaged segment cannot be removed from %s: %s", self.path, error.strerror or error)

    def is_alive(self, journal: str) -> bool:
        with self._lock:
            if journal in self._dead:  # for good: an id is given to one process, once
                return False
            if self._system.is_locked(self.path / lock_name(journal)):
                return True
            self._dead.add(journal)
            return False

    def discard(self, positions: Mapping[str, int]) -> frozenset[str]:
        """Remove what was read. An id without any file counts as gone, too: this may have crashed half-way."""
        with self._lock:
            self.set_aside()
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
                    self.set_aside()
                    if journal not in self._faulty and self._remove(journal, numbers, with_lock=True):
                        gone.add(journal)
                else:
                    self._remove(journal, [number for number in numbers if self._is_read(journal, number, position)])
            return frozenset(gone)

    def close(self) -> None:
        """Close all files; the object may be used again, and then opens them anew."""
        with self._lock:
            while self._files:
                self._files.popitem()[1].close()

    def _refresh(self) -> None:
        """List the files, unless the directory has not changed since the last listing."""
        self._faulty.clear()
        changed_at = self._system.changed_at(self.path)
        if changed_at is None or changed_at != self._changed_at or self._listed_at - changed_at < _SAME_TICK_NS:
            listed_at = self._now() * 1_000_000
            self._list()  # may raise, and then it is still to be done
            self._changed_at, self._listed_at = changed_at, listed_at
        for journal, numbers in self._numbers.items():
            if journal not in self._headers:
                self._find_header(journal, numbers)

    def _list(self) -> None:
        self._numbers = list_journals(self._system, self.path)
        for key in [key for key in self._files if key[1] not in self._numbers.get(key[0], ())]:
            self._files.pop(key).close()  # a removed file takes up room on the disk while it is open
        for key in [key for key in self._segments if key[1] not in self._numbers.get(key[0], ())]:
            del self._segments[key]
            self._damaged.forget(*key)
        for journal in self._headers.keys() - self._numbers.keys():
            del self._headers[journal]
        self._dead &= self._numbers.keys()
        self._alive_at = {journal: at for journal, at in self._alive_at.items() if journal in self._numbers}
        self._foreign &= self._numbers.keys()
        self._warned &= self._numbers.keys()

    def _find_header(self, journal: str, numbers: list[int]) -> None:
        try:
            for number in numbers:
                header = self._segment(journal, number).header
                if isinstance(header, SegmentHeader):
                    self._headers[journal] = header
                    return
                if header is not HeaderFault.DAMAGED:
                    if journal not in self._foreign:
                        self._foreign.add(journal)
                        self._report_foreign(header)
                    return
            if numbers:
                # Its clock is that of this boot if its process is alive. If it is dead, nothing in it is newer than a pass.
                boot = self._boot if self.is_alive(journal) else ""
                self._headers[journal] = SegmentHeader(journal=journal, boot=boot, created=0, size=0)
        except FileNotFoundError:
            return  # removed meanwhile
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
        start, offset = position >> POSITION_BITS, position & _OFFSET
        numbers = [number for number in self._numbers[journal] if number >= start]
        try:
            for index, number in enumerate(numbers):
                reached = offset if number == start else 0
                is_final = journal in self._dead
                while True:
                    gap = Gap.OPEN
                    for item in self._items(journal, number, reached, is_final=is_final):
                        if isinstance(item, Frame):
                            reached = item.end & _OFFSET
                            yield item
                        elif isinstance(item, Damage):
                            self._damaged.note(item)
                        else:
                            gap = item
                    if gap is Gap.ENDED or is_final:
                        break
                    later = numbers[index + 1 :]
                    if not self._has_begun(journal, later) and self._was_alive(journal):
                        return
                    is_final = True  # and look once more
        except OSError as error:
            self._note_fault(journal, error)

    def _items(self, journal: str, number: int, offset: int, *, is_final: bool) -> Iterator[Frame | Damage | Gap]:
        try:
            yield from self._segment(journal, number).frames(offset, is_final=is_final)
        except FileNotFoundError:  # another recorder has read and removed it
            yield Gap.ENDED

    def _was_alive(self, journal: str) -> bool:
        """Say whether the owner was alive a second ago: who is idle is not asked for in every pass."""
        now = self._now()
        if abs(now - self._alive_at.get(journal, 0)) < _ALIVE_FOR_MS:
            return True
        self._alive_at[journal] = now
        return self.is_alive(journal)

    def _note_fault(self, journal: str, error: OSError) -> None:
        """Remember until the next listing: a journal that could not be read must not be removed."""
        self._faulty.add(journal)
        if journal not in self._warned:
            self._warned.add(journal)
            log.warning("A journal in %s cannot be read: %s", self.path, error.strerror or error)

    def _segment(self, journal: str, number: int) -> SegmentReader:
        segment = self._segments.get((journal, number))
        if segment is None:
            read = partial(self._pread, journal, number)
            segment = self._segments[journal, number] = SegmentReader(journal, number, read, self._now)
        return segment

    def _has_begun(self, journal: str, numbers: list[int]) -> bool:
        try:
            return any(self._segment(journal, number).has_begun() for number in numbers)
        except FileNotFoundError:
            return True  # and was read and removed since

    def _is_read(self, journal: str, number: int, position: int) -> bool:
        """Say whether a segment lies wholly before the position, or was read up to the mark at its end."""
        reached, offset = position >> POSITION_BITS, position & _OFFSET
        if number != reached or not offset:
            return number < reached
        try:
            return self._segment(journal, number).is_at_end(offset)
        except OSError:
            return False

    def _pread(self, journal: str, number: int, length: int, offset: int) -> bytes:
        key = (journal, number)
        file = self._files.get(key)
        if file is None:
            file = self._system.open(self.path / segment_name(journal, number))
            while len(self._files) >= _MOST_OPEN:
                self._files.pop(next(iter(self._files))).close()
            self._files[key] = file
        return file.read(length, offset)

    def _remove(self, journal: str, numbers: list[int], *, with_lock: bool = False) -> bool:
        """Remove segments, then the lock file. A crash in between leaves a dead, empty journal, which the next call removes."""
        try:
            for number in filter(partial(self._damaged.must_rename, journal), numbers):
                with contextlib.suppress(FileNotFoundError):
                    name = segment_name(journal, number)
                    self._system.rename(self.path / name, self.path / damaged_name(journal, number))
            names = [segment_name(journal, number) for number in numbers]
            if with_lock:
                names += [*list_unfinished(self._system, self.path, journal), lock_name(journal)]
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    self._system.remove(self.path / name)
        except OSError as error:
            log.warning("A journal that was read cannot be removed from %s: %s", self.path, error.strerror or error)
            return False
        return True
