"""Tombstones in SQLite: under a key of the store's own, and without a statement more for those who stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from sojourn.stores import SQLiteStore, open_store
from sojourn.stores.model import SESSION, USER, VISITOR, Batch, DataSubject, Tombstone
from tests.stores.contract.steps import NOW, event, mark, row, save, tombstones

ANNA = DataSubject(VISITOR, "anna's browser")


def hashes(store: SQLiteStore) -> list[str]:
    with store._connections.reading() as db:
        return [line[0] for line in db.execute("SELECT hash FROM sojourn_tombstones ORDER BY hash")]


def test_two_stores_have_different_hashes_of_one_person(tmp_path: Path) -> None:
    stores = [SQLiteStore(tmp_path / f"{name}.db") for name in ("a", "b")]
    for store in stores:
        store.data_subjects.add_tombstone(ANNA, at=NOW)
        store.data_subjects.add_tombstone(DataSubject(USER, ANNA.id), at=NOW)
    found = [each for store in stores for each in hashes(store)]
    assert len(set(found)) == 4
    assert {len(each) for each in found} == {32}
    for store in stores:
        store.close()


def test_a_tombstone_is_found_by_the_store_of_another_process(tmp_path: Path) -> None:
    """One that had seen no tombstone when it began."""
    first, second = (open_store(f"sqlite:///{tmp_path}/one.db") for _ in range(2))
    assert tombstones(first, ANNA) == {}
    second.data_subjects.add_tombstone(ANNA, at=NOW)
    assert tombstones(first, ANNA) == {ANNA: Tombstone(at=NOW)}
    save(second, Batch(opted_out={"other": NOW}))
    assert set(tombstones(first, ANNA, DataSubject(VISITOR, "other"))) == {ANNA, DataSubject(VISITOR, "other")}
    first.close()
    second.close()


def statements(have_left: int) -> list[str]:
    """What SQLite runs for a batch, those within the trigger too."""
    store = SQLiteStore(None)
    for number in range(have_left):
        store.data_subjects.add_tombstone(DataSubject(VISITOR, str(number)), at=NOW)
    tombstones(store, ANNA)  # the first look finds out whether there are any
    statement_kinds: list[str] = []
    with store._connections.reading() as db:
        db.set_trace_callback(lambda line: statement_kinds.append(line.split(None, 1)[0]))
        with store.records.recording() as recording:
            recording.load(["k"], people=[ANNA, DataSubject(SESSION, "k")])
            recording.save(Batch(rows=[row("k")], events=[event("e")], marks=[(mark("j", 1), 0)]))
        db.set_trace_callback(None)
    store.close()
    return statement_kinds


@pytest.mark.parametrize("have_left", [1, 100])
def test_a_batch_takes_as_many_statements_however_many_have_left(have_left: int) -> None:
    usual = statements(0)
    assert statements(have_left) == usual
    assert (usual[:3], usual[-1]) == (["BEGIN", "SELECT", "INSERT"], "COMMIT")
