"""The commands on a store in PostgreSQL: they find one that is there, make none, and show no password."""

from __future__ import annotations

import json

import pytest

from sojourn.cli import main
from sojourn.stores import open_store
from sojourn.stores.protocol import Batch
from tests.postgres import Cluster
from tests.stores.contract.steps import event, load, row, save


@pytest.fixture
def url(postgres: Cluster) -> str:
    return postgres.fresh_database()


def filled(url: str) -> None:
    store = open_store(url)
    hers = row("k")
    hers.user_id = "anna"
    save(store, Batch(rows=[hers, row("other")], events=[event("e", "k"), event("f", "other", user_id="otto")]))
    store.close()


def test_export_and_erase(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    filled(url)
    assert main(["export", "--user", "anna", "--store", url]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["session"]["key"] for each in told["sessions"]] == ["k"]
    assert main(["erase", "--user", "anna", "--yes", "--store", url]) == 0
    assert "deleted: 1 sessions, 1 events" in capsys.readouterr().out
    store = open_store(url)
    assert set(load(store, "k", "other").rows) == {"other"}
    store.close()


def test_the_store_is_named_without_its_password(
    url: str, postgres: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(url)
    database = url.rpartition("/")[2]
    secret = postgres.url(database, password="hunter2")
    assert main(["export", "--user", "anna", "--store", secret]) == 0
    told = capsys.readouterr()
    assert f"store: postgresql://127.0.0.1:{postgres.port}/{database}\n" in told.err
    assert "hunter2" not in told.err + told.out


def test_a_command_makes_no_store(url: str, postgres: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--user", "anna", "--store", url]) != 0
    assert "there is no store at" in capsys.readouterr().err
    assert postgres.run("SELECT 1 FROM pg_namespace WHERE nspname = 'sojourn'", database=url) == []
