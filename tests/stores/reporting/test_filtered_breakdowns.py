"""Breakdowns of a filter over more sessions than are read: a sample stands for all, unless it is too small."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import pytest

from sojourn.stores import SQLiteStore
from sojourn.stores.model import Batch
from sojourn.stores.reporting import filtered, filtered_breakdowns, sampling
from sojourn.stores.reporting.model import DAY_MS, Bucket, Filter, Span
from tests.stores.contract.steps import NOW, event, row, save

ALL = Span(NOW, NOW + DAY_MS)
PHONES = Filter.of("device=phone")


@pytest.fixture
def store() -> Iterator[SQLiteStore]:
    store = SQLiteStore(None)
    rows, events = [], []
    for number in range(2000):
        made = row(f"k{number:04}", NOW + number * 1000)
        made.visitor_id = sha256(str(number).encode()).hexdigest()
        made.device = "phone" if number % 2 else "desktop"
        made.browser = "Rare" if number % 100 == 1 else "Firefox"
        rows.append(made)
        events.append(event(f"e{number}", made.key, made.started_at))
    save(store, Batch(rows=rows, events=events))
    yield store
    store.close()


@pytest.mark.parametrize("most", [20, 200], ids=["scattered", "among all"])
def test_sample_stands_for_all(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(filtered_breakdowns, "_READ", most)
    monkeypatch.setattr(filtered_breakdowns, "_READ_WITH_EVENTS", 100)
    monkeypatch.setattr(sampling, "_PROBED", 500)
    found = store.report.breakdowns(ALL, ["total", "pages"], PHONES)
    assert found.is_sampled
    assert found.tables["total"][""].sums[0] == pytest.approx(1000, rel=0.3 if most < 100 else 0.15)
    assert found.tables["pages"]["/Straße/日本"].sums[0] == pytest.approx(1000, rel=0.3 if most < 100 else 0.15)


def test_few_matches_in_a_sample_are_counted_one_by_one(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filtered_breakdowns, "_READ", 200)
    monkeypatch.setattr(sampling, "_PROBED", 500)
    found = store.report.breakdowns(ALL, ["total", "pages"], Filter.of("device=phone", "browser=Rare"))
    assert (found.tables["total"][""].sums[0], found.is_sampled) == (20, False)
    assert found.tables["pages"]["/Straße/日本"].sums[0] == 20


def test_figures_of_many_matches_are_about_right_and_those_of_few_exact(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filtered, "_READ", 200)
    monkeypatch.setattr(sampling, "_PROBED", 500)
    many = store.report.overview(ALL, PHONES, bucket=Bucket.DAY, online_since=0)
    assert many.is_sampled
    assert many.figures.sessions == pytest.approx(1000, rel=0.15)
    few = store.report.overview(ALL, Filter.of("device=phone", "browser=Rare"), bucket=Bucket.DAY, online_since=0)
    assert (few.figures.sessions, few.is_sampled) == (20, False)


def test_rare_values_are_found_without_reading_the_rows_of_other_sessions(store: SQLiteStore) -> None:
    """The database keeps to the wide index, of closed sessions, and to the one of open ones."""
    rare = sampling.select(store.database, Filter.of("browser=Rare", "errors=1.."), ALL, 1, most=9)
    with store._connections.reading() as db:
        plan = [line[3] for line in db.execute(f"EXPLAIN QUERY PLAN SELECT s.key FROM {rare.tables}", rare.values)]
    assert any("COVERING INDEX sojourn_ix_sessions_closed_filters" in line for line in plan)
    assert any("sojourn_ix_sessions_open_started" in line for line in plan)


def test_where_events_have_to_be_read_few_sessions_are_examined(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "_EXAMINED_BY_EVENTS", 500)
    found = store.report.breakdowns(ALL, ["total"], Filter.of("path=/Straße/日本", "device=phone"))
    assert found.is_sampled
    assert found.tables["total"][""].sums[0] == pytest.approx(1000, rel=0.15)
