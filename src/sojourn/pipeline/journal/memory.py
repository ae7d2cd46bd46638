"""The journal of tests, and of machines without a directory for files. It is lost with its process."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from sojourn.core.threads import Lock

from .format import FRAME_HEADER, MAX_PAYLOAD, SEGMENT_SIZE
from .protocol import Frame, JournalStats, Reading


class MemoryJournal:
    """Both sides of a journal in one object. A position is the number of frames accepted up to there."""

    def __init__(
        self,
        *,
        limit: int = 16 * SEGMENT_SIZE,
        journal: str | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.id = journal or uuid.uuid4().hex
        self.owner_pid = os.getpid()
        self.limit = limit
        self._clock = monotonic_ns
        self._lock = Lock()
        self._frames: dict[int, Frame] = {}  # by position, without gaps
        self._first = 1  # the least position in `_frames`, or the next one
        self._bytes = 0
        self._accepted = 0
        self._refused = 0
        self._refused_by_kind: dict[str, int] = {}
        self._is_closed = False

    def append(self, payload: bytes, *, kind: str, essential: bool, wall: int) -> bool:
        if os.getpid() != self.owner_pid:
            return False
        size = FRAME_HEADER + len(payload)
        with self._lock:
            ceiling = self.limit if essential else self.limit * 4 // 5
            if self._is_closed or len(payload) > MAX_PAYLOAD or self._bytes + size > ceiling:
                self._refused += 1
                self._refused_by_kind[kind] = self._refused_by_kind.get(kind, 0) + 1
                return False
            self._accepted = end = self._accepted + 1
            self._frames[end] = Frame(self.id, end, self._clock(), wall, end, self._refused, payload)
            self._bytes += size
            return True

    def prepare(self) -> None:
        """Do nothing: memory needs no preparation."""

    def close(self) -> None:
        if os.getpid() != self.owner_pid:
            return
        with self._lock:
            self._is_closed = True

    def stats(self) -> JournalStats:
        with self._lock:
            return JournalStats(
                id=self.id,
                medium="memory",
                path=None,
                accepted=self._accepted,
                refused=self._refused,
                refused_by_kind=dict(self._refused_by_kind),
                bytes_used=self._bytes,
                limit=self.limit,
            )

    def journals(self) -> frozenset[str]:
        with self._lock:
            return frozenset() if self._is_closed and not self._frames else frozenset({self.id})

    def read(self, positions: Mapping[str, int], *, before: int, limit: int) -> Reading:
        with self._lock:
            unread = self._unread(positions)
            frames = [frame for frame in islice(unread, limit + 1) if frame.mono < before]
        return Reading(frames[:limit], more=len(frames) > limit)

    def is_alive(self, journal: str) -> bool:
        return journal == self.id and not self._is_closed

    def set_aside(self) -> None:
        """Do nothing: there are no files."""

    def erase(self, frames: Sequence[Frame]) -> None:
        """Do nothing: they are dropped when they were read."""

    def expire(self, older_than: int) -> None:
        """Do nothing: there are no files."""

    def discard(self, positions: Mapping[str, int]) -> frozenset[str]:
        with self._lock:
            position = positions.get(self.id, 0)
            while self._first <= position and (frame := self._frames.pop(self._first, None)) is not None:
                self._bytes -= FRAME_HEADER + len(frame.payload)
                self._first += 1
            is_gone = self._is_closed and not self._frames
        return frozenset({self.id}) if is_gone else frozenset()

    def _unread(self, positions: Mapping[str, int]) -> Iterator[Frame]:
        end = max(positions.get(self.id, 0) + 1, self._first)
        while (frame := self._frames.get(end)) is not None:
            yield frame
            end += 1
