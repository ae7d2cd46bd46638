"""Damaged segments: what is whole is read, whatever surrounds it; what is not is set aside, and content is never a frame."""

from __future__ import annotations

import errno
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.pipeline.journal import FileJournal, JournalDirectory, Reading
from sojourn.pipeline.journal import format as journal_format
from sojourn.pipeline.journal.files import SystemFiles
from sojourn.pipeline.journal.format import (
    FRAME_HEADER,
    SEGMENT_HEADER,
    find_frame,
    frame_word,
    pack_body,
    pack_word,
    place_of,
)
from sojourn.pipeline.journal.protocol import Damage

FOREVER = 2**62
SIZE = 64 * 1024
FRAME = 96
COUNT = 100

Change = Callable[[bytearray], None]


def payload(number: int) -> bytes:
    return b"%04d" % number * 14


@pytest.fixture(params=[True, False], ids=["mapped", "written"])
def may_map(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def journal(tmp_path: Path, may_map: bool) -> Iterator[FileJournal]:
    journal = FileJournal(tmp_path, limit=20 * SIZE, may_map=may_map, segment_size=SIZE)
    put(journal, *map(payload, range(COUNT)))
    yield journal
    journal.close()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[JournalDirectory]:
    directory = JournalDirectory(tmp_path)
    yield directory
    directory.close()


def put(journal: FileJournal, *payloads: bytes) -> None:
    for each in payloads:
        assert journal.append(each, kind="k", essential=True, wall=1)


def segment(path: Path) -> Path:
    return min(path.glob("*.seg"))


def change(path: Path, make: Change) -> bytes:
    """Change the bytes of a file in place, as a disk does; return what they were."""
    before = path.read_bytes()
    after = bytearray(before)
    make(after)
    with path.open("r+b") as file:
        file.write(after)
        file.truncate(len(after))
    return before


def untouched(before: bytes, after: bytes) -> list[bytes]:
    """The payloads of the frames of which no byte was changed."""
    starts = [SEGMENT_HEADER + number * FRAME for number in range(COUNT)]
    return [
        payload(number)
        for number, start in enumerate(starts)
        if before[start : start + FRAME] == after[start : start + FRAME]
    ]


def read(directory: JournalDirectory) -> Reading:
    return directory.read({}, before=FOREVER, limit=10_000)


def flip(at: int, by: int = 0x10) -> Change:
    def make(data: bytearray) -> None:
        data[at] ^= by

    return make


def fill(start: int, end: int, value: int = 0) -> Change:
    def make(data: bytearray) -> None:
        data[start:end] = bytes([value]) * (end - start)

    return make


def each(*changes: Change) -> Change:
    def make(data: bytearray) -> None:
        for one in changes:
            one(data)

    return make


def move(data: bytearray) -> None:
    """A block of another place, as a disk writes it where it does not belong."""
    data[4096:8192] = data[0:4096]


MIDDLE = SEGMENT_HEADER + 50 * FRAME
DAMAGE = [
    pytest.param(flip(MIDDLE + 60), [(MIDDLE, 96)], id="a payload"),
    pytest.param(flip(MIDDLE + 12), [(MIDDLE, 96)], id="a time"),
    pytest.param(flip(MIDDLE), [(MIDDLE, 96)], id="a length, by little"),
    pytest.param(flip(MIDDLE + 1), [(MIDDLE, 96)], id="a length, by much"),
    pytest.param(flip(MIDDLE + 3, 0x80), [(MIDDLE, 96)], id="a frame that says it is erased"),
    pytest.param(flip(MIDDLE + 6), [(MIDDLE, 96)], id="a checksum"),
    pytest.param(flip(SEGMENT_HEADER + 60), [(64, 96)], id="the first record"),
    pytest.param(flip(SEGMENT_HEADER + 99 * FRAME + 60), [(9568, 96)], id="the last record"),
    pytest.param(each(flip(MIDDLE), flip(MIDDLE + 200)), [(MIDDLE, 96), (MIDDLE + 192, 96)], id="two ranges"),
    pytest.param(fill(4096, 8192), [(4096, 4128)], id="a zeroed page"),
    pytest.param(fill(4096, 8192, 0xFF), [(4096, 4128)], id="a page of ones"),
    pytest.param(fill(64, 64 + 96), [(64, 96)], id="a zeroed record, the first"),
    pytest.param(fill(MIDDLE, MIDDLE + 8, 0xFF), [(MIDDLE, 96)], id="the end of a segment in the middle"),
    pytest.param(move, [(4096, 4128)], id="a misplaced page"),
    pytest.param(flip(0), [(0, 64)], id="the header's magic"),
    pytest.param(flip(8), [(0, 64)], id="the header's version"),
    pytest.param(fill(8, 12, 0xFF), [(0, 64)], id="the header's version and medium"),
    pytest.param(flip(14), [(0, 64)], id="the header's size"),
    pytest.param(flip(30), [(0, 64)], id="the header's journal"),
    pytest.param(fill(0, 4096), [(0, 64), (64, 4032)], id="the first page, header and all"),
]


@pytest.mark.parametrize("is_alive", [True, False], ids=["living", "dead"])
@pytest.mark.parametrize(("make", "ranges"), DAMAGE)
def test_what_is_not_damaged_is_read_at_once_and_what_is_is_reported(
    journal: FileJournal,
    directory: JournalDirectory,
    tmp_path: Path,
    make: Change,
    ranges: list[tuple[int, int]],
    *,
    is_alive: bool,
) -> None:
    if not is_alive:
        journal.close()
    path = segment(tmp_path)
    before = change(path, make)
    reading = read(directory)
    assert [frame.payload for frame in reading.frames] == untouched(before, path.read_bytes())
    assert all(type(damage) is Damage for damage in reading.damaged)
    if is_alive and ranges == [(9568, 96)]:
        ranges = []  # it may be half there; the next append shows that it is damaged
    assert [(damage.offset, damage.length) for damage in reading.damaged] == ranges


def test_a_damaged_last_record_is_seen_when_the_next_one_is_there(
    journal: FileJournal, directory: JournalDirectory, tmp_path: Path
) -> None:
    change(segment(tmp_path), flip(SEGMENT_HEADER + 99 * FRAME + 60))
    position = read(directory).frames[-1].end
    put(journal, b"next")
    reading = directory.read({journal.id: position}, before=FOREVER, limit=10)
    assert [frame.payload for frame in reading.frames] == [b"next"]
    assert [(damage.offset, damage.length) for damage in reading.damaged] == [(9568, 96)]


def test_a_wide_gap_in_a_living_journal_is_seen_within_seconds(tmp_path: Path, may_map: bool) -> None:
    now = 1_000_000
    journal = FileJournal(tmp_path, limit=2**24, may_map=may_map, segment_size=2**22)
    put(journal, *[b"x" * 4000] * 200)
    change(segment(tmp_path), fill(SEGMENT_HEADER + 8 * 4040, 2**18))
    directory = JournalDirectory(tmp_path, now=lambda: now)
    assert len(read(directory).frames) == 8
    now += 2_000
    assert len(read(directory).frames) == 200 - 57
    directory.close()
    journal.close()


@pytest.mark.parametrize("keep", [0, 63, 64, 1000, SEGMENT_HEADER + 50 * FRAME, SEGMENT_HEADER + 50 * FRAME + 50])
def test_a_mapped_segment_that_was_cut_is_damaged(tmp_path: Path, directory: JournalDirectory, keep: int) -> None:
    """It has its whole size from the beginning, so its end was taken away."""
    journal = FileJournal(tmp_path, limit=20 * SIZE, may_map=True, segment_size=SIZE)
    put(journal, *map(payload, range(COUNT)))
    journal.close()
    os.truncate(segment(tmp_path), keep)
    reading = read(directory)
    assert [frame.payload for frame in reading.frames] == [*map(payload, range(max(0, keep - SEGMENT_HEADER) // FRAME))]
    assert reading.damaged
    directory.discard({frame.journal: frame.end for frame in reading.frames})
    assert len(list(tmp_path.glob("*.damaged"))) == 1


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda data: None, id="nothing"),
        pytest.param(fill(SEGMENT_HEADER + 99 * FRAME, SEGMENT_HEADER + 99 * FRAME + 8), id="a frame without its word"),
        pytest.param(fill(SEGMENT_HEADER + 99 * FRAME + 50, SIZE), id="a frame that stops in the middle"),
        pytest.param(fill(SEGMENT_HEADER + 98 * FRAME + 50, SIZE), id="two frames, and the first stops"),
    ],
)
def test_an_end_that_a_crash_left_is_no_damage(tmp_path: Path, directory: JournalDirectory, make: Change) -> None:
    journal = FileJournal(tmp_path, limit=20 * SIZE, may_map=True, segment_size=SIZE)
    put(journal, *map(payload, range(COUNT)))
    journal.close()
    change(segment(tmp_path), make)
    reading = read(directory)
    assert len(reading.frames) >= 98
    assert reading.damaged == ()
    assert directory.discard({journal.id: reading.frames[-1].end}) == {journal.id}
    assert list(tmp_path.iterdir()) == []


def test_a_written_segment_may_stop_anywhere(tmp_path: Path, directory: JournalDirectory) -> None:
    journal = FileJournal(tmp_path, limit=20 * SIZE, may_map=False, segment_size=SIZE)
    put(journal, *map(payload, range(COUNT)))
    journal.close()
    os.truncate(segment(tmp_path), SEGMENT_HEADER + 50 * FRAME + 50)
    assert (len(read(directory).frames), read(directory).damaged) == (50, ())


def test_a_segment_that_was_never_finished_is_removed_with_its_journal(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, limit=20 * SIZE, may_map=True, segment_size=SIZE)
    (tmp_path / f"{journal.id}-00000000.new").write_bytes(bytes(100))
    directory = JournalDirectory(tmp_path)
    assert directory.discard({}) == frozenset()
    journal.close()
    assert directory.discard({}) == {journal.id}
    assert list(tmp_path.iterdir()) == []
    directory.close()


# --- what is set aside


def test_a_damaged_segment_is_kept_and_logged_once(
    journal: FileJournal, directory: JournalDirectory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change(segment(tmp_path), each(flip(MIDDLE), flip(MIDDLE + 200)))
    whole = segment(tmp_path).read_bytes()
    position = read(directory).frames[-1].end
    for _ in range(3):
        directory.set_aside()
    another = JournalDirectory(tmp_path)
    read(another)
    another.set_aside()
    another.close()
    (kept,) = tmp_path.glob("*.damaged")
    assert kept.read_bytes() == whole
    (record,) = caplog.records
    assert "192 bytes cannot be read" in record.getMessage()
    assert kept.name in record.getMessage()
    journal.close()
    assert directory.discard({journal.id: position}) == {journal.id}
    assert list(tmp_path.iterdir()) == [kept]
    assert directory.journals() == frozenset()


def test_reading_alone_keeps_nothing(journal: FileJournal, directory: JournalDirectory, tmp_path: Path) -> None:
    change(segment(tmp_path), flip(MIDDLE))
    read(directory)
    assert list(tmp_path.glob("*.damaged")) == []


def test_a_segment_set_aside_is_deleted_when_it_is_older_than_the_retention(
    journal: FileJournal, directory: JournalDirectory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change(segment(tmp_path), flip(MIDDLE))
    read(directory)
    directory.set_aside()
    (kept,) = tmp_path.glob("*.damaged")
    os.utime(kept, (1_000, 1_000))
    directory.expire(1_000_000)
    assert kept.exists()
    directory.expire(1_000_001)
    assert not kept.exists()
    assert segment(tmp_path).exists(), "its owner still writes there"
    assert "older than the retention" in caplog.text
    assert journal.append(b"more", kind="k", essential=True, wall=1)


def test_without_links_a_damaged_segment_is_renamed_when_it_was_read(
    journal: FileJournal, directory: JournalDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(SystemFiles, "link", staticmethod(refuse))
    change(segment(tmp_path), flip(MIDDLE))
    position = read(directory).frames[-1].end
    directory.set_aside()
    journal.close()
    assert directory.discard({journal.id: position}) == {journal.id}
    (kept,) = tmp_path.iterdir()
    assert kept.suffix == ".damaged"


# --- content that looks like frames


def test_no_content_is_taken_for_a_frame(journal: FileJournal, directory: JournalDirectory, tmp_path: Path) -> None:
    """An attacker may know the format, the place and the counts, but not the key."""
    body = pack_body(1, 1, COUNT + 2, 0) + b"invented"
    others = place_of("0" * 32, 0).key
    start = SEGMENT_HEADER + COUNT * FRAME + FRAME_HEADER
    places = range(start, start + 960, 48)
    keys = [0] * 10 + [others] * 10
    forged = b"".join(pack_word(frame_word(body, at, key)) + body for at, key in zip(places, keys, strict=True))
    put(journal, forged, b"after")
    change(segment(tmp_path), flip(SEGMENT_HEADER + COUNT * FRAME))
    reading = read(directory)
    assert [frame.payload for frame in reading.frames[COUNT:]] == [b"after"]
    assert [damage.length for damage in reading.damaged] == [(FRAME_HEADER + len(forged) + 7) & -8]


@pytest.mark.parametrize(
    "word",
    [
        pytest.param(0, id="without the key"),
        pytest.param(place_of("1" * 32, 7).key, id="with the key, as if it had been guessed"),
    ],
)
def test_looking_for_a_frame_takes_time_in_proportion_to_the_bytes(monkeypatch: pytest.MonkeyPatch, word: int) -> None:
    checked = 0
    real = zlib.crc32

    def counting(data: bytes, start: int = 0) -> int:
        nonlocal checked
        checked += len(data)
        return real(data, start)

    monkeypatch.setattr(journal_format, "crc32", counting)
    data = pack_word(word ^ (FRAME_HEADER + 65_000)) * (2**22 // 8)
    assert find_frame(data, 0, place_of("1" * 32, 7), 64) is None
    assert checked <= 10 * len(data)


@given(data=st.data())
def test_every_frame_outside_the_damage_is_read_and_none_is_invented(data: st.DataObject) -> None:
    changes = data.draw(
        st.lists(
            st.tuples(
                st.integers(0, SEGMENT_HEADER + COUNT * FRAME - 1),
                st.integers(1, 5000),
                st.sampled_from(["zeros", "ones", "flip", "copy"]),
            ),
            max_size=4,
        ),
        label="changes",
    )
    may_map, is_dead = data.draw(st.booleans(), label="mapped"), data.draw(st.booleans(), label="dead")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        journal = FileJournal(folder, limit=20 * SIZE, may_map=may_map, segment_size=SIZE)
        put(journal, *map(payload, range(COUNT)))
        if is_dead:
            journal.close()
        path = segment(folder)

        def make(content: bytearray) -> None:
            size = len(content)
            for start, length, how in changes:
                if start >= size:  # a written segment ends with its last frame
                    continue
                end = min(size, start + length)
                match how:
                    case "zeros":
                        content[start:end] = bytes(end - start)
                    case "ones":
                        content[start:end] = b"\xff" * (end - start)
                    case "flip":
                        content[start] ^= 1
                    case _:
                        content[start:end] = content[0 : end - start]
            assert len(content) == size

        before = change(path, make)
        directory = JournalDirectory(folder)
        assert [frame.payload for frame in read(directory).frames] == untouched(before, path.read_bytes())
        directory.close()
        journal.close()
