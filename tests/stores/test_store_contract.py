"""Both stores that there are keep to the contract of all stores."""

from __future__ import annotations

from pathlib import Path

from sojourn.stores import open_store
from sojourn.stores.protocol import Store
from tests.stores.contract.store import StoreContract


class TestFileStore(StoreContract):
    def make_store(self, tmp_path: Path) -> Store:
        return open_store(f"sqlite:///{tmp_path / 'store.db'}")


class TestMemoryStore(StoreContract):
    def make_store(self, tmp_path: Path) -> Store:
        return open_store("memory:")
