"""`sojourn tokens`: a token is printed once, listed by name without its secret, and revoked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sojourn import cli
from sojourn.report import tokens
from sojourn.stores import SQLiteStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "sojourn.db")
    store.open()
    yield store
    store.close()


def run(store: SQLiteStore, *arguments: str) -> int:
    verb, *rest = arguments
    return cli.main(["tokens", verb, "--store", f"sqlite:///{store.path}", *rest])


def test_token_is_printed_alone_and_opens_the_figures(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(store, "add", "dashboard", "--people") == 0
    (token,) = capsys.readouterr().out.split()
    found = tokens.lookup(lambda: store)(token)
    assert found is not None
    assert (found.name, found.reads_people) == ("dashboard", True)


def test_list_shows_names_and_no_secret(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(store, "list") == 0
    assert capsys.readouterr().out == "no tokens\n"
    run(store, "add", "dashboard")
    (token,) = capsys.readouterr().out.split()
    assert run(store, "list") == run(store, "list", "--json") == 0
    out = capsys.readouterr().out
    assert token not in out
    (listed,) = json.loads(out[out.index("{") :])["tokens"]
    assert (listed["name"], listed["reads_people"]) == ("dashboard", False)
    assert "dashboard  figures" in out


def test_revoked_token_opens_nothing(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    run(store, "add", "dashboard")
    (token,) = capsys.readouterr().out.split()
    assert run(store, "revoke", "dashboard") == 0
    assert tokens.lookup(lambda: store)(token) is None
    assert run(store, "revoke", "dashboard") == 1
    assert "there is none of the name dashboard" in capsys.readouterr().err


def test_name_that_is_taken_is_an_error(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(store, "add", "dashboard") == 0
    assert run(store, "add", "dashboard") == 1
    assert "there is a token of this name" in capsys.readouterr().err
