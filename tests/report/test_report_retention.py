"""The retention page: cohorts by week, of browsers and of users."""

from __future__ import annotations

from sojourn.stores.model import Batch
from sojourn.stores.reporting.model import DAY_MS
from tests.report.harness import App, Reader
from tests.stores.contract.steps import row, save


def come(app: App, visitor: str, *weeks_ago: int, user: str | None = None) -> None:
    rows = []
    for number in weeks_ago:
        made = row(f"{visitor}-{number}", app.clock.now() - number * 7 * DAY_MS)
        made.visitor_id, made.user_id = visitor, user
        rows.append(made)
    save(app.engine.store, Batch(rows=rows))


def test_cohorts_of_browsers(app: App, reader: Reader) -> None:
    come(app, "one", 2, 1, 0)
    come(app, "two", 2, user="anna")
    come(app, "three", 1, user="anna")
    words = reader.get("/retention").words  # the clock of these tests stands at a Tuesday, 14 November 2023
    assert "Visitors, by browser" in words
    assert "All weeks 50 % —" in words  # the week that is not over is left out
    assert "13 Nov so far 0" in words
    assert "6 Nov 1 0.0 % *" in words
    assert "30 Oct 2 50 % 50 % *" in words
    assert "23 Oct" not in words


def test_visitors_without_a_cookie_are_left_out_and_that_is_said(app: App, reader: Reader) -> None:
    come(app, "one", 2, 1)
    assert "without a cookie" not in reader.get("/retention").words
    made = row("by day", app.clock.now() - 14 * DAY_MS)
    made.visitor_id, made.visitor_kind = "of a day", "cookieless"
    late = row("lately", app.clock.now() - 1000)
    late.visitor_id, late.visitor_kind = "of today", "cookieless"
    save(app.engine.store, Batch(rows=[made, late]))
    words = reader.get("/retention").words
    assert "30 Oct 1 100 % 0.0 % *" in words
    assert "Visitors without a cookie are left out" in words
    assert "without a cookie" not in reader.get("/retention", of="users").words


def test_cohorts_of_users(app: App, reader: Reader) -> None:
    come(app, "two", 2, user="anna")
    come(app, "three", 1, user="anna")
    words = reader.get("/retention", of="users", weeks="6").words
    assert "30 Oct 1 100 % 0.0 % *" in words
    assert "A user counts once" in words


def test_an_empty_store_and_a_bad_address(reader: Reader) -> None:
    assert "No visitors in these weeks" in reader.get("/retention").words
    assert "No users in these weeks" in reader.get("/retention", of="users").words
    assert "weeks: " in reader.get("/retention", weeks="7").words.replace(" :", ":")
