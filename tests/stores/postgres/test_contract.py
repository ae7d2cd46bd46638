"""A store in PostgreSQL keeps to the contract of all stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from sojourn.stores import open_store
from sojourn.stores.protocol import Store
from tests.postgres import Cluster
from tests.stores.contract.store import StoreContract


class TestPostgreSQLStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _server(self, postgres: Cluster) -> None:
        self.postgres = postgres

    def make_store(self, tmp_path: Path) -> Store:
        return open_store(self.postgres.fresh_database())
