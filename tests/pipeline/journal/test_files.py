"""The journal on disk, as its owner and the recorder use it: order, bounds, full disks, closing, what is removed."""

from __future__ import annotations

import errno
import gc
import logging
import os
import re
import stat
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from sojourn.pipeline.journal import FileJournal, Frame, JournalDirectory, MemoryJournal, open_journal
from sojourn.pipeline.journal.files import SystemFile, SystemFiles
from sojourn.pipeline.journal.format import MAX_PAYLOAD, SEGMENT_HEADER, frame_word, pack_body, pack_word, place_of

FOREVER = 2**62
SEGMENT = 512
ROOM = 20 * SEGMENT
PAYLOAD = b"p" * 56  # 96 bytes as a frame: four of them in a segment


class Clock:
    """Nanoseconds that a test moves; each look is one later, as frames of a journal are."""

    def __init__(self) -> None:
        self.now = 1_000_000_000

    def __call__(self) -> int:
        self.now += 1
        return self.now


Make = Callable[..., FileJournal]


@pytest.fixture(params=[True, False], ids=["mapped", "written"])
def may_map(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(tmp_path: Path, may_map: bool, clock: Clock) -> Iterator[Make]:
    made: list[FileJournal] = []

    def make_journal(*, limit: int = ROOM, segment_size: int = SEGMENT, fsync: bool = False) -> FileJournal:
        journal = FileJournal(
            tmp_path, limit=limit, may_map=may_map, segment_size=segment_size, fsync=fsync, monotonic_ns=clock
        )
        made.append(journal)
        return journal

    yield make_journal
    for journal in made:
        journal.close()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[JournalDirectory]:
    directory = JournalDirectory(tmp_path)
    yield directory
    directory.close()


def put(
    journal: FileJournal | MemoryJournal, *payloads: bytes, essential: bool = True, kind: str = "activity"
) -> list[bool]:
    return [journal.append(payload, kind=kind, essential=essential, wall=at) for at, payload in enumerate(payloads)]


def payloads(directory: JournalDirectory) -> list[bytes]:
    return [frame.payload for frame in directory.read({}, before=FOREVER, limit=10_000).frames]


def segments(path: Path) -> list[Path]:
    return sorted(path.glob("*.seg"))


def test_frames_come_back_in_order_with_their_counts(make: Make, directory: JournalDirectory) -> None:
    journal = make()
    assert put(journal, b"one", b"", b"x" * MAX_PAYLOAD, b"two") == [True, True, False, True]
    found = directory.read({}, before=FOREVER, limit=10).frames
    assert [(frame.payload, frame.wall, frame.accepted, frame.refused) for frame in found] == [
        (b"one", 0, 1, 0),
        (b"", 1, 2, 0),
        (b"two", 3, 3, 1),
    ]
    assert [frame.journal for frame in found] == [journal.id] * 3
    assert [frame.end for frame in found] == sorted({frame.end for frame in found})
    assert journal.stats().refused_by_kind == {"activity": 1}


def test_frames_continue_through_many_segments(make: Make, directory: JournalDirectory, tmp_path: Path) -> None:
    journal = make()
    sent = [b"%03d" % number * 10 for number in range(60)]
    for payload in sent:
        journal.prepare()
        assert put(journal, payload) == [True]
    assert len(segments(tmp_path)) >= 10
    assert payloads(directory) == sent


def test_without_prepare_the_first_segment_is_made_inline_and_later_ones_are_written(
    make: Make, directory: JournalDirectory, tmp_path: Path, may_map: bool
) -> None:
    journal = make()
    put(journal, *[PAYLOAD] * 10)
    sizes = [path.stat().st_size for path in segments(tmp_path)]
    assert sizes[0] == SEGMENT or not may_map
    assert sizes[-1] == SEGMENT_HEADER + 2 * 96
    journal.prepare()  # a spare is ready: back to the map, without waiting for the written one to be full
    put(journal, b"back")
    assert (segments(tmp_path)[-1].stat().st_size == SEGMENT) is may_map
    assert payloads(directory) == [*[PAYLOAD] * 10, b"back"]


def test_prepared_segments_are_real_bytes_and_private(make: Make, tmp_path: Path, may_map: bool) -> None:
    journal = make(limit=40 * 65536, segment_size=65536)
    journal.prepare()
    put(journal, b"x")
    (path,) = segments(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / f"{journal.id}.lock").stat().st_mode) == 0o600
    if may_map:
        assert path.stat().st_blocks * 512 >= 65536  # a hole would be a fault under the map when the disk is full


