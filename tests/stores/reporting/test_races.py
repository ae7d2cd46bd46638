"""A summary is never kept that a session of its hour was changed for, however close the change came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from sojourn.stores import PostgreSQLStore, SQLiteStore
from sojourn.stores.protocol import Batch
from sojourn.stores.reporting.model import DAY_MS, HOUR_MS, Bucket, Span, Top
from tests.postgres import Cluster
from tests.stores.contract.steps import NOW, row, save

Report = SQLiteStore | PostgreSQLStore
SPAN = Span(NOW, NOW + DAY_MS)


@pytest.fixture(params=["sqlite", "postgresql"])
def report(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Report]:
    store: Report
    if request.param == "sqlite":
        store = SQLiteStore(tmp_path / "store.db")
    else:
        cluster: Cluster = request.getfixturevalue("postgres")
        store = PostgreSQLStore(cluster.fresh_database())
    store.open()
    yield store
    store.close()


def sessions(report: Report) -> int:
    return report.overview(SPAN, bucket=Bucket.DAY, online_since=0).figures.sessions


def summarise(report: Report) -> int:
    return report.summarise(finished_before=NOW + 9 * DAY_MS, limit=9)


def while_counting(monkeypatch: pytest.MonkeyPatch, report: Report, change: Callable[[], object]) -> None:
    """Make this change when an hour has been counted, and is not kept yet."""
    count = report._summary

    def count_and_change(at: int) -> object:
        made = count(at)
        monkeypatch.setattr(report, "_summary", count)
        change()
        return made

    monkeypatch.setattr(report, "_summary", count_and_change)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda report: save(report, Batch(rows=[row("new", NOW + 2)])), id="a session begins"),
        pytest.param(lambda report: save(report, Batch(rows=[row("a", NOW, seen=NOW + 9)])), id="a session goes on"),
        pytest.param(lambda report: save(report, Batch(rows=[row("a", NOW + HOUR_MS)])), id="a session moves away"),
    ],
)
def test_what_changed_while_it_was_counted_is_not_kept(
    report: Report, change: Callable[[Report], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    save(report, Batch(rows=[row("a", NOW), row("b", NOW + 1)]))
    while_counting(monkeypatch, report, lambda: change(report))
    assert summarise(report) == 0
    before = sessions(report)
    assert summarise(report) > 0
    assert sessions(report) == before == len(report.sessions(limit=9))


def test_of_two_who_sum_up_the_same_hour_one_is_kept(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    save(report, Batch(rows=[row("a", NOW)]))
    while_counting(monkeypatch, report, lambda: summarise(report))
    assert summarise(report) == 0
    assert summarise(report) == 0, "the other one has done it"
    assert sessions(report) == 1


def test_who_died_while_summing_up_leaves_nothing_that_counts(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    save(report, Batch(rows=[row("a", NOW)]))
    while_counting(monkeypatch, report, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        summarise(report)
    assert sessions(report) == 1
    assert summarise(report) == 2, "an hour and its day"


def test_what_is_summed_up_while_an_overview_is_made_counts_once(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = row("a", NOW)
    one.entry_path = "/"
    save(report, Batch(rows=[one]))
    while_counting(monkeypatch, report, lambda: summarise(report))
    told = report.overview(SPAN, bucket=Bucket.DAY, online_since=0)
    assert (told.figures.sessions, told.tops.entry_paths) == (1, (Top("/", 1),))


def test_a_claim_waits_for_who_is_writing(postgres: Cluster) -> None:
    """On PostgreSQL a transaction that has changed a session knows nothing of a claim that comes after."""
    url = postgres.fresh_database()
    with closing(PostgreSQLStore(url)) as report, closing(PostgreSQLStore(url)) as other, ThreadPoolExecutor(1) as pool:
        save(report, Batch(rows=[row("a", NOW)]))
        with other.recording() as recording:
            recording.save(Batch(rows=[row("b", NOW + 1)]))
            summing = pool.submit(summarise, report)
            with pytest.raises(TimeoutError):
                summing.result(0.3)
        assert summing.result(20) == 2, "an hour and its day"
        pool.submit(report.close).result(20)
        assert sessions(report) == 2
