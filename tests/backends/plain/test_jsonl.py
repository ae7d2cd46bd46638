"""The JSON lines file: private, complete lines only, through rotation, crashes and full disks."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sojourn.backends import JSONLinesBackend, Receipt
from sojourn.errors import SettingsError
from sojourn.testing.backend_contract import many_events


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture
def backend(path: Path) -> Iterator[JSONLinesBackend]:
    backend = JSONLinesBackend(path)
    yield backend
    backend.close()


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_bytes().splitlines()]


def open_files() -> list[str]:
    folder = Path("/proc/self/fd")
    return [os.readlink(entry) for entry in folder.iterdir() if entry.is_symlink() and entry.exists()]


def test_file_is_created_at_the_first_event_for_its_owner_only(backend: JSONLinesBackend, path: Path) -> None:
    before = os.umask(0)
    try:
        backend.send([])
        assert not path.exists()
        backend.send(many_events(1))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_batches_are_appended(backend: JSONLinesBackend, path: Path) -> None:
    path.write_text('{"id":"older"}\n')
    backend.send(many_events(2))
    backend.send(many_events(1))
    assert ids(path) == ["older", "many-000000", "many-000001", "many-000000"]


def test_a_batch_is_one_write(backend: JSONLinesBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []
    write = os.write

    def counted(fd: int, data: bytes) -> int:
        writes.append(len(data))
        return write(fd, data)

    monkeypatch.setattr(os, "write", counted)
    backend.send(many_events(100))
    assert len(writes) == 1


def test_incomplete_last_line_is_terminated(backend: JSONLinesBackend, path: Path) -> None:
    path.write_bytes(b'{"id":"whole"}\n{"id":"to')
    backend.send(many_events(2))
    backend.send(many_events(1))
    first, torn, *rest = path.read_bytes().splitlines()
    assert (first, torn) == (b'{"id":"whole"}', b'{"id":"to')
    assert [json.loads(line)["id"] for line in rest] == ["many-000000", "many-000001", "many-000000"]


def test_a_rotated_file_is_left_alone(backend: JSONLinesBackend, path: Path) -> None:
    backend.send(many_events(1))
    path.rename(path.with_suffix(".1"))
    backend.send(many_events(2))
    path.unlink()
    backend.send(many_events(3))
    assert len(ids(path.with_suffix(".1"))) == 1
    assert len(ids(path)) == 3


def test_full_disk_raises_and_leaves_no_incomplete_line(backend: JSONLinesBackend, path: Path) -> None:
    backend.send(many_events(3))
    whole = path.read_bytes()
    # A limit on the size of files does what a full disk does: the write ends short.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 700, limits[1]))
        with pytest.raises(OSError, match="No space left"):
            backend.send(many_events(50))
        assert path.read_bytes() == whole
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole), limits[1]))
        with pytest.raises(OSError, match="File too large"):
            backend.send(many_events(50))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert backend.send(many_events(50)) == Receipt(delivered=50)
    assert len(ids(path)) == 53


def test_short_write_keeps_lines_of_another_writer(
    backend: JSONLinesBackend, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def short_and_overtaken(fd: int, data: bytes) -> int:
        written = write(fd, data[:40])
        with path.open("ab") as other:
            other.write(b'\n{"id":"other"}\n')
        return written

    monkeypatch.setattr(os, "write", short_and_overtaken)
    with pytest.raises(OSError, match="No space left"):
        backend.send(many_events(1))
    assert path.read_bytes().endswith(b'{"id":"other"}\n')


def test_close_leaves_no_descriptor_and_send_reopens(backend: JSONLinesBackend, path: Path) -> None:
    backend.send(many_events(1))
    assert open_files().count(str(path)) == 1
    backend.close()
    assert str(path) not in open_files()
    backend.send(many_events(1))
    assert len(ids(path)) == 2


def test_another_process_opens_the_file_itself(
    backend: JSONLinesBackend, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    open_file = os.open

    def noted(file: Path, flags: int, mode: int) -> int:
        opened.append(str(file))
        return open_file(file, flags, mode)

    monkeypatch.setattr(os, "open", noted)
    backend.send(many_events(1))
    backend.send(many_events(1))
    monkeypatch.setattr(os, "getpid", lambda: -1)
    backend.send(many_events(1))
    assert opened == [str(path)] * 2


def test_relative_path_is_resolved_at_construction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    backend = JSONLinesBackend("logs/events.jsonl")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    backend.send(many_events(1))
    backend.close()
    assert len(ids(tmp_path / "logs" / "events.jsonl")) == 1


@pytest.mark.parametrize("wrong", ["", "."], ids=["empty", "a folder"])
def test_path_that_is_not_a_file_is_refused(wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="is not a file"):
        JSONLinesBackend(wrong)
