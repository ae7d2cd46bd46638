"""`sojourn share`: a link to a saved view is printed once, listed by name without its secret, ends in time, and is revoked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sojourn import cli
from sojourn.core.clock import SystemClock
from sojourn.report import shares
from sojourn.stores import SQLiteStore


def saved(query: str, own_id: str = "1") -> str:
    return json.dumps({"id": own_id, "query": query})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "sojourn.db")
    store.open()
    store.definitions.add("view", "Spring", saved("range=30d&browser=Firefox"))
    yield store
    store.close()


def run(store: SQLiteStore, *arguments: str) -> int:
    verb, *rest = arguments
    return cli.main(["share", verb, "--store", f"sqlite:///{store.path}", *rest])


def found(store: SQLiteStore, link: str, *, now: int | None = None) -> object:
    at = SystemClock.now() if now is None else now
    found = shares.find(store, link.rpartition("/")[2], at, shares.views_of(store, (), at))
    return found if isinstance(found, str) else found.name


def test_link_is_printed_alone_and_shows_the_view(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(store, "create", "Spring", "--report", "https://shop.example/_sojourn/") == 0
    (link,) = capsys.readouterr().out.split()
    assert link.startswith("https://shop.example/_sojourn/share/")
    assert found(store, link) == "Spring"
    assert run(store, "create", "Spring", "--name", "Bob") == 0
    assert capsys.readouterr().out.startswith("/share/")


def test_link_works_as_long_as_it_was_said_to(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    before = SystemClock.now()
    assert run(store, "create", "Spring", "--for", "12h") == 0
    (link,) = capsys.readouterr().out.split()
    (listed,) = shares.listed(store)
    assert listed.until is not None
    assert before + 12 * 3_600_000 <= listed.until <= SystemClock.now() + 12 * 3_600_000
    assert found(store, link, now=listed.until - 1) == "Spring"
    assert "expired" in str(found(store, link, now=listed.until))
    assert run(store, "create", "Spring", "--name", "x", "--for", "0s") in {1, 2}


def test_list_shows_names_ends_and_no_secret(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(store, "list") == 0
    assert capsys.readouterr().out == "no links\n"
    run(store, "create", "Spring", "--for", "90d")
    run(store, "create", "Spring", "--name", "\x1b[31mred")
    run(store, "create", "Spring", "--name", "Bob")
    secrets = [line.rpartition("/")[2] for line in capsys.readouterr().out.split()]
    store.definitions.remove("view", "Spring")
    store.definitions.add("view", "Spring", saved("range=7d", "2"))
    assert run(store, "list") == run(store, "list", "--json") == 0
    out = capsys.readouterr().out
    assert not any(secret and secret in out for secret in secrets)
    assert "\x1b" not in out
    assert "(deleted)" in out, "another view of the name is another view"
    assert {each["view"] for each in json.loads(out[out.index("{") :])["links"]} == {None}


def test_revoked_link_shows_nothing(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    run(store, "create", "Spring")
    (link,) = capsys.readouterr().out.split()
    assert run(store, "revoke", "Spring") == 0
    assert "revoked" in str(found(store, link))
    assert run(store, "revoke", "Spring") == 1
    assert "there is none of the name Spring" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Sprung",), "no saved view 'Sprung'; saved views: Anna, Spring"),
        (("Anna",), "a link shows figures, not people"),
        (("Spring", "--name", "x" * 81), "give a name of 1 to 80"),
        (("Spring", "--name", "Taken"), "there is a link named Taken"),
    ],
)
def test_what_cannot_be_shared_says_why(
    store: SQLiteStore, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store.definitions.add("view", "Anna", saved("user=anna"))
    run(store, "create", "Spring", "--name", "Taken")
    assert run(store, "create", *arguments) == 1
    assert message in capsys.readouterr().err
