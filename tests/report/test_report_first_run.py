"""A store that never had a session shows a checklist, fed by counters of whichever process; and the badge of the menu."""

from __future__ import annotations

import json

import pytest

from sojourn.health.conditions import Level
from sojourn.report._badge import FRESH_MS, Badge
from tests.report.conftest import MakeApp
from tests.report.harness import PASSWORD, App, Reader

BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def test_fresh_store_shows_only_the_checklist(app: App, reader: Reader) -> None:
    page = reader.get("/")
    assert "No session was recorded yet" in page.words
    for name in ("Middleware", "Last request", "Cookie", "Bots", "Excluded paths"):
        assert name in page.words
    assert "No data in this range" not in page.words
    assert "chart" not in page.text.partition("<main")[2]


def test_checklist_says_why_the_last_request_began_no_session(app: App, reader: Reader) -> None:
    app.visit("/", user_agent=BOT)
    app.clock.advance(3)
    app.visit("/", sec_fetch_mode="cors", sec_fetch_dest="empty")
    app.clock.advance(12)
    words = reader.get("/").words
    assert "12 s ago, and it began no session: it opens no page" in words
    assert "1 of a crawler began no session" in words
    app.visit("/", user_agent=BOT)
    assert "now, and it began no session: declared itself as a crawler" in reader.get("/").words


def test_reading_the_report_is_not_the_last_request(app: App, reader: Reader) -> None:
    app.visit("/", sec_fetch_mode="cors", sec_fetch_dest="empty")
    app.clock.advance(60)
    reader.get("/")
    app.engine.flush()
    assert "1 m ago, and it began no session: it opens no page" in reader.get("/").words


def test_checklist_gives_way_to_figures_with_the_first_session(app: App, reader: Reader) -> None:
    assert "No session was recorded yet" in reader.get("/").words
    assert "Middleware" in json.loads(reader.get("/live/first-run").text)["html"]
    app.visit("/")
    assert "The first session is here" in json.loads(reader.get("/live/first-run").text)["html"]
    assert "Sessions 1" in reader.get("/").words


def test_empty_range_of_a_used_store_shows_no_checklist(app: App, reader: Reader) -> None:
    app.visit("/")
    page = reader.get("/", since="2020-01-01T00:00Z", until="2020-01-02T00:00Z").words
    assert "No sessions in this range" in page
    assert "No session was recorded yet" not in page


def test_system_is_last_in_the_menu_without_a_badge_while_all_is_well(app: App, reader: Reader) -> None:
    app.visit("/")
    nav = reader.get("/").words.partition("Overview Sessions Goals Funnels Retention")[2]
    assert "System" in nav[:40]
    assert "needs attention" not in nav
    assert "action required" not in nav


@pytest.fixture
def broken(make_app: MakeApp) -> Reader:
    """A backend whose address takes nothing, for long enough to be a problem."""
    app = make_app(settings={"backends": ["webhook+http://127.0.0.1:9"]}, password=PASSWORD)
    app.visit("/")
    for _ in range(4):
        app.clock.advance(3_600)
        app.engine.flush()
    reader = Reader(app)
    reader.log_in()
    return reader


def test_badge_says_on_every_page_that_a_backend_takes_nothing(broken: Reader) -> None:
    for path in ("/", "/sessions", "/delivery"):
        assert "System ! action required" in broken.get(path).words, path


def test_badge_is_not_shown_before_the_log_in(broken: Reader) -> None:
    assert "action required" not in Reader(broken.app).get("/login").text


def test_badge_keeps_its_level_for_a_minute_and_forgets_it_where_it_cannot_be_read() -> None:
    badge = Badge(is_inline=True)
    assert badge.level(0, lambda: Level.WARNING) is Level.WARNING
    assert badge.level(FRESH_MS - 1, lambda: Level.OK) is Level.WARNING
    assert badge.level(FRESH_MS, lambda: Level.OK) is Level.OK

    def fail() -> Level:
        raise OSError

    assert badge.level(2 * FRESH_MS, fail) is None
    badge.note(2 * FRESH_MS, Level.CRITICAL)
    assert badge.level(2 * FRESH_MS, fail) is Level.CRITICAL
