"""What the background does with the salts of days: agree on them, and destroy them with what they led to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest

from sojourn.errors import StoreError
from sojourn.pipeline.salts import DailySalts
from sojourn.pipeline.visitor_table import FILE_NAME, VisitorTable
from sojourn.stores import SQLiteStore

DAY, MINUTE = 86_400_000, 60_000
MIDNIGHT = 20_000 * DAY
NOON = MIDNIGHT - DAY // 2
GRACE = 30 * MINUTE
ANNA, BEN = b"a" * 16, b"b" * 16


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "sojourn.db")
    store.open()
    yield store
    store.close()


@pytest.fixture
def table(tmp_path: Path) -> Iterator[VisitorTable]:
    table = VisitorTable(tmp_path / "journals")
    yield table
    table.close()


def salts_of(store: SQLiteStore, table: VisitorTable) -> DailySalts:
    return DailySalts(store, table, zone=UTC, grace=GRACE)


def test_a_day_is_forgotten_after_the_grace_with_all_that_was_kept_of_it(
    store: SQLiteStore, table: VisitorTable, tmp_path: Path
) -> None:
    salts = salts_of(store, table)
    salts.turn(NOON)
    (yesterday,) = table.salts()
    assert yesterday.is_agreed
    table.put(ANNA, 0, b"a session of yesterday", NOON)
    table.put(BEN, 0, b"a session in progress", MIDNIGHT + MINUTE)
    salts.turn(MIDNIGHT + GRACE - 1)
    assert table.get(ANNA) is not None
    salts.turn(MIDNIGHT + GRACE)
    assert (table.get(ANNA), table.get(BEN)) == (None, (0, b"a session in progress"))
    content = (tmp_path / "journals" / FILE_NAME).read_bytes()
    assert b"a session of yesterday" not in content
    assert yesterday.salt not in content
    assert [salt.starts_at for salt in table.salts()] == [MIDNIGHT]


def test_a_process_that_starts_later_forgets_what_the_last_one_left(store: SQLiteStore, table: VisitorTable) -> None:
    salts_of(store, table).turn(NOON)
    table.put(ANNA, 0, b"a session of long ago", NOON)
    salts_of(store, table).turn(NOON + 3 * DAY)
    assert table.get(ANNA) is None
    assert [salt.starts_at for salt in table.salts()] == [MIDNIGHT + 2 * DAY]


def test_a_store_that_is_away_leaves_the_host_its_own_salt(table: VisitorTable, tmp_path: Path) -> None:
    (tmp_path / "sojourn.db").write_bytes(b"no database" * 100)
    away = SQLiteStore(tmp_path / "sojourn.db")
    own = table.salt_of(MIDNIGHT - DAY, until=MIDNIGHT + GRACE)
    with pytest.raises(StoreError):
        salts_of(away, table).turn(NOON)
    assert table.salts() == (own,)
