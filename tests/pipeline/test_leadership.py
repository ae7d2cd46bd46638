"""Who may declare a lease's holder dead: only who shares its journal directory, and sees its lock free."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sojourn.pipeline.journal import FileJournal, MemoryJournal, open_files
from sojourn.pipeline.leadership import LEASE_MS, LeaseHolder, reader_of
from sojourn.stores import SQLiteStore

from .conftest import NOW

LEASE = "dispatcher:webhook"


@pytest.fixture
def store() -> Iterator[SQLiteStore]:
    store = SQLiteStore(None)
    store.open()
    yield store
    store.close()


def process(store: SQLiteStore, directory: Path) -> tuple[FileJournal, LeaseHolder]:
    journal = open_files(directory, limit=1 << 20)
    return journal, LeaseHolder(store.leases, journal, reader_of(journal, directory))


def test_a_lease_of_a_dead_process_of_this_directory_passes_at_once(store: SQLiteStore, tmp_path: Path) -> None:
    journal, first = process(store, tmp_path)
    other, second = process(store, tmp_path)
    assert first.acquire(LEASE, NOW) is not None
    assert second.acquire(LEASE, NOW) is None
    journal.close()
    taken = second.acquire(LEASE, NOW)
    assert taken is not None
    assert (taken.holder, taken.token) == (second.holder, 2)
    other.close()


def test_a_lease_passes_when_the_holders_journal_is_gone(store: SQLiteStore, tmp_path: Path) -> None:
    journal, first = process(store, tmp_path)
    first.acquire(LEASE, NOW)
    journal.close()
    for path in tmp_path.iterdir():
        path.unlink()
    other, second = process(store, tmp_path)
    assert second.acquire(LEASE, NOW) is not None
    other.close()


def test_a_lease_of_another_directory_passes_only_when_it_runs_out(store: SQLiteStore, tmp_path: Path) -> None:
    """What this host sees of another's locks is nothing, whether that lives or not."""
    journal, elsewhere = process(store, tmp_path / "a")
    elsewhere.acquire(LEASE, NOW)
    journal.close()
    other, here = process(store, tmp_path / "b")
    assert here.acquire(LEASE, NOW + LEASE_MS - 1) is None
    assert here.acquire(LEASE, NOW + LEASE_MS) is not None
    other.close()


def test_each_directory_has_its_own_recorder_lease(store: SQLiteStore, tmp_path: Path) -> None:
    journals, candidates = zip(*(process(store, tmp_path / name) for name in ("a", "b")), strict=True)
    assert all(each.acquire(each.recorder_lease, NOW) is not None for each in candidates)
    assert [each.acquire(LEASE, NOW) is not None for each in candidates] == [True, False]
    candidates[0].release()
    assert candidates[1].acquire(LEASE, NOW) is not None
    for journal in journals:
        journal.close()


def test_each_memory_journal_has_its_own_recorder_lease(store: SQLiteStore) -> None:
    first, second = MemoryJournal(), MemoryJournal()
    one, two = (LeaseHolder(store.leases, each, reader_of(each, None)) for each in (first, second))
    assert one.acquire(LEASE, NOW) is not None
    first.close()
    assert two.acquire(LEASE, NOW) is None
    assert one.recorder_lease != two.recorder_lease
