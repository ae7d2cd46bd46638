"""Read one segment: its frames, what lies behind damaged bytes, and which bytes are damaged.

Frames are written one behind another, so bytes that are no frame are damaged if a frame follows them. At the end of a
segment it depends on what is there. A process that died while it appended leaves a word of zero, or bytes that stop before
the end of the frame: that is no damage.

See P5 and P28 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final
from zlib import crc32

from .format import (
    FRAME_HEADER,
    MAX_FRAME,
    POSITION_BITS,
    SEGMENT_HEADER,
    SEGMENT_SIZE,
    WORD,
    Gap,
    HeaderFault,
    SegmentHeader,
    decode,
    decode_header,
    find_frame,
    length_of,
    place_of,
)
from .protocol import Damage, Frame

_PEEK: Final = 4096
_READ_AHEAD: Final = 2 * MAX_FRAME
_GLANCE: Final = 64 * 1024
_FIRST_PAUSE_MS: Final = 1_000
_LONGEST_PAUSE_MS: Final = 60_000
_OFFSET: Final = (1 << POSITION_BITS) - 1

Read = Callable[[int, int], bytes]
"""Read so many bytes at an offset: fewer at the end of the file. Raises `OSError`."""


class SegmentReader:
    """Reads one segment from any offset, again and again, while it is written or when it is finished.

    With `now` (a clock in ms) it looks for frames behind the end of a living journal only now and then; else each time.
    """

    def __init__(self, journal: str, number: int, read: Read, now: Callable[[], int] | None = None) -> None:
        self.place: Final = place_of(journal, number)
        self._read = read
        self._now = now
        self._header: SegmentHeader | HeaderFault | None = None
        # Where no frame follows for good, and the damage there. A dead journal's end is examined once, not in every pass.
        self._barren: tuple[int, Damage | None] | None = None
        # The end of a living journal is looked behind at ever longer intervals.
        self._stuck_at = -1
        self._pause_ms = self._look_at = self._seen = 0

    @property
    def header(self) -> SegmentHeader | HeaderFault:
        """Raises `OSError`."""
        if not isinstance(self._header, SegmentHeader):  # it is written once, and damage of it changes nothing
            header = decode_header(self._read(SEGMENT_HEADER, 0))
            is_anothers = isinstance(header, SegmentHeader) and header.journal != self.place.journal
            self._header = HeaderFault.DAMAGED if is_anothers else header
        return self._header

    def frames(self, offset: int, *, is_final: bool) -> Iterator[Frame | Damage | Gap]:
        """Yield the frames from an offset on and the damage between them, then why there is no further one.

        `is_final`: no frame will be added. It must have been so before this call. Raises `OSError`.
        """
        header, offset = self.header, max(SEGMENT_HEADER, offset)
        size = header.size if isinstance(header, SegmentHeader) else SEGMENT_SIZE
        if header is HeaderFault.DAMAGED:
            yield self._damage(0, SEGMENT_HEADER)
        place, length = self.place, _PEEK
        while True:
            gap, data, at = Gap.ENDED, b"", 0
            if size - offset >= FRAME_HEADER:
                data = self._read(length, offset)
                while not isinstance(item := decode(data, at, place, offset), Gap):
                    yield item
                    at = (item.end & _OFFSET) - offset
                gap, offset = item, offset + at
                # Read on, but where the file ends.
                if gap is Gap.SHORT and (len(data) == length or size - offset < FRAME_HEADER):
                    length = _READ_AHEAD
                    continue
            following = self._behind(offset, gap, size, is_final=is_final)
            if isinstance(following, int):
                if following > offset:
                    yield self._damage(offset, following - offset)
                offset = following
                continue
            if following is not None:
                yield following
            yield gap
            return

    def is_at_end(self, offset: int) -> bool:
        """Say whether the writer has left the segment at this offset. Raises `OSError`."""
        items = self.frames(offset, is_final=False)
        return next(item for item in items if not isinstance(item, Damage)) is Gap.ENDED

    def has_begun(self) -> bool:
        """Say whether anything was written behind the header. Raises `OSError`."""
        word = self._read(WORD, SEGMENT_HEADER)
        return any(word) and word != b"\xff" * WORD

    def _behind(self, offset: int, gap: Gap, size: int, *, is_final: bool) -> int | Damage | None:
        """Return where the next frame starts; if none follows, the damage there."""
        if self._barren is not None and self._barren[0] == offset:
            return self._barren[1]
        is_over = is_final or gap is Gap.ENDED
        if not is_over and not self._must_look(offset):
            return None
        following = self._frame_behind(offset, size)
        if following is None and is_over:
            self._barren = offset, self._damage_at_end(offset, gap, size)
            return self._barren[1]
        return following

    def _must_look(self, offset: int) -> bool:
        """Say whether to look for frames behind the end of what a living process has written.

        At once where something new stands close behind it, else now and then: a zeroed page looks like the end.
        """
        if self._now is None:
            return True
        near, now = self._read(_GLANCE, offset), self._now()
        seen = 0 if _is_blank(near) else crc32(near)
        if offset != self._stuck_at:
            self._stuck_at, self._pause_ms, self._look_at = offset, _FIRST_PAUSE_MS, now + _FIRST_PAUSE_MS
        elif now >= self._look_at:
            self._pause_ms = min(2 * self._pause_ms, _LONGEST_PAUSE_MS)
            self._look_at = now + self._pause_ms
        elif seen == self._seen:
            return False
        self._seen = seen
        return bool(seen) or self._pause_ms > _FIRST_PAUSE_MS

    def _frame_behind(self, offset: int, size: int) -> int | None:
        """Return where the next frame starts: this offset if there is one by now, `None` if none follows."""
        place = self.place
        data = self._read(size - offset, offset)
        found_at = find_frame(data, WORD, place, offset)
        # Read again: what was written before that frame, or erased meanwhile, is all there now.
        data = self._read(MAX_FRAME + (found_at or 0), offset)
        if isinstance(decode(data, 0, place, offset), Frame):
            return offset
        if found_at is None:
            return None
        nearer = find_frame(data[:found_at], WORD, place, offset)
        return offset + (found_at if nearer is None else nearer)

    def _damage_at_end(self, offset: int, gap: Gap, size: int) -> Damage | None:
        """Return the damage at the end of a segment that gets no further frame."""
        data, header = self._read(size - offset, offset), self.header
        if gap is Gap.SHORT and isinstance(header, SegmentHeader) and header.is_mapped:
            is_cut = len(data) < size - offset
            return self._damage(offset, size - offset if is_cut else len(data))
        if gap is not Gap.TORN:
            return None
        length = length_of(data, self.place)
        # What was not written to its end stops in zeros. Anything else was changed afterwards.
        if length is not None and _is_blank(data[max(FRAME_HEADER, length - WORD) : length]):
            return None
        return self._damage(offset, len(data.rstrip(b"\0")))

    def _damage(self, offset: int, length: int) -> Damage:
        return Damage(self.place.journal, self.place.number, offset, length)


def _is_blank(data: bytes) -> bool:
    return data == bytes(len(data))
