"""Commands on a store in PostgreSQL: they use an existing one, create none, and print no password."""

from __future__ import annotations

import json

import pytest

from sojourn.cli import main
from sojourn.stores import open_store
from sojourn.stores.model import Batch
from tests.postgres import Cluster
from tests.stores.contract.steps import event, load, row, save


@pytest.fixture
def url(postgres: Cluster) -> str:
    return postgres.fresh_database()


def fill(url: str) -> None:
    store = open_store(url)
    hers = row("k")
    hers.user_id = "anna"
    save(store, Batch(rows=[hers, row("other")], events=[event("e", "k"), event("f", "other", user_id="otto")]))
    store.close()


def test_export_and_erase(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    fill(url)
    assert main(["export", "--user", "anna", "--store", url]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["session"]["key"] for each in document["sessions"]] == ["k"]
    assert main(["erase", "--user", "anna", "--yes", "--store", url]) == 0
    assert "deleted: 1 sessions, 1 events" in capsys.readouterr().out
    store = open_store(url)
    assert set(load(store, "k", "other").rows) == {"other"}
    store.close()


def test_store_is_printed_without_its_password(url: str, postgres: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    fill(url)
    database = url.rpartition("/")[2]
    secret = postgres.url(database, password="hunter2")
    assert main(["export", "--user", "anna", "--store", secret]) == 0
    output = capsys.readouterr()
    assert f"store: postgresql://127.0.0.1:{postgres.port}/{database}\n" in output.err
    assert "hunter2" not in output.err + output.out


def test_command_creates_no_store(url: str, postgres: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--user", "anna", "--store", url]) != 0
    assert "there is no store at" in capsys.readouterr().err
    assert postgres.run("SELECT 1 FROM pg_namespace WHERE nspname = 'sojourn'", database=url) == []
