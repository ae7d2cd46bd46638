"""Copies and room of a store in PostgreSQL: the server's own tools do both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from sojourn.errors import StoreError

from .address import Address


class PostgreSQLUpkeep:
    """`Upkeep`, which names the tools."""

    def __init__(self, address: Address) -> None:
        self._url = address.name.partition("?")[0]
        self._schema = address.schema

    def is_own(self, _path: Path) -> bool:
        return False

    def back_up(self, _target: Path, *, on_progress: Callable[[int, int], None]) -> NoReturn:
        msg = (
            "a store in PostgreSQL is copied by pg_dump: "
            f"pg_dump --format=custom --schema={self._schema} --file=sojourn.dump {self._url}"
        )
        raise StoreError(msg)

    def compact(self) -> NoReturn:
        msg = (
            f"PostgreSQL's autovacuum lets new rows use the room of deleted ones; to give it back to the disk, run "
            f"VACUUM FULL on the tables of the schema {self._schema}, which locks them meanwhile"
        )
        raise StoreError(msg)