def test_reading_needs_only_positions_and_removes_nothing(make: Make, directory: JournalDirectory) -> None:
    first, second = make(), make()
    for number in range(12):
        put((first, second)[number % 2], b"%d" % number)
    positions: dict[str, int] = {}
    found: list[Frame] = []
    for _ in range(4):
        reading = directory.read(positions, before=FOREVER, limit=3)
        assert len(reading.frames) == 3
        assert reading.more is (len(found) < 9)
        found += reading.frames
        positions |= {frame.journal: frame.end for frame in reading.frames}
    assert [frame.payload for frame in found] == [b"%d" % number for number in range(12)]
    assert directory.read(positions, before=FOREVER, limit=3).frames == []
    assert len(payloads(directory)) == 12


def test_a_read_returns_only_frames_older_than_the_pass(make: Make, directory: JournalDirectory, clock: Clock) -> None:
    first, second = make(), make()
    put(first, b"a")
    put(second, b"b")
    began = clock()
    put(first, b"late")
    reading = directory.read({}, before=began, limit=10)
    assert [frame.payload for frame in reading.frames] == [b"a", b"b"]
    assert not reading.more


def test_frames_of_an_earlier_boot_are_older_whatever_their_clock_says(
    make: Make, directory: JournalDirectory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(SystemFiles, "boot_id", staticmethod(lambda: "ff" * 16))
        earlier = make()
    clock.now = 10**15
    put(earlier, b"before the reboot")
    clock.now = 1000
    later = make()
    put(later, b"after it")
    began = clock()
    put(later, b"too new")
    found = directory.read({}, before=began, limit=10).frames
    assert [frame.payload for frame in found] == [b"before the reboot", b"after it"]


def test_a_reader_at_the_end_of_a_segment_follows_into_the_next(make: Make, directory: JournalDirectory) -> None:
    journal = make()
    position = 0
    for number in range(40):
        journal.prepare()
        put(journal, b"%d" % number)
        (frame,) = directory.read({journal.id: position}, before=FOREVER, limit=10).frames
        assert frame.payload == b"%d" % number
        position = frame.end


def test_the_last_fifth_is_kept_for_essential_records(make: Make) -> None:
    journal = make(limit=10 * SEGMENT + SEGMENT // 2)
    while put(journal, PAYLOAD, essential=False, kind="page_view") == [True]:
        journal.prepare()
    used = journal.stats().bytes_used
    assert 0.7 * journal.stats().limit < used <= 0.8 * journal.stats().limit
    while put(journal, PAYLOAD, kind="start") == [True]:
        journal.prepare()
    stats = journal.stats()
    assert 0.8 * stats.limit < stats.bytes_used <= stats.limit
    assert stats.refused_by_kind == {"page_view": 1, "start": 1}
    assert stats.refused == 2


@pytest.mark.parametrize("may_map", [True], indirect=True, ids=["mapped"])
@pytest.mark.parametrize("late", range(1, 16))
def test_a_late_spare_takes_no_room_from_essential_records(
    make: Make, tmp_path: Path, directory: JournalDirectory, late: int
) -> None:
    """On a slow disk a segment that is written in between is cut short, and no whole one fits after the others."""
    journal = make(limit=4 * SEGMENT)
    sent = [b"%056d" % number for number in range(100)]
    accepted = []
    for number, payload in enumerate(sent):
        if number >= late:
            journal.prepare()
        if put(journal, payload) == [False]:
            break
        accepted.append(payload)
    assert journal.stats().bytes_used + SEGMENT_HEADER + 96 > 4 * SEGMENT
    assert sum(path.stat().st_size for path in segments(tmp_path)) <= 4 * SEGMENT
    assert payloads(directory) == accepted


def test_the_files_never_exceed_the_limit(make: Make, tmp_path: Path) -> None:
    journal = make(limit=10 * SEGMENT)
    for _ in range(200):
        journal.prepare()
        put(journal, PAYLOAD)
        assert sum(path.stat().st_size for path in segments(tmp_path)) <= 10 * SEGMENT


def test_discarding_makes_room_for_new_records(make: Make, directory: JournalDirectory) -> None:
    journal = make(limit=6 * SEGMENT)
    while put(journal, PAYLOAD) == [True]:
        journal.prepare()
    last = directory.read({}, before=FOREVER, limit=1000).frames[-1]
    assert directory.discard({journal.id: last.end}) == frozenset()
    assert put(journal, PAYLOAD) == [False]
    journal.prepare()
    assert put(journal, b"again", essential=False) == [True]
    assert payloads(directory) == [b"again"]
    assert journal.stats().bytes_used < SEGMENT


def test_discard_keeps_unread_frames(make: Make, directory: JournalDirectory, tmp_path: Path) -> None:
    journal = make()
    put(journal, *[PAYLOAD] * 13)
    found = directory.read({}, before=FOREVER, limit=100).frames
    assert directory.discard({journal.id: found[5].end}) == frozenset()
    assert len(segments(tmp_path)) == 3
    assert [frame.end for frame in directory.read({}, before=FOREVER, limit=100).frames] == [f.end for f in found[4:]]


def test_a_segment_is_left_when_it_is_old_so_that_it_can_be_removed(
    tmp_path: Path, may_map: bool, directory: JournalDirectory
) -> None:
    now = 1_000_000
    journal = FileJournal(
        tmp_path, limit=ROOM, may_map=may_map, segment_size=SEGMENT, turn_over=60_000, now=lambda: now
    )
    journal.prepare()
    put(journal, b"old")
    now += 59_999
    journal.prepare()
    (frame,) = directory.read({}, before=FOREVER, limit=10).frames
    directory.discard({journal.id: frame.end})
    assert payloads(directory) == [b"old"], "it still gets records"
    now += 1
    journal.prepare()
    directory.discard({journal.id: frame.end})
    assert payloads(directory) == []
    put(journal, b"new")
    reading = directory.read({journal.id: frame.end}, before=FOREVER, limit=10)
    assert [frame.payload for frame in reading.frames] == [b"new"]
    journal.close()


def test_no_segment_is_left_while_the_recorder_is_behind(
    tmp_path: Path, may_map: bool, directory: JournalDirectory
) -> None:
    now = 1_000_000
    journal = FileJournal(tmp_path, limit=ROOM, may_map=may_map, segment_size=SEGMENT, turn_over=1, now=lambda: now)
    for number in range(50):
        now += 1_000
        journal.prepare()
        assert put(journal, b"%d" % number) == [True]
    assert len(payloads(directory)) == 50
    journal.close()


def test_a_dead_journal_is_removed_once_read(make: Make, directory: JournalDirectory, tmp_path: Path) -> None:
    journal, living = make(), make()
    put(journal, *[PAYLOAD] * 6)
    journal.close()
    found = directory.read({}, before=FOREVER, limit=100).frames
    assert not directory.is_alive(journal.id)
    assert directory.discard({journal.id: found[4].end}) == frozenset()
    assert directory.journals() == {journal.id, living.id}
    assert directory.discard({journal.id: found[5].end, living.id: 0}) == {journal.id}
    assert directory.journals() == {living.id}
    assert [path.name for path in tmp_path.iterdir()] == [f"{living.id}.lock"]
    assert directory.discard({journal.id: found[5].end}) == {journal.id}, "passed again after a crash of the recorder"


def test_a_dead_journal_without_frames_is_removed(make: Make, directory: JournalDirectory, tmp_path: Path) -> None:
    journal = make()
    journal.prepare()
    assert directory.discard({}) == frozenset()
    journal.close()
    assert directory.discard({}) == {journal.id}
    assert list(tmp_path.iterdir()) == []


def test_no_journal_counts_as_gone_when_the_directory_is_missing(tmp_path: Path) -> None:
    missing = JournalDirectory(tmp_path / "missing")
    assert missing.journals() == frozenset()
    assert missing.discard({"a" * 32: 100}) == frozenset()


def test_alive_until_closed_and_dead_for_good(make: Make, directory: JournalDirectory) -> None:
    journal = make()
    assert directory.is_alive(journal.id)
    journal.close()
    journal.close()
    assert not directory.is_alive(journal.id)
    assert put(journal, b"late") == [False]
    assert not directory.is_alive("0" * 32)


def test_a_segment_without_a_lock_file_is_dead(make: Make, directory: JournalDirectory, tmp_path: Path) -> None:
    journal = make()
    put(journal, b"left")
    journal.close()
    (tmp_path / f"{journal.id}.lock").unlink()
    (frame,) = directory.read({}, before=FOREVER, limit=5).frames
    assert not directory.is_alive(journal.id)
    assert directory.discard({journal.id: frame.end}) == {journal.id}


def test_the_last_frame_of_a_living_journal_is_waited_for(
    make: Make, tmp_path: Path, directory: JournalDirectory
) -> None:
    journal = make()
    put(journal, *[PAYLOAD] * 6)
    put(journal, *[PAYLOAD] * 2)
    latest = segments(tmp_path)[1]
    whole = latest.read_bytes()
    with latest.open("r+b") as file:
        file.seek(SEGMENT_HEADER + 3 * 96 + 50)
        file.write(b"?")
    assert len(payloads(directory)) == 7
    assert directory.read({}, before=FOREVER, limit=10).damaged == ()
    latest.write_bytes(whole)  # it was only half there when the reader came by
    assert len(payloads(directory)) == 8


def test_frames_appended_just_before_the_owner_is_seen_dead_are_read(
    make: Make, directory: JournalDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = make()
    put(journal, b"0")
    journal.prepare()  # so that there is a later segment to go on to
    sent = [b"0"]

    def dies_while_one_looks(_: Path) -> bool:
        for number in range(1, 12):
            sent.append(b"%d" % number)
            put(journal, sent[-1])
        journal.close()
        return False

    monkeypatch.setattr(SystemFiles, "is_locked", staticmethod(dies_while_one_looks))
    found = directory.read({}, before=FOREVER, limit=100).frames
    if len(sent) == 1:
        directory.is_alive(journal.id)
    position = found[-1].end
    found += directory.read({journal.id: position}, before=FOREVER, limit=100).frames
    assert [frame.payload for frame in found] == sent
    assert len(sent) == 12


@pytest.mark.parametrize(
    ("header", "says"),
    [
        pytest.param(b"SJRNJRNL\x09", "another version of Sojourn is left alone", id="another format version"),
        pytest.param(b"SOJOURNJ\x01", "before its first release.*then delete it", id="before the first release"),
    ],
)
def test_a_journal_of_another_format_is_left_alone(
    make: Make,
    tmp_path: Path,
    directory: JournalDirectory,
    caplog: pytest.LogCaptureFixture,
    *,
    header: bytes,
    says: str,
) -> None:
    journal = make()
    put(journal, b"from the future")
    journal.close()
    (path,) = segments(tmp_path)
    content = header + path.read_bytes()[9:]
    checked = content[:56] + zlib.crc32(content[:56]).to_bytes(4, sys.byteorder)  # else only a damaged one of ours
    path.write_bytes(checked + content[60:])
    for _ in range(3):
        assert directory.journals() == frozenset()
        assert payloads(directory) == []
        assert directory.discard({journal.id: FOREVER}) == frozenset()
    assert path.exists()
    assert len(caplog.records) == 1
    assert re.search(says, caplog.records[0].getMessage())


def test_a_full_disk_is_counted_and_tried_again_after_a_pause(
    make: Make,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    directory: JournalDirectory,
) -> None:
    calls = 0

    def is_full(*_: object) -> int:
        nonlocal calls
        calls += 1
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    journal = make()
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", is_full)
        patch.setattr(os, "pwrite", is_full)
        assert put(journal, *[PAYLOAD] * 50) == [False] * 50
        assert calls == 1, "not a system call at every request"
        for _ in range(50):
            journal.prepare()
        assert calls <= 2
    assert len(caplog.records) <= 2
    assert "No space left" in caplog.text
    assert put(journal, PAYLOAD) == [False]
    clock.now += 2_000_000_000
    journal.prepare()
    assert put(journal, b"room again") == [True]
    assert payloads(directory) == [b"room again"]
    assert journal.stats().refused_by_kind == {"activity": 51}


def test_a_disk_that_fills_up_between_segments(
    make: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch, directory: JournalDirectory
) -> None:
    real = os.pwrite

    def half(fd: int, data: bytes, offset: int) -> int:
        return real(fd, data[: len(data) // 2], offset)

    journal = make()
    accepted = put(journal, *[PAYLOAD] * 6)
    body = pack_body(FOREVER - 1, 0, 1, 0) + b"invented"
    at = SEGMENT_HEADER + 2 * 96 + 48  # where the frame after the next one will be looked for
    hostile = b"8 bytes." + pack_word(frame_word(body, at, place_of(journal.id, 1).key)) + body
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", half)
        accepted += put(journal, hostile.ljust(160))
    assert accepted == [True] * 6 + [False]
    clock.now += 2_000_000_000
    assert put(journal, b"8 bytes.") == [True]
    assert payloads(directory) == [*[PAYLOAD] * 6, b"8 bytes."]
    assert put(journal, b"after") == [True]
    assert payloads(directory) == [*[PAYLOAD] * 6, b"8 bytes.", b"after"]


@pytest.mark.parametrize("fsync", [False, True], ids=["plain", "fsync"])
def test_a_signal_handler_that_raises_leaves_no_uncounted_frame(
    make: Make, monkeypatch: pytest.MonkeyPatch, directory: JournalDirectory, fsync: bool
) -> None:
    real = os.pwrite
    journal = make(fsync=fsync)
    put(journal, *[PAYLOAD] * 5)

    def write_then_raise(fd: int, data: bytes, offset: int) -> int:
        real(fd, data, offset)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", write_then_raise)
        with pytest.raises(KeyboardInterrupt):
            put(journal, b"interrupted")
    put(journal, b"next")
    found = directory.read({}, before=FOREVER, limit=100).frames
    assert [frame.payload for frame in found[5:]] == [b"interrupted", b"next"]
    assert [frame.accepted for frame in found] == list(range(1, 8))


@pytest.mark.parametrize(
    ("payload", "wall"),
    [
        pytest.param("text", 1, id="text"),
        pytest.param(b"x", 1.5, id="a float as time"),
        pytest.param(b"x", 2**70, id="a time out of range"),
        pytest.param(None, 1, id="nothing"),
    ],
)
def test_invalid_arguments_are_refused_and_never_raise(
    make: Make, payload: bytes, wall: int, directory: JournalDirectory
) -> None:
    journal = make()
    assert journal.append(payload, kind="odd", essential=True, wall=wall) is False
    assert put(journal, b"fine") == [True]
    assert journal.append(payload, kind="odd", essential=True, wall=wall) is False
    assert journal.stats().refused_by_kind == {"odd": 2}
    assert payloads(directory) == [b"fine"]


def test_fsync_keeps_the_same_frames(make: Make, directory: JournalDirectory) -> None:
    journal = make(fsync=True)
    for number in range(10):
        journal.prepare()
        put(journal, b"%d" % number)
    assert payloads(directory) == [b"%d" % number for number in range(10)]


def test_after_the_files_are_removed_appends_are_refused(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = make()
    put(journal, b"x")
    for path in tmp_path.iterdir():
        path.unlink()
    journal.prepare()
    assert put(journal, b"y") == [False]
    assert "removed" in caplog.text


def test_a_handler_that_appends_while_a_warning_is_logged(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = make()

    class Appending(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            put(journal, b"a log record")

    handler = Appending()
    logging.getLogger("sojourn").addHandler(handler)
    try:
        journal.append(b"x", kind="odd", essential=True, wall=2**70)
        journal.prepare()
    finally:
        logging.getLogger("sojourn").removeHandler(handler)
    assert journal.stats().accepted == 1


def test_threads_append_while_a_reader_reads(make: Make, directory: JournalDirectory) -> None:
    journal = make(limit=64 * 1024 * 1024, segment_size=16 * 1024)
    each = 2000

    def work(name: int) -> None:
        for number in range(each):
            assert journal.append(b"%d:%d" % (name, number), kind="k", essential=True, wall=number)
            if number % 20 == 0:
                journal.prepare()

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    found: list[Frame] = []
    while any(thread.is_alive() for thread in threads) or len(found) < 4 * each:
        position = found[-1].end if found else 0
        reading = directory.read({journal.id: position}, before=FOREVER, limit=300).frames
        if not reading and not any(thread.is_alive() for thread in threads):
            break
        found += reading
        directory.discard({journal.id: position})
    for thread in threads:
        thread.join()
    found += directory.read({journal.id: found[-1].end}, before=FOREVER, limit=4 * each).frames
    assert [frame.accepted for frame in found] == list(range(1, 4 * each + 1))
    assert [frame.mono for frame in found] == sorted(frame.mono for frame in found)
    for name in range(4):
        mine = [frame.payload for frame in found if frame.payload.startswith(b"%d:" % name)]
        assert mine == [b"%d:%d" % (name, number) for number in range(each)]


def test_close_releases_every_file(make: Make, tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    journal, directory = make(), JournalDirectory(tmp_path)
    for _ in range(20):
        journal.prepare()
        put(journal, PAYLOAD)
    payloads(directory)
    journal.prepare()
    journal.close()
    directory.close()
    gc.collect()
    assert set(os.listdir("/proc/self/fd")) == before
    assert str(tmp_path) not in Path("/proc/self/maps").read_text(encoding="utf-8")


def test_the_directory_is_made_private(tmp_path: Path) -> None:
    place = tmp_path / "app" / "sojourn.db.d"
    journal = open_journal(place, limit=1024 * 1024)
    assert isinstance(journal, FileJournal)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert journal.stats().path == str(place)
    journal.close()


def spoil_with_a_file(path: Path) -> None:
    path.write_text("not a directory", encoding="utf-8")


def spoil_by_sharing(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(spoil_with_a_file, id="a file is in the way"),
        pytest.param(spoil_by_sharing, id="everybody may write there"),
    ],
)
def test_the_journal_is_in_memory_without_a_usable_directory(
    tmp_path: Path, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    spoil(tmp_path / "j")
    journal = open_journal(tmp_path / "j", limit=1024 * 1024)
    assert journal.stats().medium == "memory"
    assert len(caplog.records) == 1
    assert journal.append(b"x", kind="k", essential=True, wall=1)


def test_the_journal_is_in_memory_without_file_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sojourn.pipeline.journal.locks.is_supported", False)
    assert isinstance(open_journal(tmp_path / "j", limit=1024 * 1024), MemoryJournal)
    assert "locks" in caplog.text


def test_a_requested_memory_journal_gives_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(open_journal(None, limit=1024), MemoryJournal)
    assert not caplog.records


class Meeting(SystemFiles):
    """Lets two threads that open files at the same time do so together."""

    def __init__(self) -> None:
        self._both = threading.Barrier(2, timeout=0.2)
        self.opened = 0

    def open(self, path: Path) -> SystemFile:  # type: ignore[override]  # this one counts
        with suppress(threading.BrokenBarrierError):
            self._both.wait()
        self.opened += 1
        return super().open(path)


def test_threads_that_look_at_once_open_each_file_once(make: Make, tmp_path: Path) -> None:
    put(make(), b"one")
    files = Meeting()
    directory = JournalDirectory(tmp_path, files=files)
    with ThreadPoolExecutor(2) as pool:
        listed, read = pool.submit(directory.journals), pool.submit(payloads, directory)
        assert len(listed.result()) == len(read.result()) == 1
    directory.close()
    assert files.opened == 1
