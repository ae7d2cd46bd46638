"""The table of visitors without a cookie: what one process keeps, every other process of the host finds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.pipeline.visitor_table import FILE_NAME, LONGEST_STATE, VisitorTable, in_memory

NOW = 1_800_000_000_000
DAY = 86_400_000
ANNA, BEN = b"a" * 16, b"b" * 16
ALIKE = [bytes(8) + number.to_bytes(8, "big") for number in range(1, 12)]
"""Hashes of one bucket, which has room for eight."""


@pytest.fixture
def open_table(tmp_path: Path) -> Iterator[Callable[[], VisitorTable]]:
    tables: list[VisitorTable] = []

    def open_one() -> VisitorTable:
        tables.append(VisitorTable(tmp_path))
        tables[-1].open()
        return tables[-1]

    yield open_one
    for table in tables:
        table.close()


@pytest.fixture(params=["file", "memory"])
def table(request: pytest.FixtureRequest, open_table: Callable[[], VisitorTable]) -> VisitorTable:
    return open_table() if request.param == "file" else in_memory()


def test_what_is_kept_is_found_and_nothing_else(table: VisitorTable) -> None:
    assert table.get(ANNA) is None
    table.put(ANNA, 2, b"in the shop", NOW)
    assert table.get(ANNA) == (2, b"in the shop")
    table.put(ANNA, 3, b"", NOW)
    assert table.get(ANNA) == (3, b"")
    assert table.get(BEN) is None


def test_another_process_finds_it_and_a_restart_keeps_it(
    open_table: Callable[[], VisitorTable], tmp_path: Path
) -> None:
    table = open_table()
    salt = table.salt_of(NOW, until=NOW + DAY)
    table.put(ANNA, 0, b"here", NOW)
    other = (
        "import sys, pathlib; from sojourn.pipeline.visitor_table import VisitorTable\n"
        "table = VisitorTable(pathlib.Path(sys.argv[1]))\n"
        "assert table.get(b'a' * 16) == (0, b'here')\n"
        f"print(table.salt_of({NOW}, until={NOW + DAY}).salt.hex()); table.put(b'b' * 16, 0, b'there', {NOW})"
    )
    done = subprocess.run([sys.executable, "-c", other, str(tmp_path)], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == salt.salt.hex()
    assert table.get(BEN) == (0, b"there")
    table.close()
    assert open_table().get(ANNA) == (0, b"here")
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_of_a_full_bucket_the_visitor_idle_for_longest_gives_way(table: VisitorTable) -> None:
    for number, hashed in enumerate(ALIKE[:8]):
        table.put(hashed, 0, b"first", NOW + number)
    table.put(ALIKE[0], 0, b"again", NOW + 100)
    table.put(ALIKE[8], 0, b"new", NOW + 200)
    assert table.get(ALIKE[1]) is None
    assert (table.get(ALIKE[0]), table.get(ALIKE[8])) == ((0, b"again"), (0, b"new"))


def test_the_file_does_not_grow_with_its_visitors(open_table: Callable[[], VisitorTable], tmp_path: Path) -> None:
    table = open_table()
    size = (tmp_path / FILE_NAME).stat().st_size
    for number in range(100_000):
        table.put(number.to_bytes(16, "little"), 0, b"x" * LONGEST_STATE, NOW)
    assert (tmp_path / FILE_NAME).stat().st_size == size
    table.put(ANNA, 0, b"x" * (LONGEST_STATE + 1), NOW)
    assert table.get(ANNA) is None


def test_a_torn_value_counts_as_none(open_table: Callable[[], VisitorTable], tmp_path: Path) -> None:
    table = open_table()
    table.put(ANNA, 0, b"some state", NOW)
    content = bytearray((tmp_path / FILE_NAME).read_bytes())
    at = content.index(b"some state")
    content[at] ^= 1
    (tmp_path / FILE_NAME).write_bytes(content)
    assert open_table().get(ANNA) is None


@given(st.lists(st.tuples(st.sampled_from(ALIKE), st.integers(0, 9), st.binary(max_size=LONGEST_STATE)), max_size=60))
def test_it_gives_what_was_kept_last_or_nothing(kept: list[tuple[bytes, int, bytes]]) -> None:
    table, last = VisitorTable(None, visitors=16), dict[bytes, tuple[int, bytes]]()
    for at, (hashed, generation, state) in enumerate(kept):
        table.put(hashed, generation, state, at)
        last[hashed] = generation, state
        assert table.get(hashed) == last[hashed]
    for hashed in ALIKE:
        assert table.get(hashed) in {None, last.get(hashed)}


# --- salts


def test_a_day_has_one_salt_and_another_day_another(table: VisitorTable) -> None:
    today = table.salt_of(NOW, until=NOW + DAY)
    assert table.salt_of(NOW, until=NOW + DAY) == today
    assert table.salt_of(NOW + DAY, until=NOW + 2 * DAY).salt != today.salt
    assert (len(today.salt), len(set(today.salt)) > 8, today.is_agreed) == (32, True, False)


def test_the_stores_salt_displaces_the_own_one(table: VisitorTable) -> None:
    own = table.salt_of(NOW, until=NOW + DAY)
    table.agree(NOW, b"s" * 32, until=NOW + DAY, keep_own_until=NOW + 99)
    agreed = table.salt_of(NOW, until=NOW + DAY)
    assert (agreed.salt, agreed.is_agreed) == (b"s" * 32, True)
    (displaced,) = (salt for salt in table.salts() if salt.is_displaced)
    assert (displaced.salt, displaced.until) == (own.salt, NOW + 99)


def test_the_own_salt_stays_where_the_store_took_it(table: VisitorTable) -> None:
    own = table.salt_of(NOW, until=NOW + DAY)
    table.agree(NOW, own.salt, until=NOW + DAY, keep_own_until=NOW + 99)
    assert [(salt.salt, salt.is_agreed) for salt in table.salts()] == [(own.salt, True)]


def test_a_salt_whose_time_is_over_is_overwritten(open_table: Callable[[], VisitorTable], tmp_path: Path) -> None:
    table = open_table()
    old, new = table.salt_of(NOW, until=NOW + DAY), table.salt_of(NOW + DAY, until=NOW + 2 * DAY)
    table.forget_salts(NOW + DAY - 1)
    assert old in table.salts()
    table.forget_salts(NOW + DAY)
    assert table.salts() == (new,)
    content = (tmp_path / FILE_NAME).read_bytes()
    assert (old.salt in content, new.salt in content) == (False, True)


def test_salts_take_bounded_room(table: VisitorTable) -> None:
    for day in range(100):
        last = table.salt_of(NOW + day * DAY, until=NOW + (day + 1) * DAY)
    assert len(table.salts()) == 8
    assert last in table.salts()
