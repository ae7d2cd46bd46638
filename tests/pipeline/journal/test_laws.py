"""Laws of the journal: however it is written, read in pieces or cut off, each whole frame is read once, in order."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sojourn.pipeline.journal import FileJournal, Frame, JournalDirectory
from sojourn.pipeline.journal.format import POSITION_BITS, SEGMENT_HEADER

FOREVER = 2**62
SEGMENT = 256
LIMIT = 400 * SEGMENT

Step = tuple[int, bytes | None]
"""A journal's number, and what is appended there; None for `prepare`."""

steps = st.lists(
    st.tuples(st.integers(0, 2), st.none() | st.binary(max_size=SEGMENT - SEGMENT_HEADER - 40)), max_size=40
)
media = st.tuples(st.booleans(), st.booleans(), st.booleans())


def write(
    folder: Path, media: tuple[bool, bool, bool], steps: list[Step], stack: ExitStack
) -> tuple[list[str], list[bytes]]:
    """Carry the steps out; return the journals' ids, and what was accepted, in order. The stack closes them."""
    ticks = iter(range(1, 10**9))
    journals = [
        FileJournal(folder, limit=LIMIT, may_map=may_map, segment_size=SEGMENT, monotonic_ns=lambda: next(ticks))
        for may_map in media
    ]
    for journal in journals:
        stack.callback(journal.close)
    accepted = []
    for number, payload in steps:
        if payload is None:
            journals[number].prepare()
        elif journals[number].append(payload, kind="k", essential=True, wall=number):
            accepted.append(payload)
    return [journal.id for journal in journals], accepted


def read_all(directory: JournalDirectory, limits: st.DataObject | None = None) -> list[Frame]:
    found: list[Frame] = []
    positions: dict[str, int] = {}
    while True:
        limit = 1000 if limits is None else limits.draw(st.integers(1, 7), label="limit")
        reading = directory.read(positions, before=FOREVER, limit=limit)
        assert len(reading.frames) <= limit
        found += reading.frames
        positions |= {frame.journal: frame.end for frame in reading.frames}
        if not reading.more:
            return found


@given(media=media, steps=steps, limits=st.data())
def test_every_frame_is_read_once_in_order_however_the_reads_are_split(
    media: tuple[bool, bool, bool], steps: list[Step], limits: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        _, accepted = write(Path(name), media, steps, stack)
        directory = JournalDirectory(Path(name))
        stack.callback(directory.close)
        found = read_all(directory, limits)
        assert [frame.payload for frame in found] == accepted
        assert len(accepted) == sum(payload is not None for _, payload in steps)
        assert [frame.mono for frame in found] == sorted({frame.mono for frame in found})


@given(media=media, steps=steps, splits=st.data())
def test_reading_and_discarding_while_it_is_written(
    media: tuple[bool, bool, bool], steps: list[Step], splits: st.DataObject
) -> None:
    """Nothing that the recorder removes between two reads takes an unread frame with it; in the end nothing is left."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        journals = [FileJournal(folder, limit=LIMIT, may_map=each, segment_size=SEGMENT) for each in media]
        directory = JournalDirectory(folder)
        stack.callback(directory.close)
        for each in journals:
            stack.callback(each.close)
        sent: dict[str, list[bytes]] = {journal.id: [] for journal in journals}
        found: dict[str, list[bytes]] = {journal.id: [] for journal in journals}
        positions: dict[str, int] = {}

        def read(limit: int) -> None:
            for frame in directory.read(positions, before=FOREVER, limit=limit).frames:
                found[frame.journal].append(frame.payload)
                positions[frame.journal] = frame.end

        for number, payload in steps:
            journal = journals[number]
            if payload is None:
                journal.prepare()
            elif journal.append(payload, kind="k", essential=True, wall=0):
                sent[journal.id].append(payload)
            if splits.draw(st.booleans(), label="read now"):
                read(splits.draw(st.integers(1, 4), label="limit"))
                assert directory.discard(positions) == frozenset()
        for journal in journals:
            journal.close()
        read(1000)
        assert found == sent
        assert directory.discard(positions) == {journal.id for journal in journals}
        assert list(folder.iterdir()) == []


@given(media=media, steps=steps, data=st.data())
def test_a_crash_at_any_byte_costs_only_what_lies_behind_it_in_that_segment(
    media: tuple[bool, bool, bool], steps: list[Step], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, copy = Path(name) / "living", Path(name) / "dead"
        folder.mkdir()
        ids, _ = write(folder, media, steps, stack)
        whole = JournalDirectory(folder)
        stack.callback(whole.close)
        frames = read_all(whole)
        shutil.copytree(folder, copy)
        cut: dict[tuple[str, int], int] = {}
        paths = sorted(copy.glob("*.seg"), key=lambda path: (ids.index(path.stem[:32]), path.name))
        for path in paths:  # in an order that does not hang on random ids: Hypothesis replays it
            size = data.draw(st.integers(0, path.stat().st_size) | st.just(path.stat().st_size), label="cut at")
            with path.open("r+b") as file:
                file.truncate(size)
            journal, _, number = path.stem.partition("-")
            cut[journal, int(number)] = size

        def survives(frame: Frame) -> bool:
            number, end = frame.end >> POSITION_BITS, frame.end % (1 << POSITION_BITS)
            size = cut[frame.journal, number]
            begin_of_padding = end - (-len(frame.payload) % 8)
            return size >= SEGMENT_HEADER and begin_of_padding <= size

        dead = JournalDirectory(copy)
        stack.callback(dead.close)
        assert read_all(dead, data) == [frame for frame in frames if survives(frame)]
        assert not any(dead.is_alive(journal) for journal in dead.journals())
