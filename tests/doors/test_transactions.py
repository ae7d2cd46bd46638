"""`track(..., connection=...)`: an event shares the fate of the application's transaction, through both doors."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sojourn import SojournError, carry, end_session, identify, opt_out, set_session_property, track
from sojourn.data_subjects import erase
from sojourn.errors import StoreError, WrongDatabaseError
from tests.doors.browser import HTML, Browser, Response, Site, view_of

MakeSite = Callable[..., Site]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
def site(make_site: MakeSite, path: Path) -> Site:
    site = make_site(store=f"sqlite:///{path}")
    site.engine.store.open()
    return site


@pytest.fixture
def browser(site: Site) -> Browser:
    return Browser(site)


@pytest.fixture
def shop(site: Site, path: Path) -> Iterator[sqlite3.Connection]:
    """The application's connection, outside a transaction."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE orders (number INTEGER)")
    yield connection
    connection.close()


def inbox(connection: sqlite3.Connection) -> int:
    count: int = connection.execute("SELECT COUNT(*) FROM sojourn_inbox").fetchone()[0]
    return count


def buy(shop: sqlite3.Connection, **properties: Any) -> None:
    shop.execute("INSERT INTO orders VALUES (1)")
    track("purchase", {"total": 10, **properties}, connection=shop)


def test_an_event_appears_when_the_transaction_is_committed(
    site: Site, browser: Browser, shop: sqlite3.Connection
) -> None:
    site.views["/buy"] = view_of(lambda: shop.execute("BEGIN"), lambda: buy(shop))
    browser.navigate("/")
    browser.navigate("/buy", method="POST")
    shop.execute("COMMIT")
    (event,) = site.named("purchase")
    assert event.session_id == site.sessions[0]
    assert event.attributes["event_properties.total"] == 10
    assert inbox(shop) == 0
    assert len(site.named("purchase")) == 1
    row = site.engine.store.sessions.latest(limit=1)[0]
    assert (row.tracked_events, row.requests) == (1, 2)


def test_an_event_vanishes_with_a_rollback(site: Site, browser: Browser, shop: sqlite3.Connection) -> None:
    site.views["/"] = view_of(lambda: shop.execute("BEGIN"), lambda: buy(shop), lambda: shop.execute("ROLLBACK"))
    browser.navigate()
    assert site.names() == ["session.start", "page_view"]


def test_a_savepoint_takes_back_its_own_events_only(site: Site, browser: Browser, shop: sqlite3.Connection) -> None:
    def view() -> None:
        shop.execute("BEGIN")
        buy(shop, number=1)
        shop.execute("SAVEPOINT second")
        buy(shop, number=2)
        shop.execute("ROLLBACK TO second")
        buy(shop, number=3)
        shop.execute("COMMIT")

    site.views["/"] = view_of(view)
    browser.navigate()
    assert [event.attributes["event_properties.number"] for event in site.named("purchase")] == [1, 3]


def test_a_committed_event_brings_the_start_of_its_session(
    site: Site, browser: Browser, shop: sqlite3.Connection
) -> None:
    seen: list[list[str]] = []

    def view() -> None:
        identify("ada")
        set_session_property("plan", "pro")
        buy(shop)
        seen.append(site.names())  # the response has not started

    site.views["/"] = view_of(view)
    browser.navigate()
    assert seen == [["session.start", "purchase"]]
    assert site.names() == ["session.start", "purchase", "user.identify", "session.properties", "page_view"]
    start, purchase, identified = site.events[:3]
    assert "session.start_inferred" not in start.attributes
    assert start.attributes["url.path"] == "/"
    assert (purchase.user_id, purchase.attributes["session_properties.plan"]) == ("ada", "pro")
    assert identified.user_id == "ada"
    assert len(site.sessions) == 1


