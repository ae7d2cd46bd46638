"""The writing side on disk: one append per request, in about a microsecond, on the thread of the request.

The request path only stores into a map. `prepare` makes segments (4 MiB of zeros) in the background. If that came too late,
or maps are not possible here, an append is a `write()`.

See P1, P4 and P7 in docs/internals.md.
"""

from __future__ import annotations

import logging
import mmap
import struct
import time
import uuid
from collections.abc import Callable, Mapping
from os import getpid
from pathlib import Path
from typing import Final
from zlib import crc32

from sojourn.core.clock import SystemClock
from sojourn.core.threads import Lock

from .files import SYSTEM_FILES, Files
from .format import (
    FRAME_HEADER,
    MAX_PAYLOAD,
    SEGMENT_HEADER,
    SEGMENT_SIZE,
    WORD,
    SegmentHeader,
    aligned,
    encode_header,
    frame_word,
    pack_body,
    place_of,
)
from .names import lock_name, segment_name
from .protocol import JournalStats
from .segment import MappedSegment, Segment, WrittenSegment

log = logging.getLogger("sojourn")

PAUSE_NS: Final = 1_000_000_000
"""How long the disk is left alone after an error: a full disk must not cost every request a system call."""

TURN_OVER_MS: Final = 6 * 3_600_000
"""How long a segment gets frames. The recorder removes only whole segments, so for about as long its oldest frame stays."""

_LEAST_SEGMENTS: Final = 4
"""With fewer under the limit, a single half-read segment could take all of it."""


