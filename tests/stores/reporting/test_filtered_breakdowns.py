"""Breakdowns of a filter over more sessions than are read: a sample stands for all, unless it is too small."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import pytest

from sojourn.stores import SQLiteStore
from sojourn.stores.model import Batch
from sojourn.stores.reporting import filtered_breakdowns
from sojourn.stores.reporting.model import DAY_MS, Filter, Span
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


def test_sample_stands_for_all(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filtered_breakdowns, "_EXAMINED", 500)
    monkeypatch.setattr(filtered_breakdowns, "_EXAMINED_WITH_EVENTS", 100)
    monkeypatch.setattr(filtered_breakdowns, "_FEW", 50)
    found = store.report.breakdowns(ALL, ["total", "pages"], PHONES)
    assert found.is_sampled
    assert found.tables["total"][""].sums[0] == pytest.approx(1000, rel=0.15)
    assert found.tables["pages"]["/Straße/日本"].sums[0] == pytest.approx(1000, rel=0.15)


def test_few_matches_in_a_sample_are_counted_one_by_one(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filtered_breakdowns, "_EXAMINED", 500)
    found = store.report.breakdowns(ALL, ["total", "pages"], Filter.of("device=phone", "browser=Rare"))
    assert (found.tables["total"][""].sums[0], found.is_sampled) == (20, False)
    assert found.tables["pages"]["/Straße/日本"].sums[0] == 20
