"""A rollup is never stored if a session of its hour changed meanwhile, however close the change came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from sojourn.stores import PostgreSQLStore, SQLiteStore
from sojourn.stores.model import Batch
from sojourn.stores.reporting.model import DAY_MS, HOUR_MS, Bucket, Span
from tests.postgres import Cluster
from tests.stores.contract.steps import NOW, row, save

Report = SQLiteStore | PostgreSQLStore
SPAN = Span(NOW, NOW + DAY_MS)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Report]:
    store: Report
    if request.param == "sqlite":
        store = SQLiteStore(tmp_path / "store.db")
    else:
        cluster: Cluster = request.getfixturevalue("postgres")
        store = PostgreSQLStore(cluster.fresh_database())
    store.open()
    yield store
    store.close()


def sessions(store: Report) -> int:
    return store.report.overview(SPAN, bucket=Bucket.DAY, online_since=0).figures.sessions


def roll_up(store: Report) -> int:
    return store.maintenance.roll_up(finished_before=NOW + 9 * DAY_MS, limit=9)


def while_counting(
    monkeypatch: pytest.MonkeyPatch, store: Report, change: Callable[[], object], by: str = "_whole_hour"
) -> None:
    """Make this change when an hour has been counted, and is not kept yet."""
    rollups = store.rollups
    count = getattr(rollups, by)

    def count_and_change(at: int) -> object:
        made = count(at)
        monkeypatch.setattr(rollups, by, count)
        change()
        return made

    monkeypatch.setattr(rollups, by, count_and_change)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda store: save(store, Batch(rows=[row("new", NOW + 2)])), id="a session begins"),
        pytest.param(lambda store: save(store, Batch(rows=[row("a", NOW, seen=NOW + 9)])), id="a session goes on"),
        pytest.param(lambda store: save(store, Batch(rows=[row("a", NOW + HOUR_MS)])), id="a session moves away"),
    ],
)
def test_rollup_is_not_stored_if_a_session_changed_meanwhile(
    store: Report, change: Callable[[Report], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    save(store, Batch(rows=[row("a", NOW), row("b", NOW + 1)]))
    while_counting(monkeypatch, store, lambda: change(store))
    assert roll_up(store) == 0
    before = sessions(store)
    assert roll_up(store) > 0
    assert sessions(store) == before == len(store.sessions.latest(limit=9))


def test_one_of_two_concurrent_rollups_is_stored(store: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    save(store, Batch(rows=[row("a", NOW)]))
    while_counting(monkeypatch, store, lambda: roll_up(store))
    assert roll_up(store) == 0
    assert roll_up(store) == 0, "the other one has done it"
    assert sessions(store) == 1


def test_interrupted_rollup_is_made_again(store: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    save(store, Batch(rows=[row("a", NOW)]))
    while_counting(monkeypatch, store, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        roll_up(store)
    assert sessions(store) == 1
    assert roll_up(store) == 2, "an hour and its day"


def test_hour_rolled_up_during_an_overview_counts_once(store: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    one = row("a", NOW)
    one.entry_path = "/"
    save(store, Batch(rows=[one]))
    while_counting(monkeypatch, store, lambda: roll_up(store), by="_rollup")
    summary = store.report.overview(SPAN, bucket=Bucket.DAY, online_since=0)
    entries = store.report.breakdowns(SPAN, ["entries"]).tables["entries"]
    assert (summary.figures.sessions, {path: counts.sums[0] for path, counts in entries.items()}) == (1, {"/": 1})


def test_claim_waits_for_open_transactions(postgres: Cluster) -> None:
    """On PostgreSQL a transaction that has changed a session knows nothing of a claim that comes after."""
    url = postgres.fresh_database()
    with closing(PostgreSQLStore(url)) as store, psycopg.connect(url) as other, ThreadPoolExecutor(1) as pool:
        save(store, Batch(rows=[row("a", NOW)]))
        other.execute("SET LOCAL search_path = sojourn")
        other.execute("UPDATE sojourn_sessions SET errors = 1")
        rolling = pool.submit(roll_up, store)
        with pytest.raises(TimeoutError):
            rolling.result(0.3)
        other.commit()
        assert rolling.result(20) == 2, "an hour and its day"
        summary = store.report.overview(SPAN, bucket=Bucket.DAY, online_since=0)
        pool.submit(store.close).result(20)
        assert summary.figures.error_sessions == 1
