"""However little a call may look at, all pages together are the whole list; and the report says what its figures leave out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sojourn.stores import SQLiteStore
from sojourn.stores.model import Batch
from sojourn.stores.reporting import lists as lists_module
from sojourn.stores.reporting import rollups as rollups_module
from sojourn.stores.reporting import session_lists as session_lists_module
from sojourn.stores.reporting.model import DAY_MS, HOUR_MS, Bucket, Filter, Sort, Span
from tests.stores.contract.reporting import many
from tests.stores.contract.session_lists import VALUES, pages
from tests.stores.contract.steps import NOW, event, row, save


@pytest.fixture
def store() -> Iterator[SQLiteStore]:
    store = SQLiteStore(None)
    yield store
    store.close()


@pytest.mark.parametrize("is_narrow", [False, True], ids=["along an order", "sorted"])
@pytest.mark.parametrize("is_ascending", [False, True], ids=["descending", "ascending"])
@pytest.mark.parametrize("sort", list(Sort))
def test_a_search_that_stops_goes_on_from_there(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, sort: Sort, *, is_ascending: bool, is_narrow: bool
) -> None:
    monkeypatch.setattr(lists_module, "_EXAMINED", 5)
    monkeypatch.setattr(session_lists_module, "_NARROW", 1000 if is_narrow else 1)
    rows = many()
    save(store, Batch(rows=rows))
    span = Span(NOW + 3 * HOUR_MS, NOW + 40 * HOUR_MS)
    wanted = Filter(span=span, text="u1")
    found = list(pages(store, wanted, sort=sort, is_ascending=is_ascending, limit=2))
    assert [line.key for page in found for line in page.lines] == [
        each.key
        for each in sorted(
            rows,
            key=lambda each: (VALUES[sort](each), each.started_at, each.key),
            reverse=not is_ascending,
        )
        if each.user_id == "u1" and span.since <= each.started_at < span.until
    ]
    assert any(page.is_cut for page in found)
    assert not found[-1].is_cut
    back, cursor = list(found[-1].lines), found[-1].preceding
    while cursor is not None:
        page = store.sessions.page(wanted, sort=sort, is_ascending=is_ascending, cursor=cursor, limit=2)
        back, cursor = [*page.lines, *back], page.preceding
    assert back == [line for page in found for line in page.lines]


def test_what_costs_most_looks_at_least(store: SQLiteStore) -> None:
    count = lists_module._EXAMINED_BY_EVENTS + 5
    save(store, Batch(rows=[row(f"k{n:05}", NOW + n) for n in range(count)], events=[event("e", "k00002")]))
    wanted = Filter.of("path=/Straße/日本")
    first = store.sessions.page(wanted)
    assert (first.lines, first.is_cut) == ((), True)
    second = store.sessions.page(wanted, cursor=first.following)
    assert ([line.key for line in second.lines], second.is_cut, second.following) == (["k00002"], False, None)


def test_overview_reports_what_it_leaves_out(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups_module, "_COUNTED_AT_ONCE", 20)
    rows = many()
    save(store, Batch(rows=rows))
    span = Span(NOW, NOW + 2 * DAY_MS)
    summary = store.report.overview(span, bucket=Bucket.DAY, online_since=0)
    assert 0 < summary.pending == len(rows) - summary.figures.sessions
    assert summary.series[0].sessions < summary.series[1].sessions, "the latest are counted first"
    store.maintenance.roll_up(finished_before=NOW + 9 * DAY_MS, limit=1000)
    summary = store.report.overview(span, bucket=Bucket.DAY, online_since=0)
    assert (summary.pending, summary.figures.sessions) == (0, len(rows))


def test_the_latest_hours_are_counted_whatever_they_hold(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups_module, "_COUNTED_AT_ONCE", 0)
    save(store, Batch(rows=[row(str(hour), NOW + hour * HOUR_MS) for hour in range(4)]))
    summary = store.report.overview(Span(NOW, NOW + DAY_MS), bucket=Bucket.HOUR, online_since=0)
    assert [point.sessions for point in summary.series[:4]] == [0, 0, 1, 1]
    assert summary.pending == 2


@pytest.mark.parametrize("statement", ["lists", "figures"])
def test_every_list_reads_along_an_index(store: SQLiteStore, statement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No statement goes through all sessions or sorts them, but those that say so."""
    seen: list[str] = []
    read = store.database.read

    def read_and_note(sql: str, **values: object) -> tuple[Any, ...]:
        with store._connections.reading() as db:
            seen.extend(line[3] for line in db.execute(f"EXPLAIN QUERY PLAN {sql}", values))
        return read(sql, **values)

    monkeypatch.setattr(store.database, "read", read_and_note)
    if statement == "lists":
        for sort in Sort:
            first = store.sessions.page(Filter(text="x"), sort=sort)
            assert first.lines == ()
    else:
        store.report.overview(Span(NOW, NOW + DAY_MS), bucket=Bucket.DAY, online_since=NOW)
        store.sessions.detail("k")
    assert seen
    assert not [line for line in seen if line in {"SCAN sojourn_sessions", "SCAN s", "SCAN sojourn_events", "SCAN e"}]
