"""Figures that count visitors without a cookie say so: these are counted by day."""

from __future__ import annotations

import json

import pytest

from sojourn.stores.model import Batch
from tests.report.harness import App, Reader
from tests.stores.contract.steps import row, save

DAY = 86_400_000
NOTICE = "without a cookie"


def visit(app: App, visitor: str, days_ago: int, *, kind: str | None) -> None:
    made = row(f"{visitor}-{days_ago}", app.clock.now() - days_ago * DAY - 60_000)
    made.visitor_id, made.visitor_kind, made.page_views = visitor, kind, 1
    save(app.engine.store, Batch(rows=[made]))


@pytest.fixture
def mixed(app: App) -> App:
    """Somebody with a cookie, and a person without one who came on three days."""
    visit(app, "anna", 1, kind=None)
    for day in range(3):
        visit(app, f"of day {day}", day, kind="cookieless")
    return app


def test_the_overview_says_how_many_sessions_are_counted_by_day(mixed: App, reader: Reader) -> None:
    assert "3 of 4 sessions are of visitors without a cookie" in reader.get("/").words


def test_a_filter_leaves_out_who_has_a_cookie_or_who_has_none(mixed: App, reader: Reader) -> None:
    assert "3 of 3 sessions" in reader.get("/", visitor_kind="cookieless").words
    words = reader.get("/", **{"visitor_kind!": "cookieless"}).words
    assert NOTICE not in words
    assert "Visitors 1" in words


@pytest.mark.parametrize("rolled_up", [False, True], ids=["counted", "rolled up"])
def test_figures_for_programs_have_the_number(mixed: App, reader: Reader, *, rolled_up: bool) -> None:
    if rolled_up:
        store = mixed.engine.store
        while store.maintenance.roll_up(finished_before=mixed.clock.now(), limit=1000):
            pass
    figures = json.loads(reader.get("/overview.json").text)["figures"]
    assert (figures["sessions"], figures["cookieless_sessions"], figures["visitors"]) == (4, 3, 4)


def test_goals_and_funnels_by_visitor_say_so(mixed: App, reader: Reader) -> None:
    assert NOTICE in reader.get("/goals").words
    assert NOTICE in reader.get("/funnels", steps="/a > /b", by="visitor").words
    assert NOTICE not in reader.get("/funnels", steps="/a > /b").words


def test_where_all_have_a_cookie_nothing_is_said(app: App, reader: Reader) -> None:
    visit(app, "anna", 1, kind=None)
    for page in ("/", "/goals", "/retention"):
        assert NOTICE not in reader.get(page).words
