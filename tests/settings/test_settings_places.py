"""Where the store and the journal lie: absolute when built, refused at once when unusable, and nothing is created."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sojourn.errors import SettingsError
from sojourn.settings import Settings
from sojourn.stores import open_store

KEY = "k" * 16


def test_a_relative_store_lies_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    built = Settings(secret_key=KEY)
    assert built.store == f"sqlite:///{tmp_path}/sojourn.db"
    assert built.store_path == tmp_path / "sojourn.db"
    monkeypatch.chdir("/")
    assert Settings(secret_key=KEY, store=built.store) == built
    assert list(tmp_path.iterdir()) == []


def test_relative_paths_are_meant_from_base_dir(tmp_path: Path) -> None:
    built = Settings(secret_key=KEY, base_dir=tmp_path, store="sqlite:///../up.db", journal_dir="journal")
    assert built.store_path == tmp_path.parent / "up.db"
    assert built.journal_dir == tmp_path / "journal"


def test_a_relative_base_dir_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings(secret_key=KEY, base_dir="instance").store_path == tmp_path / "instance" / "sojourn.db"


def test_an_absolute_store_stays(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    assert Settings(secret_key=KEY, store=url, base_dir="/").store == url


def test_a_missing_base_dir_passes_and_is_not_created(tmp_path: Path) -> None:
    base = tmp_path / "instance"
    assert Settings(secret_key=KEY, base_dir=base).store_path == base / "sojourn.db"
    assert not base.exists()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("sqlite:///data/shop.db", id="relative"),
        pytest.param("sqlite:///{tmp}/data/shop.db", id="absolute"),
        pytest.param("sqlite:///{tmp}//data/./shop.db", id="with empty parts"),
        pytest.param("sqlite:///link.db", id="a link"),
        pytest.param("sqlite:///{tmp}/link.db", id="a link, absolute"),
        pytest.param("sqlite:///chain.db", id="a link to a link"),
        pytest.param("sqlite:///folder/shop.db", id="a link to its folder"),
        pytest.param("sqlite:///folder/inner/../shop.db", id="up from a link"),
        pytest.param("sqlite:///elsewhere/../shop.db", id="up from a link that leads elsewhere"),
    ],
)
def test_every_name_of_a_store_has_the_same_journals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "data" / "inner").mkdir(parents=True)
    (tmp_path / "data" / "shop.db").touch()
    (tmp_path / "link.db").symlink_to("data/shop.db")
    (tmp_path / "chain.db").symlink_to(tmp_path / "link.db")
    (tmp_path / "folder").symlink_to("data")
    (tmp_path / "elsewhere").symlink_to("data/inner")
    monkeypatch.chdir(tmp_path)
    built = Settings(secret_key=KEY, store=name.format(tmp=tmp_path))
    assert built.journal_folder == tmp_path / "data" / "shop.db.d"
    assert built.store_path is not None
    assert os.path.samefile(built.store_path, "data/shop.db")
    store = open_store(name.format(tmp=tmp_path))
    assert store.name == built.store, "a command that gets the URL opens the same file by the same name"


def test_a_link_that_is_moved_later_changes_nothing(tmp_path: Path) -> None:
    for release in ("1", "2"):
        (tmp_path / release).mkdir()
    (tmp_path / "current").symlink_to("1")
    built = Settings(secret_key=KEY, store=f"sqlite:///{tmp_path}/current/shop.db")
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("2")
    assert built.store_path == tmp_path / "1" / "shop.db"
    assert built.journal_folder == tmp_path / "1" / "shop.db.d"


@pytest.mark.parametrize(
    ("base", "store", "fix"),
    [
        pytest.param(".", "sqlite:///missing/a.db", "does not exist", id="a missing folder"),
        pytest.param("missing/deeper", "sqlite:///a.db", "does not exist", id="two missing folders"),
        pytest.param("missing", "sqlite:///sub/a.db", "does not exist", id="a folder in a missing base_dir"),
        pytest.param(".", "sqlite:///file/a.db", "does not exist", id="a file where a folder should be"),
        pytest.param(".", "sqlite:///folder", "is a folder", id="a folder where the file should be"),
        pytest.param("what?", "sqlite:///a.db", "question mark", id="a question mark in the folder"),
    ],
)
def test_an_unusable_place_is_an_error_at_once(tmp_path: Path, base: str, store: str, fix: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(SettingsError, match=fix) as caught:
        Settings(secret_key=KEY, base_dir=tmp_path / base, store=store)
    assert str(caught.value).startswith("store=")


@pytest.mark.parametrize(
    ("locked", "base", "fix"),
    [
        pytest.param("", ".", "the folder", id="the folder"),
        pytest.param("", "instance", "the folder", id="the folder in which base_dir would be made"),
        pytest.param("sojourn.db", ".", "the file", id="the file"),
    ],
)
def test_an_unwritable_place_is_an_error_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked: str, base: str, fix: str
) -> None:
    (tmp_path / "sojourn.db").touch()
    real = os.access
    # Modes mean nothing to root, and tests often run as root, so the test sets the system's result.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path / locked and real(path, mode))
    with pytest.raises(SettingsError, match=f"{fix} .* is not writable"):
        Settings(secret_key=KEY, base_dir=tmp_path / base)


def test_a_current_folder_that_is_gone_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(SettingsError, match="absolute path"):
        Settings(secret_key=KEY)


def test_a_journal_dir_must_not_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"journal_dir=.* is not a folder"):
        Settings(secret_key=KEY, base_dir=tmp_path, journal_dir="file")


def test_a_store_on_a_server_has_no_path() -> None:
    assert Settings(secret_key=KEY, store="postgresql://h/d").store_path is None