def test_an_event_is_recorded_before_the_end_of_its_session(
    site: Site, browser: Browser, shop: sqlite3.Connection
) -> None:
    site.views["/"] = view_of(lambda: shop.execute("BEGIN"), lambda: buy(shop))
    browser.navigate()
    shop.execute("COMMIT")
    site.clock.advance(3600)
    site.engine.sweep()
    assert site.names() == ["session.start", "page_view", "purchase", "session.end"]


@pytest.mark.parametrize(
    "response",
    [Response(headers=(HTML, ("cache-control", "public, max-age=60"))), Response(status=404)],
    ids=["public", "failed"],
)
def test_an_event_is_kept_where_the_session_cannot_be(
    site: Site, browser: Browser, shop: sqlite3.Connection, response: Response
) -> None:
    site.views["/"] = view_of(lambda: buy(shop), response=response)
    browser.navigate()
    assert "purchase" in site.names()
    assert len(site.sessions) == 1


def test_a_carried_call_writes_into_the_session_of_its_request(
    site: Site, browser: Browser, shop: sqlite3.Connection
) -> None:
    works: list[Callable[[], None]] = []
    site.views["/"] = view_of(lambda: works.append(carry(lambda: buy(shop))))
    browser.navigate()
    works[0]()
    assert site.names() == ["session.start", "page_view", "purchase"]
    site.views["/out"] = view_of(end_session)
    browser.navigate("/out")
    works[0]()
    assert site.events[-1].attributes["session.late"] is True
    assert [event.session_id for event in site.named("purchase")] == site.sessions * 2


def without_session(site: Site, browser: Browser, shop: sqlite3.Connection) -> None:
    site.views["/"] = view_of(lambda: buy(shop))
    browser.ask("GET", "/", {"user-agent": "Googlebot/2.1"})


def opted_out(site: Site, browser: Browser, shop: sqlite3.Connection) -> None:
    site.views["/"] = view_of(opt_out, lambda: buy(shop))
    browser.navigate()
    site.views["/"] = view_of(lambda: buy(shop))
    browser.navigate()


def excluded(site: Site, browser: Browser, shop: sqlite3.Connection) -> None:
    site.views["/health"] = view_of(lambda: buy(shop))
    browser.navigate("/health")


@pytest.mark.parametrize("visit", [without_session, opted_out, excluded])
def test_nothing_is_written_for_a_visitor_who_is_not_recorded(
    make_site: MakeSite, path: Path, visit: Callable[[Site, Browser, sqlite3.Connection], None]
) -> None:
    site = make_site(store=f"sqlite:///{path}", exclude=["/health"])
    site.engine.store.open()
    shop = sqlite3.connect(path, isolation_level=None)
    shop.execute("CREATE TABLE orders (number INTEGER)")
    visit(site, Browser(site), shop)
    assert inbox(shop) == 0
    assert site.named("purchase") == []
    assert shop.execute("SELECT COUNT(*) FROM orders").fetchone() != (0,)
    shop.close()


def test_an_opt_out_before_the_commit_suppresses_the_event(
    site: Site, browser: Browser, shop: sqlite3.Connection
) -> None:
    site.views["/buy"] = view_of(lambda: shop.execute("BEGIN"), lambda: buy(shop))
    site.views["/out"] = view_of(opt_out)
    browser.navigate("/")
    site.engine.flush()
    browser.navigate("/buy")
    browser.navigate("/out")
    shop.execute("COMMIT")
    assert "purchase" not in site.names()
    assert inbox(shop) == 0


def test_an_erasure_before_the_commit_suppresses_the_event(
    site: Site, browser: Browser, shop: sqlite3.Connection, path: Path
) -> None:
    site.views["/buy"] = view_of(lambda: shop.execute("BEGIN"), lambda: buy(shop))
    browser.navigate("/")
    visitor = site.events[0].visitor_id
    browser.navigate("/buy")
    site.clock.advance(seconds=1)
    shop.execute("ROLLBACK")  # a file has one writer, so the erasure comes before the next try
    browser.navigate("/buy")
    shop.execute("COMMIT")
    erase(site.engine.store, visitor_id=visitor, now=site.clock.now())
    assert inbox(shop) == 0
    assert site.engine.store.sessions.latest(limit=5) == []


