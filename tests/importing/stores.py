"""A store of either kind, which commands find by its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sojourn.stores import open_store
from sojourn.stores.protocol import Store
from tests.postgres import Cluster


@pytest.fixture(params=["sqlite", pytest.param("postgres", id="postgres")])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    if request.param == "sqlite":
        store = open_store(f"sqlite:///{tmp_path / 'sojourn.db'}")
    else:
        cluster: Cluster = request.getfixturevalue("postgres")
        url = cluster.fresh_database()
        monkeypatch.setenv("PGUSER", urlsplit(url).username or "")  # the store's name has none
        store = open_store(url)
    store.open()
    yield store
    store.close()
