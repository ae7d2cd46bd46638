"""The shared table: what one process notes of a session, every other process of the host reads."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.ids import uuid7
from sojourn.core.session import EndReason
from sojourn.pipeline.journal.files import SystemFile, SystemFiles
from sojourn.pipeline.shared_table import FILE_NAME, SharedTable, digest_of, in_memory, key_of

NOW = 1_700_000_000_000
A, B = (key_of(uuid7(NOW, bytes([n] * 10))) for n in (1, 2))


@pytest.fixture
def open_table(tmp_path: Path) -> Iterator[Callable[[], SharedTable]]:
    tables: list[SharedTable] = []

    def open_one() -> SharedTable:
        tables.append(SharedTable(tmp_path))
        tables[-1].open()
        return tables[-1]

    yield open_one
    for table in tables:
        table.close()


@pytest.fixture(params=["file", "memory"])
def table(request: pytest.FixtureRequest, open_table: Callable[[], SharedTable]) -> SharedTable:
    return open_table() if request.param == "file" else in_memory()


def test_an_unknown_session_has_no_facts(table: SharedTable) -> None:
    entry = table.entry(A)
    assert (entry.is_present, entry.last_seen_at, entry.revision, entry.end) == (False, 0, (0, 0), None)
    assert (entry.targets(), entry.is_in_use) == ([0] * 10, False)


def test_every_fact_is_read_back_through_another_entry(table: SharedTable) -> None:
    entry, other = table.entry(A), table.entry(A)
    entry.see(NOW)
    entry.revise(3, 1, NOW)
    entry.seal(EndReason.USER_CHANGED, NOW + 5)
    entry.put_target(3, 0xABCDEF, NOW)
    entry.mark_in_use(NOW)
    assert (other.last_seen_at, other.revision, other.end) == (NOW, (3, 1), (EndReason.USER_CHANGED, NOW + 5))
    assert (other.targets(), other.is_in_use) == ([0, 0, 0, 0xABCDEF, *[0] * 6], True)
    assert not table.entry(B).is_present


def test_a_moment_is_replaced_and_keeps_its_place(table: SharedTable) -> None:
    entry, other = table.entry(digest_of("attempts", "a")), table.entry(digest_of("attempts", "a"))
    assert other.moment == 0
    entry.put_moment(NOW + 9_000)
    assert (other.moment, other.last_seen_at) == (NOW + 9_000, NOW + 9_000)
    entry.put_moment(NOW)
    assert (other.moment, other.last_seen_at) == (NOW, NOW + 9_000)


@pytest.mark.parametrize("reason", EndReason)
def test_the_first_end_holds(table: SharedTable, reason: EndReason) -> None:
    table.entry(A).seal(reason, NOW)
    table.entry(A).seal(EndReason.ENDED, NOW + 1)
    assert table.entry(A).end == (reason, NOW)
    table.entry(A).seal(EndReason.OPTED_OUT, NOW + 2)
    assert table.entry(A).end == (EndReason.OPTED_OUT, NOW + 2)


def test_activity_and_revisions_never_run_back(table: SharedTable) -> None:
    entry = table.entry(A)
    entry.see(NOW)
    entry.see(NOW - 1)
    entry.revise(5, 1, NOW)
    entry.revise(4, 2, NOW)
    assert (entry.last_seen_at, entry.revision) == (NOW, (5, 2))


def test_targets_are_forgotten_on_a_new_page(table: SharedTable) -> None:
    entry = table.entry(A)
    for place in range(10):
        entry.put_target(place, (1 << 48) - 1 - place, NOW)
    assert entry.targets() == [(1 << 48) - 1 - place for place in range(10)]
    entry.forget_targets()
    assert entry.targets() == [0] * 10


def test_of_a_full_bucket_the_session_idle_for_longest_gives_way() -> None:
    table = SharedTable(None, sessions=8, networks=8)
    entries = [table.session(uuid7(NOW, bytes([n] * 10))) for n in range(9)]
    for number, entry in enumerate(entries):
        entry.see(NOW + number)
    assert [entry.is_present for entry in entries] == [False] + [True] * 8
    entries[0].see(NOW + 100)
    assert (entries[0].last_seen_at, entries[1].is_present) == (NOW + 100, False)
    assert entries[0].end is None, "nothing of the session that was there before"


def test_a_value_left_by_a_racing_writer_is_not_believed() -> None:
    """It found its slot, another process gave that to another session, and only then it wrote."""
    table = SharedTable(None, sessions=8, networks=8)
    late, other = table.entry(A), table.entry(B)
    late.seal(EndReason.ENDED, NOW)
    word = list(table.words)[4 : table.words.nbytes // 8 : 16]
    position = next(n for n, value in enumerate(word) if value) * 16 + 4
    stale = table.words[position]
    table.words[position - 4] = 0
    other.see(NOW)
    table.words[position] = stale
    assert (other.end, other.last_seen_at) == (None, NOW)


def test_a_network_is_counted_by_window(table: SharedTable) -> None:
    office, home = digest_of("network", "192.0.2.0"), digest_of("network", "198.51.100.0")
    assert [table.count(office, 7) for _ in range(3)] == [1, 2, 3]
    assert table.count(home, 7) == 1
    assert table.count(office, 8) == 1


def test_many_networks_do_not_push_out_one_that_floods() -> None:
    table = SharedTable(None, networks=8)
    assert [table.count(1, 7) for _ in range(3)] == [1, 2, 3]
    for network in range(2, 40):
        table.count(network, 7)
    assert table.count(1, 7) == 4


def test_kinds_of_names_are_apart() -> None:
    assert digest_of("visitor", "x") != digest_of("ticket", "x")
    assert digest_of("visitor", "\udcff") == digest_of("visitor", "\udcff")


# --- the file


def test_it_is_private_and_survives_its_processes(open_table: Callable[[], SharedTable], tmp_path: Path) -> None:
    open_table().entry(A).see(NOW)
    assert os.stat(tmp_path / FILE_NAME).st_mode & 0o777 == 0o600
    assert open_table().entry(A).last_seen_at == NOW
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\0" * 4_329_472])
def test_a_file_of_another_form_is_replaced(
    content: bytes, open_table: Callable[[], SharedTable], tmp_path: Path
) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    table = open_table()
    table.entry(A).see(NOW)
    assert open_table().entry(A).last_seen_at == NOW


def test_a_link_in_its_place_is_not_followed(
    open_table: Callable[[], SharedTable], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE_NAME).symlink_to(tmp_path / "elsewhere")
    table = open_table()
    assert not table.is_shared
    assert not (tmp_path / "elsewhere").exists()
    assert "do not see each other's sessions" in caplog.text


def test_an_entry_outlives_the_file_and_finds_it_again(open_table: Callable[[], SharedTable]) -> None:
    table = open_table()
    entry = table.entry(A)
    entry.see(NOW)
    table.close()
    assert entry.last_seen_at == 0
    entry.see(NOW - 9)
    table.open()
    assert table.entry(A).last_seen_at == NOW
    assert entry.last_seen_at == NOW


def test_engines_of_one_process_share_a_table_in_memory_by_folder(tmp_path: Path) -> None:
    one, other, third = in_memory(tmp_path), in_memory(tmp_path), in_memory(tmp_path / "x")
    one.entry(A).see(NOW)
    assert (other.entry(A).last_seen_at, third.entry(A).last_seen_at) == (NOW, 0)
    assert list(tmp_path.iterdir()) == []


def test_processes_that_open_it_at_once_share_one(open_table: Callable[[], SharedTable], tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sojourn.pipeline.shared_table import SharedTable\n"
        "table = SharedTable(Path(sys.argv[1])); table.open(); sys.stdin.read(1)\n"
        f"for n in range(200): table.entry({A} + int(sys.argv[2]) * 1000 + n).see({NOW} + n)\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(number)], stdin=subprocess.PIPE)
        for number in range(4)
    ]
    for process in processes:
        process.communicate(b"x", timeout=60)
    assert [process.returncode for process in processes] == [0] * 4
    table = open_table()
    seen = [table.entry(A + number * 1000 + n).last_seen_at for number in range(4) for n in range(200)]
    assert seen == [NOW + n for _ in range(4) for n in range(200)]


# --- laws

KEYS = st.integers(0, 2**128 - 1)
TIMES = st.integers(NOW, NOW + 10**9)


@given(
    st.lists(st.tuples(st.integers(0, 5), TIMES, st.integers(0, 2**16 - 1), st.sampled_from(EndReason)), max_size=40)
)
def test_it_agrees_with_a_dictionary(steps: list[tuple[int, int, int, EndReason]]) -> None:
    """As long as nothing gives way, each session has its greatest activity and revision, and its first end."""
    table = SharedTable(None, sessions=64, networks=8)
    seen: dict[int, int] = {}
    revisions: dict[int, int] = {}
    ends: dict[int, tuple[EndReason, int]] = {}
    for key, at, revision, reason in steps:
        entry = table.session(uuid7(NOW, bytes([key] * 10)))
        entry.see(at)
        entry.revise(revision, 0, at)
        if revision % 3 == 0:
            entry.seal(reason, at)
            ends[key] = (reason, at) if reason is EndReason.OPTED_OUT else ends.get(key, (reason, at))
        seen[key] = max(at, seen.get(key, 0))
        revisions[key] = max(revision, revisions.get(key, 0))
    for key, last_seen_at in seen.items():
        entry = table.session(uuid7(NOW, bytes([key] * 10)))
        assert (entry.last_seen_at, entry.revision[0], entry.end) == (last_seen_at, revisions[key], ends.get(key))


@given(st.lists(st.tuples(KEYS, TIMES), max_size=60))
def test_what_it_says_of_a_session_was_noted_of_it(notes: list[tuple[int, int]]) -> None:
    """However full it is: a session that gave way is unknown, and never has the facts of another."""
    table = SharedTable(None, sessions=8, networks=8)
    noted: dict[int, set[int]] = {}
    for key, at in notes:
        table.entry(key).see(at)
        noted.setdefault(key, set()).add(at)
    for key, times in noted.items():
        assert table.entry(key).last_seen_at in {0, *times}


# --- the file


class FullDisk(SystemFiles):
    """A host on which no file can be written."""

    @staticmethod
    def create(path: Path) -> SystemFile:
        class Full(SystemFile):
            def write(self, data: bytes, offset: int) -> int:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        return Full(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def test_on_a_full_disk_the_table_is_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = SharedTable(tmp_path, files=FullDisk())
    table.entry(A).see(NOW)
    assert (table.is_shared, table.entry(A).last_seen_at) == (False, NOW)
    assert "No space left on device" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_is_not_opened(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"of another program")
    (tmp_path / FILE_NAME).symlink_to(elsewhere)
    table = SharedTable(tmp_path)
    table.entry(A).see(NOW)
    assert (table.is_shared, elsewhere.read_bytes()) == (False, b"of another program")
    assert "do not see each other's sessions" in caplog.text