def test_scrub_sees_the_event(make_site: MakeSite, path: Path) -> None:
    site = make_site(store=f"sqlite:///{path}", scrub=lambda event: None if event.name == "purchase" else event)
    site.engine.store.open()
    shop = sqlite3.connect(path, isolation_level=None)
    site.views["/"] = view_of(lambda: track("purchase", connection=shop))
    Browser(site).navigate()
    assert site.names() == ["session.start", "page_view"]
    assert site.engine.store.stats().counters["events.scrubbed"] == 1
    shop.close()


def test_an_attached_database_is_the_store_too(site: Site, browser: Browser, path: Path, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "other.db", isolation_level=None)
    other.execute("ATTACH ? AS 'the \"store\"'", (str(path),))
    site.views["/"] = view_of(lambda: track("purchase", connection=other))
    browser.navigate()
    assert "purchase" in site.names()
    other.close()


def raised_by(site: Site, browser: Browser, call: Callable[[], object]) -> Exception:
    """What a view's call raises."""
    errors: list[Exception] = []

    def view() -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - what it raises is the question
            errors.append(error)

    site.views["/"] = view_of(view)
    browser.navigate()
    return errors[0]


def test_a_connection_to_another_database_is_an_error_that_names_both(
    site: Site, browser: Browser, path: Path, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "other.db", isolation_level=None)
    error = raised_by(site, browser, lambda: track("purchase", connection=other))
    assert isinstance(error, WrongDatabaseError)
    assert isinstance(error, SojournError)
    assert str(tmp_path / "other.db") in str(error)
    assert f"sqlite:///{path}" in str(error)
    other.close()
    memory = sqlite3.connect(":memory:")
    assert "a SQLite database in memory" in str(raised_by(site, browser, lambda: track("purchase", connection=memory)))
    memory.close()


def test_a_store_that_is_yet_to_be_created_is_an_error_that_names_the_fix(make_site: MakeSite, path: Path) -> None:
    site = make_site(store=f"sqlite:///{path}")
    shop = sqlite3.connect(path, isolation_level=None)
    shop.execute("CREATE TABLE orders (number INTEGER)")
    error = raised_by(site, Browser(site), lambda: buy(shop))
    assert isinstance(error, StoreError)
    assert "engine.prepare_store()" in str(error)
    site.engine.prepare_store()
    site.views["/"] = view_of(lambda: buy(shop))
    Browser(site).navigate()
    assert "purchase" in site.names()
    shop.close()


def test_errors_of_the_database_reach_the_caller(site: Site, browser: Browser, shop: sqlite3.Connection) -> None:
    shop.execute("PRAGMA query_only = ON")
    error = raised_by(site, browser, lambda: track("purchase", connection=shop))
    assert isinstance(error, sqlite3.OperationalError)
    assert "purchase" not in site.names()


@pytest.mark.parametrize("connection", ["sqlite:///shop.db", object(), 7], ids=["a URL", "an object", "a number"])
def test_anything_but_a_connection_is_a_type_error_that_lists_what_is_accepted(
    site: Site, browser: Browser, connection: object
) -> None:
    error = raised_by(site, browser, lambda: track("purchase", connection=connection))
    assert isinstance(error, TypeError)
    assert "psycopg 3" in str(error)


def test_a_row_of_a_session_that_is_not_recorded_yet_waits_for_its_start(
    site: Site, browser: Browser, shop: sqlite3.Connection
) -> None:
    browser.navigate("/")
    site.views["/buy"] = view_of(lambda: buy(shop))
    browser.navigate("/buy")
    assert site.names()[:2] == ["session.start", "page_view"]
    assert "session.start_inferred" not in site.events[0].attributes
