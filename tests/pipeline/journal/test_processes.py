"""The journal among real processes: killed ones, forked ones, readers elsewhere, and a file size limit that is met."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from sojourn.pipeline.journal import FileJournal, JournalDirectory, open_journal

FOREVER = 2**62

PRELUDE = """
import os, resource, signal, sys
from pathlib import Path
from sojourn.pipeline.journal import FileJournal, JournalDirectory, open_journal
directory = Path(sys.argv[1])

def put(journal, payload):
    return journal.append(payload, kind="k", essential=True, wall=1)
"""


def start(code: str, directory: Path) -> subprocess.Popen[bytes]:
    script = PRELUDE + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, str(directory)], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[JournalDirectory]:
    reader = JournalDirectory(tmp_path)
    yield reader
    reader.close()


@pytest.mark.parametrize("may_map", [True, False], ids=["mapped", "written"])
def test_records_appended_before_a_kill_are_kept(tmp_path: Path, reader: JournalDirectory, may_map: bool) -> None:
    code = f"""
    journal = FileJournal(directory, limit=2**20, may_map={may_map}, segment_size=4096)
    print(journal.id, flush=True)
    sys.stdin.readline()
    for number in range(500):
        assert put(journal, b"%d" % number)
        if number % 7 == 0:
            journal.prepare()
    os.kill(os.getpid(), signal.SIGKILL)
    """
    with start(code, tmp_path) as process:
        assert process.stdout is not None
        journal = process.stdout.readline().decode().strip()
        assert reader.journals() == {journal}
        assert reader.is_alive(journal)
        assert reader.discard({}) == frozenset()
        process.communicate(b"go\n", timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert not reader.is_alive(journal)
    found = reader.read({}, before=FOREVER, limit=1000).frames
    assert [frame.payload for frame in found] == [b"%d" % number for number in range(500)]
    assert reader.discard({journal: found[-1].end}) == {journal}
    assert list(tmp_path.iterdir()) == []


def test_other_processes_see_the_owner_alive(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j", limit=2**20)
    code = """
    reader = JournalDirectory(directory)
    (journal,) = reader.journals()
    for _ in range(300):
        assert JournalDirectory(directory).is_alive(journal)
    assert reader.discard({}) == frozenset()
    """
    readers = [start(code, tmp_path / "j") for _ in range(2)]
    for process in readers:
        process.communicate(timeout=30)
        assert process.returncode == 0
    journal.close()


def test_a_reader_in_the_same_process_does_not_cost_the_owner_its_lock(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j", limit=2**20)
    journal.append(b"x", kind="k", essential=True, wall=1)
    reader = JournalDirectory(tmp_path / "j")
    for _ in range(3):
        assert reader.is_alive(journal.id)
        reader.read({}, before=FOREVER, limit=10)
        reader.discard({journal.id: FOREVER})
    reader.close()
    code = "assert JournalDirectory(directory).is_alive(sys.stdin.readline().strip())"
    with start(code, tmp_path / "j") as process:
        process.communicate(journal.id.encode(), timeout=30)
    assert process.returncode == 0
    journal.close()


@pytest.mark.parametrize("is_locked", [False, True], ids=["plain", "a thread holds the append lock at the fork"])
def test_a_forked_child_refuses_and_leaves_the_parent_unharmed(tmp_path: Path, is_locked: bool) -> None:
    code = f"""
    journal = open_journal(directory / "j", limit=2**26)
    assert put(journal, b"parent")
    journal.prepare()
    if {is_locked}:
        journal._lock.acquire()
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # instead of a deadlock
        refused = not put(journal, b"child")
        journal.prepare()
        journal.close()
        own = open_journal(directory / "j", limit=2**26)
        appended = put(own, b"own")
        alive = JournalDirectory(directory / "j").is_alive(journal.id)
        del journal
        own.close()
        sys.exit(0 if refused and appended and alive else 1)
    if {is_locked}:
        journal._lock.release()
    assert os.waitpid(child, 0)[1] == 0
    assert put(journal, b"parent again")
    print(journal.id, flush=True)
    sys.stdin.readline()
    """
    with start(code, tmp_path) as process:
        assert process.stdout is not None
        journal = process.stdout.readline().decode().strip()
        reader = JournalDirectory(tmp_path / "j")
        assert reader.is_alive(journal)
        found = reader.read({}, before=FOREVER, limit=10).frames
        assert [frame.payload for frame in found] == [b"parent", b"own", b"parent again"]
        assert [frame.accepted for frame in found if frame.journal == journal] == [1, 2]
        assert sum(reader.is_alive(each) for each in reader.journals()) == 1
        process.communicate(b"\n", timeout=30)
        assert not reader.is_alive(journal)
        reader.close()
    assert process.returncode == 0


def test_a_child_that_lives_on_does_not_keep_a_killed_parent_alive(tmp_path: Path, reader: JournalDirectory) -> None:
    code = """
    journal = FileJournal(directory, limit=2**20, may_map=True)
    put(journal, b"x")
    child = os.fork()
    if child == 0:
        sys.stdin.readline()
        os._exit(0)
    print(journal.id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    with start(code, tmp_path) as process:
        assert process.stdout is not None
        journal = process.stdout.readline().decode().strip()
        assert process.wait(timeout=30) == -signal.SIGKILL
        assert not reader.is_alive(journal)
        process.communicate(b"\n", timeout=30)


def test_a_file_size_limit_refuses_records_without_a_signal(tmp_path: Path, reader: JournalDirectory) -> None:
    code = """
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
    mapped = FileJournal(directory, limit=2**26, may_map=True)
    written = FileJournal(directory, limit=2**26, may_map=False)
    for number in range(3000):
        mapped.prepare()
        put(mapped, b"m%d" % number)
        put(written, b"w%d" % number)
    print(mapped.stats().accepted, mapped.stats().refused, written.stats().accepted, written.stats().refused)
    mapped.close()
    written.close()
    """
    with start(code, tmp_path) as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    mapped_accepted, mapped_refused, written_accepted, written_refused = map(int, out.split())
    assert mapped_accepted + mapped_refused == written_accepted + written_refused == 3000
    assert mapped_refused > 0
    assert 1000 < written_accepted < 3000
    found = reader.read({}, before=FOREVER, limit=9999).frames
    assert len(found) == mapped_accepted + written_accepted
    assert [frame.payload for frame in found if frame.payload[:1] == b"w"] == [
        b"w%d" % number for number in range(written_accepted)
    ]


def test_a_reader_keeps_up_with_an_owner_that_appends_at_full_speed(tmp_path: Path, reader: JournalDirectory) -> None:
    code = """
    journal = FileJournal(directory, limit=2**26, may_map=True, segment_size=8192)
    for number in range(20000):
        assert put(journal, b"%d" % number)
        if number % 50 == 0:
            journal.prepare()
    os.kill(os.getpid(), signal.SIGKILL)
    """
    positions: dict[str, int] = {}
    found: list[bytes] = []
    with start(code, tmp_path) as process:
        is_over = False
        while True:
            reading = reader.read(positions, before=FOREVER, limit=200)
            found += [frame.payload for frame in reading.frames]
            positions |= {frame.journal: frame.end for frame in reading.frames}
            reader.discard(positions)
            if is_over and not reading.frames:
                break
            is_over = process.poll() is not None
    assert found == [b"%d" % number for number in range(20000)]
    assert os.listdir(tmp_path) == []


def test_open_journal_makes_files_by_default(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j", limit=2**20)
    assert isinstance(journal, FileJournal)
    assert journal.owner_pid == os.getpid()
    journal.close()
