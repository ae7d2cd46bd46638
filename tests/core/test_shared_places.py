"""Files and folders that other users may write to: the store and the JSON lines file are warned of, or refused."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sojourn.backends import JSONLinesBackend
from sojourn.backends.plain import jsonl
from sojourn.core.shared_places import is_anothers, is_replaceable, is_shared_link, others_may_write
from sojourn.errors import SettingsError, StoreError
from sojourn.stores import SQLiteStore
from sojourn.stores.sqlite import opening
from sojourn.testing.backend_contract import many_events

ANOTHER = 54_321


@pytest.fixture(autouse=True)
def no_warnings_so_far() -> Iterator[None]:
    opening._warned.clear()
    yield
    opening._warned.clear()


def open_store(path: Path) -> None:
    store = SQLiteStore(path)
    store.open()
    store.close()


def become_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """As seen by a user who owns nothing here."""
    monkeypatch.setattr(os, "geteuid", lambda: ANOTHER)


@pytest.mark.parametrize(
    ("mode", "is_ours", "expected"),
    [
        (0o600, True, False),
        (0o644, True, False),
        (0o664, True, False),
        (0o666, True, True),
        (0o602, True, True),
        (0o664, False, True),
        (0o644, False, False),
    ],
)
def test_who_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, *, is_ours: bool, expected: bool
) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(mode)
    if not is_ours:
        become_another(monkeypatch)
    assert others_may_write(path.stat()) is expected


def test_without_posix_users_nothing_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o777)
    monkeypatch.delattr(os, "geteuid")
    assert not others_may_write(tmp_path.stat())
    assert not is_anothers(tmp_path / "file")


def test_a_folder_that_is_missing_is_not_shared(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "file"
    assert not is_shared_link(path)
    assert not is_replaceable(path)
    assert not is_anothers(path)


# --- the store


@pytest.mark.parametrize("mode", [0o666, 0o602])
def test_a_store_that_others_may_write_to_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    path = tmp_path / "sojourn.db"
    open_store(path)
    assert caplog.records == []
    path.chmod(mode)
    open_store(path)
    open_store(path)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"chmod go-w {path}" in record.getMessage()


@pytest.mark.parametrize(("mode", "warns"), [(0o777, True), (0o1777, False), (0o755, False), (0o700, False)])
def test_a_store_that_others_may_replace_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, *, warns: bool
) -> None:
    tmp_path.chmod(mode)
    open_store(tmp_path / "sojourn.db")
    assert len(caplog.records) == warns


def test_a_store_that_another_user_put_into_a_shared_folder_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    open_store(tmp_path / "sojourn.db")
    tmp_path.chmod(0o1777)
    become_another(monkeypatch)
    with contextlib.suppress(StoreError):  # only root can open it
        open_store(tmp_path / "sojourn.db")
    (record,) = caplog.records
    assert "choose another folder" in record.getMessage()


def test_a_store_behind_a_link_in_a_shared_folder_is_refused(tmp_path: Path) -> None:
    own, shared = tmp_path / "own", tmp_path / "shared"
    own.mkdir()
    shared.mkdir()
    open_store(own / "victim.db")
    (shared / "sojourn.db").symlink_to(own / "victim.db")
    shared.chmod(0o1777)
    with pytest.raises(StoreError, match="symbolic link"):
        open_store(shared / "sojourn.db")
    shared.chmod(0o755)
    open_store(shared / "sojourn.db")


# --- the file of JSON lines


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o1773])
@pytest.mark.parametrize("exists", [False, True], ids=["dangling", "to a file"])
def test_a_link_in_a_shared_folder_is_refused_when_the_backend_is_made(
    tmp_path: Path, mode: int, *, exists: bool
) -> None:
    own, shared = tmp_path / "own", tmp_path / "shared"
    own.mkdir()
    shared.mkdir()
    if exists:
        (own / "victim").write_text("mine\n")
    (shared / "events.jsonl").symlink_to(own / "victim")
    shared.chmod(mode)
    with pytest.raises(SettingsError, match="symbolic link"):
        JSONLinesBackend.from_url(f"jsonl:{shared / 'events.jsonl'}")
    shared.chmod(0o755)
    JSONLinesBackend(shared / "events.jsonl")


def test_a_link_that_is_planted_later_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    victim, shared = tmp_path / "victim", tmp_path / "shared"
    victim.write_text("mine\n")
    shared.mkdir()
    shared.chmod(0o1777)
    backend = JSONLinesBackend(shared / "events.jsonl")
    (shared / "events.jsonl").symlink_to(victim)
    with pytest.raises(PermissionError, match="choose another folder"):
        backend.send(many_events(1))
    (shared / "events.jsonl").unlink()
    backend.send(many_events(1))
    backend.close()
    assert victim.read_text() == "mine\n"
    assert (shared / "events.jsonl").read_text().count("\n") == 1


def test_a_link_that_is_planted_between_check_and_open_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "events.jsonl").symlink_to(tmp_path / "victim")
    tmp_path.chmod(0o1777)
    monkeypatch.setattr(jsonl, "is_shared_link", lambda path: False)
    backend = JSONLinesBackend(tmp_path / "events.jsonl")
    with pytest.raises(OSError, match="symbolic links") as raised:
        backend.send(many_events(1))
    assert raised.value.errno == errno.ELOOP
    assert not (tmp_path / "victim").exists()


def test_another_users_file_that_is_planted_later_is_refused_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o1777)
    backend = JSONLinesBackend(tmp_path / "events.jsonl")
    (tmp_path / "events.jsonl").touch()
    become_another(monkeypatch)
    with pytest.raises(PermissionError, match="another user"):
        backend.send(many_events(1))
    assert (tmp_path / "events.jsonl").read_text() == ""


def test_another_users_file_in_a_folder_of_ones_own_is_not_planted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "events.jsonl").touch()
    tmp_path.chmod(0o755)
    become_another(monkeypatch)
    JSONLinesBackend(tmp_path / "events.jsonl")


def test_another_users_file_in_a_shared_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "events.jsonl").touch()
    tmp_path.chmod(0o1777)
    become_another(monkeypatch)
    with pytest.raises(SettingsError, match="another user"):
        JSONLinesBackend(tmp_path / "events.jsonl")


def test_a_file_that_others_may_write_to_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "events.jsonl"
    path.touch()
    path.chmod(0o666)
    backend = JSONLinesBackend(path)
    backend.send(many_events(1))
    os.rename(path, tmp_path / "old")
    path.touch()
    path.chmod(0o666)
    backend.send(many_events(1))
    backend.close()
    (record,) = caplog.records
    assert "chmod go-w" in record.getMessage()
