"""Overwrite records in the journals' files: those of a person, and what cannot be read and so may be of any person.

A frame becomes an erased one by a single store into its word, and its payload is overwritten after that. So a reader finds
a whole frame at that place at any moment, and its position, times and counts stay. The owner only appends, so this needs
no lock of it.

See P31 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from .files import File, Files
from .format import (
    ERASED,
    FRAME_HEADER,
    POSITION_BITS,
    SEGMENT_HEADER,
    WORD,
    Gap,
    Place,
    aligned,
    erased_word,
    pack_word,
    place_of,
)
from .names import damaged_name, list_damaged, list_journals, lock_name, segment_name
from .protocol import Damage, Frame
from .scanning import SegmentReader

MustGo = Callable[[Sequence[Frame]], Sequence[Frame]]
"""Of these frames, those to erase."""

_AT_ONCE: Final = 500
_CLEARED: Final = b"\xee"
"""What stands in a damaged range afterwards. Zeros could be taken for the end of a segment."""


class JournalEraser:
    """Erases in all files of a directory: segments of living and dead processes, and those that were set aside."""

    def __init__(self, files: Files, directory: Path, must_go: MustGo) -> None:
        self._files = files
        self._directory = directory
        self._must_go = must_go

    def erase(self) -> int:
        """Erase, and return how many frames. What other processes append meanwhile is left. Raises `OSError`."""
        erased, segments = 0, list_journals(self._files, self._directory)
        for journal, numbers in segments.items():
            is_final = not self._files.is_locked(self._directory / lock_name(journal))  # before its segments are read
            for number in numbers:
                erased += self._erase_in(segment_name(journal, number), journal, number, is_final=is_final)
        for journal, number in list_damaged(self._files, self._directory):
            if number not in segments.get(journal, ()):  # else it is the same file
                erased += self._erase_in(damaged_name(journal, number), journal, number, is_final=True)
        return erased

    def _erase_in(self, name: str, journal: str, number: int, *, is_final: bool) -> int:
        try:
            file = self._files.open_to_change(self._directory / name)
        except FileNotFoundError:
            return 0  # read and removed meanwhile
        try:
            segment, erased = SegmentReader(journal, number, file.read), 0
            frames = self._frames(file, segment, is_final=is_final)
            while batch := list(islice(frames, _AT_ONCE)):
                for frame in self._must_go(batch):
                    erase_frame(file, segment.place, frame)
                    erased += 1
            file.sync()
            return erased
        finally:
            file.close()

    @staticmethod
    def _frames(file: File, segment: SegmentReader, *, is_final: bool) -> Iterator[Frame]:
        """Yield the frames that are not erased yet, and clear what cannot be read."""
        end = SEGMENT_HEADER
        for item in segment.frames(0, is_final=is_final):
            if isinstance(item, Frame):
                end = item.end & ((1 << POSITION_BITS) - 1)
                if item.payload != ERASED:
                    yield item
            elif isinstance(item, Damage):
                if item.offset >= SEGMENT_HEADER:
                    length = min(item.length, max(0, file.size() - item.offset))
                    file.write(_CLEARED * length, item.offset)
                    end = max(end, item.offset + length)
            elif is_final and item is not Gap.ENDED:  # half a frame, which a killed process left
                file.write(bytes(max(0, file.size() - end)), end)


def erase_frame(file: File, place: Place, frame: Frame) -> None:
    """Erase a frame that was read from this segment. Raises `OSError`."""
    length = FRAME_HEADER + len(frame.payload)
    start = (frame.end & ((1 << POSITION_BITS) - 1)) - aligned(length)
    fixed = file.read(FRAME_HEADER - WORD, start + WORD)
    file.write(pack_word(erased_word(length, fixed, start, place.key)), start)
    file.write(bytes(len(frame.payload)), start + FRAME_HEADER)


def erase_frames(files: Files, directory: Path, frames: Iterable[Frame]) -> None:
    """Erase frames that were read from this directory, where their files are still there. Raises `OSError`."""
    segments: dict[tuple[str, int], list[Frame]] = {}
    for frame in frames:
        segments.setdefault((frame.journal, frame.end >> POSITION_BITS), []).append(frame)
    for key, those in segments.items():
        file = _opened(files, directory, *key)
        if file is None:
            continue
        try:
            for frame in those:
                erase_frame(file, place_of(*key), frame)
            file.sync()
        finally:
            file.close()


def _opened(files: Files, directory: Path, journal: str, number: int) -> File | None:
    for name in (segment_name(journal, number), damaged_name(journal, number)):
        with suppress(FileNotFoundError):
            return files.open_to_change(directory / name)
    return None
