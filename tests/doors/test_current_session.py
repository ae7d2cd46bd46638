"""What a view sees of its session before the first byte, by cookie and memory; and its history, from the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sojourn import current_session, end_session, identify, opt_out, track
from sojourn.core.history import PastEvent
from sojourn.data_subjects import erase
from sojourn.errors import StoreError
from sojourn.propagation import extract, inject
from tests.doors.browser import Browser, Site, view_of
from tests.doors.several_sites import PUBLIC

MakeSite = Callable[..., Site]


@pytest.fixture
def seen(site: Site) -> list[Any]:
    """What views of these paths see."""
    seen: list[Any] = []
    site.views["/"] = view_of(lambda: seen.append(current_session()))
    site.views["/out"] = view_of(end_session)
    site.views["/buy"] = view_of(lambda: track("purchase", {"total": 42}))
    site.views["/in"] = view_of(lambda: identify("ada"))
    site.views["/leave"] = view_of(lambda: identify(None))
    return seen


def test_the_number_of_the_visit_counts_this_browsers_sessions(site: Site, browser: Browser, seen: list[Any]) -> None:
    browser.navigate("/")
    browser.navigate("/")
    site.clock.advance(3600)
    browser.navigate("/")  # after the idle timeout
    browser.navigate("/out")
    browser.navigate("/")
    Browser(site).navigate("/")
    assert [session.visit_number for session in seen] == [1, 1, 2, 3, 1]
    assert [session.is_new for session in seen] == [True, False, True, True, True]


def test_how_the_session_began_is_known_from_its_first_request_on(site: Site, browser: Browser) -> None:
    seen: list[Any] = []
    site.views["/in"] = site.views["/later"] = view_of(lambda: seen.append(current_session()))
    browser.navigate("/in?utm_source=google&utm_medium=cpc&utm_campaign=spring", referer="https://www.google.com/")
    browser.navigate("/later")
    expected = ("/in", "google.com", "Paid search", "spring")
    assert [(each.entry_path, each.source, each.channel, each.campaign) for each in seen] == [expected, expected]
    site.clock.advance(3600)
    browser.navigate("/later")
    assert (seen[2].entry_path, seen[2].source, seen[2].campaign) == ("/later", "Direct", None)


def test_another_worker_does_not_know_what_it_has_not_seen(
    site: Site, browser: Browser, seen: list[Any], make_site: MakeSite
) -> None:
    other = make_site(clock=site.clock)
    other.views = site.views
    browser.navigate("/buy")
    Browser(other, cookies=browser.cookies).navigate("/")
    (session,) = seen
    assert (session.visit_number, session.is_new) == (1, False)  # by the cookie
    assert (session.entry_path, session.source, session.channel, session.campaign) == (None, None, None, None)
    assert session.last("purchase") is None


def test_the_last_event_of_a_name(site: Site, browser: Browser, seen: list[Any]) -> None:
    site.views["/both"] = view_of(
        lambda: track("purchase", {"total": 1}),
        lambda: seen.append(current_session()),  # in the same request
    )
    browser.navigate("/")
    assert seen[0].last("purchase") is None
    browser.navigate("/both")
    at = site.clock.now()
    site.clock.advance(60)
    browser.navigate("/")
    assert [session.last("purchase") for session in seen[1:]] == [
        PastEvent(name="purchase", at=at, properties={"total": 1})
    ] * 2
    browser.navigate("/buy")
    browser.navigate("/")
    assert seen[-1].last("purchase").properties == {"total": 42}
    site.clock.advance(3600)
    browser.navigate("/")  # the next visit of the same person
    assert seen[-1].last("purchase").properties == {"total": 42}
    Browser(site).navigate("/")
    assert seen[-1].last("purchase") is None


@pytest.mark.parametrize("leaving", ["/leave", "/out"])
def test_nothing_of_one_person_is_shown_to_the_next(
    site: Site, browser: Browser, seen: list[Any], leaving: str
) -> None:
    browser.navigate("/in")
    browser.navigate("/buy")
    browser.navigate("/")
    site.engine.flush()
    assert seen[0].last("purchase")
    assert [event.name for past in seen[0].history() for event in past.events] == ["purchase"]
    browser.navigate(leaving)
    browser.navigate("/")
    site.engine.flush()
    assert seen[1].last("purchase") is None
    assert [event for past in seen[1].history() for event in past.events] == []


def test_an_event_that_is_too_long_to_be_remembered_is_not_the_last_one(
    site: Site, browser: Browser, seen: list[Any]
) -> None:
    site.views["/long"] = view_of(lambda: track("purchase", {"text": "x" * 1001}))
    browser.navigate("/buy")
    browser.navigate("/long")
    browser.navigate("/")
    assert seen[0].last("purchase") is None


def test_the_history_is_read_from_the_store(site: Site, browser: Browser, seen: list[Any]) -> None:
    browser.navigate("/buy?utm_campaign=spring", referer="https://www.google.com/")
    site.clock.advance(3600)
    site.engine.sweep()
    browser.navigate("/")
    site.engine.flush()
    latest, first = seen[0].history()
    assert (latest.id, latest.is_open, latest.events) == (seen[0].id, True, ())
    assert (first.is_open, first.entry_path, first.campaign, first.page_views) == (False, "/buy", "spring", 1)
    assert [(event.name, event.properties) for event in first.events] == [("purchase", {"total": 42})]
    assert asyncio.run(seen[0].history_async(1)) == (latest,)
    assert seen[0].history(0) == (latest,)
    browser.navigate("/")
    erase(site.engine.store, visitor_id=seen[0].visitor_id, now=site.clock.now())
    assert seen[0].history() == ()


def test_the_history_of_a_user_is_theirs_again_when_they_return(site: Site, browser: Browser, seen: list[Any]) -> None:
    for path in ("/in", "/buy", "/out", "/", "/in", "/"):
        browser.navigate(path)
    site.engine.flush()
    assert [past.user_id for past in seen[1].history()] == ["ada", "ada"]
    assert seen[0].history() == ()  # what the request in between saw was a stranger's


def test_a_store_that_cannot_be_read_is_an_empty_history(
    site: Site, browser: Browser, seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.navigate("/")

    def fail(*_: object, **__: object) -> None:
        raise StoreError("the database is away")

    monkeypatch.setattr(site.engine.store.history, "of_visitor", fail)
    assert seen[0].history() == ()
    assert asyncio.run(seen[0].history_async()) == ()


def test_a_job_knows_the_cookies_part_and_may_read_the_history(site: Site, browser: Browser, seen: list[Any]) -> None:
    job: dict[str, Any] = {}
    site.views["/send"] = view_of(lambda: inject(job))
    browser.navigate("/buy")
    browser.navigate("/send")
    site.engine.flush()
    with extract(job, site.engine):
        session = current_session()
        assert session is not None
        assert session.visit_number == 1
        assert [past.id for past in session.history()] == [session.id]


def test_there_is_none_for_a_bot_after_an_opt_out_and_outside(site: Site, browser: Browser, seen: list[Any]) -> None:
    browser.ask("GET", "/", {"user-agent": "Googlebot/2.1"})
    kept: list[Any] = []
    site.views["/no"] = view_of(
        lambda: track("purchase"),
        lambda: kept.append(current_session()),
        opt_out,
        lambda: seen.append(current_session()),
    )
    browser.navigate("/no")
    browser.navigate("/")
    assert seen == [None, None, None]
    assert (kept[0].last("purchase"), kept[0].history()) == (None, ())
    assert current_session() is None


def test_a_page_that_cannot_begin_a_session_shows_what_it_would_be(site: Site, browser: Browser) -> None:
    seen: list[Any] = []
    site.views["/"] = view_of(lambda: seen.append(current_session()), response=PUBLIC)
    browser.navigate("/")
    assert seen[0].entry_path == "/"
    assert site.names() == []