class FileJournal:
    """The journal of one process. In a forked child every append is refused, and nothing is touched."""

    _map: mmap.mmap  # these are set and used only while there is a segment; the first two if it is mapped
    _words: memoryview
    _key: int

    def __init__(
        self,
        directory: Path,
        *,
        limit: int,
        may_map: bool,
        fsync: bool = False,
        segment_size: int = SEGMENT_SIZE,
        turn_over: int = TURN_OVER_MS,
        refused: Mapping[str, int] | None = None,
        files: Files = SYSTEM_FILES,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        now: Callable[[], int] = SystemClock.now,
    ) -> None:
        self.id: Final = uuid.uuid4().hex
        self.owner_pid: Final = getpid()
        self._directory = directory
        self._limit = limit
        self._soft_limit = limit * 4 // 5
        self._size = min(segment_size, limit // _LEAST_SEGMENTS) & -8
        self._turn_over = turn_over
        self._may_map = may_map
        self._fsync = fsync
        self._files = files
        self._clock = monotonic_ns
        self._now = now
        self._boot = files.boot_id()

        self._lock = Lock()
        self._preparing = Lock()
        self._accepted = 0
        self._refused_by_kind = dict(refused or {})  # by the journal that this one takes the place of
        self._refused = sum(self._refused_by_kind.values())
        self._is_shut = False
        self.is_wiped = False
        """The files were removed from outside: appends are refused from here on, and another journal is needed."""
        self._complaints: dict[str, str] = {}
        self._unsaid: list[str] = []

        self._segment: Segment | None = None
        self._offset = 0
        self._began_at = 0
        # Up to where the fast path may write in the mapped segment; 0 sends every append the long way.
        self._essential_end = 0
        self._other_end = 0
        self._spare: MappedSegment | None = None
        self._latest = -1  # number of the latest segment that got a frame
        self._next = 0  # number of the next file to be made
        self._finished: dict[int, int] = {}  # our earlier segments that are still on disk, and their bytes
        self._finished_bytes = 0
        self._write_again_at = 0
        self._fill_again_at = 0
        self._owner_lock = files.lock(directory / lock_name(self.id))

    def append(self, payload: bytes, *, kind: str, essential: bool, wall: int) -> bool:
        if getpid() != self.owner_pid:
            return False  # before the lock: its holder may be a thread that the fork did not copy
        with self._lock:
            try:
                offset = self._offset
                end = offset + FRAME_HEADER + len(payload)
                if end <= (self._essential_end if essential else self._other_end) and len(payload) <= MAX_PAYLOAD:
                    accepted = self._accepted + 1
                    body = pack_body(self._clock(), wall, accepted, self._refused) + payload
                    word = (crc32(body, offset) << 32 | (end - offset)) ^ self._key
                    # No call from here on: the interpreter runs signal handlers after calls, and one that raises must
                    # find either no frame or a counted one.
                    self._map[offset + WORD : end] = body
                    self._words[offset >> 3] = word
                    self._offset = (end + 7) & -8
                    self._accepted = accepted
                    return True
                return self._append_slowly(payload, kind, essential=essential, wall=wall)
            except (struct.error, TypeError, ValueError, MemoryError) as error:
                self._complain("append", error)
                return self._refuse(kind)

    def prepare(self) -> None:
        """Note which segments the recorder has removed, and keep a spare one ready. For a background thread."""
        if getpid() != self.owner_pid or self._is_shut or not self._preparing.acquire(blocking=False):
            return
        try:
            self._count_bytes()
            if self._may_map:
                self._fill_spare()
            self._leave_old_segment()
        finally:
            self._preparing.release()
        self._say()

    def close(self) -> None:
        if getpid() != self.owner_pid:
            return
        with self._lock:
            self._is_shut = True
            segment, self._segment = self._segment, None
            spare, self._spare = self._spare, None
            self._finished_bytes += self._offset
            self._offset = self._essential_end = self._other_end = 0
            if segment is not None:
                segment.close()
            if spare is not None:
                self._abandon(spare)
            self._owner_lock.release()
        self._say()

    def stats(self) -> JournalStats:
        return JournalStats(
            id=self.id,
            medium="mapped" if self._may_map else "written",
            path=str(self._directory),
            accepted=self._accepted,
            refused=self._refused,
            refused_by_kind=dict(self._refused_by_kind),
            bytes_used=self._finished_bytes + self._offset,
            limit=self._limit,
        )

    # Below, down to _count_bytes, the lock is held.

    def _append_slowly(self, payload: bytes, kind: str, *, essential: bool, wall: int) -> bool:
        length = FRAME_HEADER + len(payload)
        if self._is_shut or len(payload) > MAX_PAYLOAD or SEGMENT_HEADER + length > self._size:
            return self._refuse(kind)
        try:
            segment = self._room_for(length, essential=essential)
            if segment is None:
                return self._refuse(kind)
            self._store(segment, payload, wall)
        except OSError as error:
            self._write_again_at = self._clock() + PAUSE_NS
            self._complain("append", error)
            return self._refuse(kind)
        if self._fsync:
            try:
                segment.sync()
            except OSError as error:  # the record stands, and survives the process if not the machine
                self._complain("fsync", error)
        return True

    def _room_for(self, length: int, *, essential: bool) -> Segment | None:
        """Return the segment that takes the next frame, a new one if need be; None when there is no room."""
        ceiling = self._limit if essential else self._soft_limit
        segment = self._segment
        may_write = self._clock() >= self._write_again_at
        if segment is not None and not segment.is_mapped:
            if not may_write:
                return None
            if self._spare is not None:  # back to the fast medium as soon as there is one
                self._finish(segment)
                segment = None
        if segment is not None and self._offset + length > segment.size:
            self._finish(segment)
            segment = None
        if segment is None:
            if self._finished_bytes + SEGMENT_HEADER + length > ceiling:
                return None
            # A segment that was written for want of a spare is cut short when there is one. What it left of the limit is
            # less than a whole segment, and is given to one more that is written.
            if self._finished_bytes + self._size > self._limit and not self._may_map:
                return None
            if self._spare is not None:
                segment, self._spare = self._spare, None
            elif may_write:
                segment = self._make_segment()
            else:
                return None
            self._segment, self._offset, self._latest = segment, SEGMENT_HEADER, segment.number
            self._key, self._began_at = place_of(self.id, segment.number).key, self._now()
            if isinstance(segment, MappedSegment):
                self._map, self._words = segment.map, segment.words
            self._set_ends()
        return segment if self._finished_bytes + self._offset + length <= ceiling else None

    def _make_segment(self) -> Segment:
        number, self._next = self._next, self._next + 1
        if number == 0 and self._may_map:  # not prepared: a pause of a millisecond or two, once in this process
            return self._make_mapped(number)
        path = self._directory / segment_name(self.id, number)
        segment = WrittenSegment(self._files, path, number, self._header(is_mapped=False), self._size)
        self._sync_directory()
        return segment

    def _store(self, segment: Segment, payload: bytes, wall: int) -> None:
        accepted, offset = self._accepted + 1, self._offset
        body = pack_body(self._clock(), wall, accepted, self._refused) + payload
        end = offset + WORD + len(body)
        try:
            segment.write(offset, frame_word(body, offset, self._key), body)
        except BaseException:
            if segment.holds(offset, end):  # a signal handler raised after the write: the frame is there, so it counts
                self._offset, self._accepted = aligned(end), accepted
            else:
                segment.cut(offset)
            raise
        self._offset, self._accepted = aligned(end), accepted

    def _finish(self, segment: Segment) -> None:
        segment.finish(self._offset)
        self._segment = None
        end = segment.size if segment.is_mapped else self._offset + WORD
        self._finished[segment.number] = min(end, segment.size)
        self._finished_bytes = sum(self._finished.values())
        self._offset = 0
        self._set_ends()
        segment.close()

    def _set_ends(self) -> None:
        if self._segment is None or not self._segment.is_mapped or self._fsync:
            self._essential_end = self._other_end = 0
        else:
            self._essential_end = self._size
            self._other_end = min(self._size, self._soft_limit - self._finished_bytes)

    def _refuse(self, kind: str) -> bool:
        self._refused += 1
        self._refused_by_kind[kind] = self._refused_by_kind.get(kind, 0) + 1
        return False

    # Below, the lock is taken for moments only, never while the disk is at work.

    def _count_bytes(self) -> None:
        is_gone, directory = self._files.is_gone, self._directory
        is_wiped = is_gone(self._owner_lock.path)
        gone = [number for number in list(self._finished) if is_gone(directory / segment_name(self.id, number))]
        with self._lock:
            for number in gone:
                del self._finished[number]
            if gone and not self._is_shut:
                self._finished_bytes = sum(self._finished.values())
                self._set_ends()
            if is_wiped and not self._is_shut:
                # No reader would see what goes into these maps now. A refusal is counted.
                self._is_shut = self.is_wiped = True
                self._essential_end = self._other_end = 0
                self._complain(
                    "find its files, which were removed with the records that were not yet read; a new journal is opened",
                    FileNotFoundError(2, "gone"),
                )

    def _leave_old_segment(self) -> None:
        """Let the recorder remove what it has read. Not while it is behind: each segment takes up room."""
        with self._lock:
            segment = self._segment
            if segment is None or self._is_shut or self._finished or self._offset == SEGMENT_HEADER:
                return
            if self._now() - self._began_at < self._turn_over or self._clock() < self._write_again_at:
                return
            try:
                self._finish(segment)
            except OSError as error:
                self._write_again_at = self._clock() + PAUSE_NS
                self._complain("leave a segment", error)

    def _fill_spare(self) -> None:
        with self._lock:
            on_disk = self._finished_bytes + (0 if self._segment is None else self._size)
            if self._is_shut or self._spare is not None or on_disk + self._size > self._limit:
                return
            if self._clock() < self._fill_again_at:
                return
            number, self._next = self._next, self._next + 1
        try:
            spare = self._make_mapped(number)
        except OSError as error:
            self._fill_again_at = self._clock() + PAUSE_NS
            self._complain("make a segment", error)
            return
        with self._lock:
            # Segments are read in order of their numbers: one that was overtaken meanwhile is of no use.
            if self._is_shut or number < self._latest:
                self._abandon(spare)
            else:
                self._spare = spare

    def _make_mapped(self, number: int) -> MappedSegment:
        path = self._directory / segment_name(self.id, number)
        segment = MappedSegment(self._files, path, number, self._header(is_mapped=True), self._size)
        self._sync_directory()
        return segment

    def _abandon(self, spare: MappedSegment) -> None:
        spare.finish(SEGMENT_HEADER)  # if the file stays for any reason, no reader waits at it
        spare.close()
        try:
            self._files.remove(spare.path)
        except OSError as error:
            self._complain("remove a spare segment", error)

    def _header(self, *, is_mapped: bool) -> bytes:
        header = SegmentHeader(
            journal=self.id, boot=self._boot, created=self._now(), size=self._size, is_mapped=is_mapped
        )
        return encode_header(header)

    def _sync_directory(self) -> None:
        if not self._fsync:
            return
        try:
            self._files.sync_directory(self._directory)
        except OSError as error:
            self._complain("fsync", error)

    def _complain(self, what: str, error: Exception) -> None:
        """Keep a warning, one per cause, to be logged later: under the lock a log handler that appends would deadlock."""
        if what not in self._complaints:
            reason = (error.strerror or str(error)) if isinstance(error, OSError) else type(error).__name__
            self._complaints[what] = reason
            self._unsaid.append(what)

    def _say(self) -> None:
        while self._unsaid:
            what = self._unsaid.pop()
            log.warning(
                "The journal could not %s: %s (said once; refused records are counted)", what, self._complaints[what]
            )
