"""The orders of a site that writes its events in transactions of its own. Its database is the store's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sojourn import track


def create(url: str) -> None:
    with _connection(url) as db:
        db.execute("CREATE TABLE orders (serial INTEGER)")
        db.commit()


def place(url: str, serial: int) -> None:
    """Write an order and its event, and commit both."""
    with _connection(url) as db:
        db.execute(f"INSERT INTO orders VALUES ({serial})")
        track("step", {"serial": serial}, connection=db)
        db.commit()


def placed(url: str) -> list[int]:
    with _connection(url) as db:
        return sorted(serial for (serial,) in db.execute("SELECT serial FROM orders").fetchall())


def waiting(url: str) -> int:
    """How many committed events no recorder has moved yet."""
    table = "sojourn_inbox" if url.startswith("sqlite") else "sojourn.sojourn_inbox"
    with _connection(url) as db:
        ((count,),) = db.execute(f"SELECT COUNT(*) FROM {table}").fetchall()
        return int(count)


@contextmanager
def _connection(url: str) -> Iterator[Any]:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)) as file:
            yield file
    else:
        import psycopg

        with psycopg.connect(url) as server:
            yield server
