"""A store on a server: what its URL must name, and where the journals of this machine lie then."""

from __future__ import annotations

from pathlib import Path

import pytest

from sojourn.errors import SettingsError
from sojourn.settings import Settings

KEY = "k" * 16
URL = "postgresql://me:hunter2@db.example:5432/shop"


def built(store: str, **more: object) -> Settings:
    return Settings(secret_key=KEY, store=store, **more)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        pytest.param({}, "{tmp}/home/.local/state", id="the user's"),
        pytest.param({"XDG_STATE_HOME": "{tmp}/xdg"}, "{tmp}/xdg", id="where the user has it"),
        pytest.param({"XDG_STATE_HOME": "relative"}, "{tmp}/home/.local/state", id="a relative one is passed over"),
        pytest.param({"STATE_DIRECTORY": "/var/lib/shop", "XDG_STATE_HOME": "/x"}, "/var/lib/shop", id="the service's"),
        pytest.param({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, "/var/lib/a", id="the service's first"),
    ],
)
def test_journals_lie_in_the_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp=tmp_path))
    place = built(URL).journal_folder
    assert place is not None
    assert place.parent == Path(folder.format(tmp=tmp_path)) / "sojourn"
    assert len(place.name) == 16
    assert int(place.name, 16) >= 0
    assert not place.exists()


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("postgresql://other:changed@db.example:5432/shop", id="another user and password"),
        pytest.param("postgresql://db.example:5432/shop", id="none"),
        pytest.param("postgres://me:hunter2@db.example:5432/shop", id="the platforms' old scheme"),
        pytest.param("postgresql+psycopg://me:hunter2@db.example:5432/shop", id="with a driver"),
        pytest.param("postgresql://me:hun@ter2@db.example:5432/shop", id="a password with an @"),
        pytest.param(f"{URL}?sslmode=require&password=x&connect_timeout=3", id="how to get there"),
        pytest.param("postgresql://me:hunter2@db.example/shop", id="the default port"),
        pytest.param("postgresql://me:hunter2@DB.Example:5432/shop", id="the host in capitals"),
        pytest.param("postgresql://me:hunter2@db.example:5432/sh%6Fp", id="quoted"),
        pytest.param("postgresql://me:hunter2@db.example:5432?dbname=shop", id="the database as an option"),
    ],
)
def test_the_same_database_has_the_same_journals_for_every_process(url: str) -> None:
    assert built(url).journal_folder == built(URL).journal_folder


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("postgresql://me:hunter2@db.example:5432/other", id="another database"),
        pytest.param("postgresql://me:hunter2@db2.example:5432/shop", id="another host"),
        pytest.param("postgresql://me:hunter2@db.example:5433/shop", id="another port"),
        pytest.param(f"{URL}?schema=second", id="another schema"),
        pytest.param("postgresql://me:hunter2@db.example:5432/Shop", id="another case of the database"),
        pytest.param("postgresql://me:hunter2@db.example/shop?port=5433", id="another port as an option"),
        pytest.param("postgresql:///shop?host=/run/postgresql", id="a socket"),
    ],
)
def test_another_store_has_other_journals(url: str) -> None:
    assert built(url).journal_folder != built(URL).journal_folder


def test_journal_dir_goes_before(tmp_path: Path) -> None:
    assert built(URL, journal_dir=tmp_path / "mine").journal_folder == tmp_path / "mine"


def test_a_file_has_its_journals_beside_it(tmp_path: Path) -> None:
    assert built(f"sqlite:///{tmp_path}/a.db").journal_folder == tmp_path / "a.db.d"


def test_memory_has_none() -> None:
    assert built("memory:").journal_folder is None


@pytest.mark.parametrize(
    "url", ["postgresql://me:hunter2@host", "postgresql://host/", "postgresql://host/?sslmode=require"]
)
def test_a_url_that_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="names no database") as caught:
        built(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql://h?dbname=shop", "postgresql:///?service=shop", "postgresql:///shop"])
def test_a_database_may_be_named_otherwise(url: str) -> None:
    assert built(url).store == url
