"""S6 in full, through both doors: sessions by hand, their ids, how they end, and processes that come and go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sojourn import current_session, end_session, identify, start_session, track
from sojourn.testing import ManualClock
from tests.doors.browser import FETCH, HTML, Browser, Protocol, Response, Site, view_of

MakeSite = Callable[..., Site]
HOUR = 3600


def started(site: Site) -> list[tuple[str, bool]]:
    return [(event.session_id, event.is_manual) for event in site.named("session.start")]


def reasons(site: Site) -> list[str]:
    return [reason for reason, _ in site.ends()]


@pytest.fixture
def checkout(site: Site, browser: Browser) -> Browser:
    """A browser on a site with pages that start a session by hand and end it."""
    site.views["/start"] = view_of(lambda: start_session("checkout-1"))
    site.views["/again"] = view_of(lambda: start_session("checkout-2"))
    site.views["/end"] = view_of(end_session)
    return browser


def test_a_manual_session_takes_over_and_hands_back(site: Site, checkout: Browser) -> None:
    for path in ("/", "/start", "/", "/end", "/"):
        checkout.navigate(path)
        site.clock.advance(HOUR)
    assert [is_manual for _, is_manual in started(site)] == [False, True, False]
    assert reasons(site) == ["idle_timeout", "ended"]
    links = [event.previous_id for event in site.named("session.start")]
    assert links == [None, site.sessions[0], None]


def test_starting_in_a_running_session_ends_it_as_restarted_at_that_request(site: Site, checkout: Browser) -> None:
    checkout.navigate("/")
    site.clock.advance(60)
    checkout.navigate("/start")
    site.clock.advance(60)
    checkout.navigate("/again")
    assert site.ends() == [("restarted", 60.0), ("restarted", 60.0)]
    assert [event.previous_id for event in site.named("session.start")] == [None, *site.sessions[:2]]


def test_the_running_sessions_own_id_changes_nothing(site: Site, checkout: Browser) -> None:
    for _ in range(3):
        checkout.navigate("/start")
        site.clock.advance(5 * HOUR)
    assert started(site) == [("checkout-1", True)]
    assert reasons(site) == []


@pytest.mark.parametrize("number", [12345678901, "12345678901"], ids=["int", "text"])
def test_a_number_and_its_text_are_the_same_id(site: Site, browser: Browser, number: str | int) -> None:
    site.views["/"] = view_of(lambda: start_session("12345678901"))
    browser.navigate()
    site.views["/"] = view_of(lambda: start_session(number))
    browser.navigate()
    assert started(site) == [("12345678901", True)]


def test_a_reused_id_is_another_session_under_the_same_name(site: Site, checkout: Browser) -> None:
    for path in ("/start", "/end", "/start", "/end"):
        checkout.navigate(path)
        site.clock.advance(1)
    assert started(site) == [("checkout-1", True)] * 2
    keys = [event.session_key for event in site.named("session.start")]
    assert len(set(keys)) == 2
    assert [event.session_key for event in site.named("session.end")] == keys
    assert len({event.id for event in site.events}) == len(site.events)


def test_a_shared_manual_id_merges_no_visitors(site: Site, checkout: Browser) -> None:
    other = Browser(site)
    site.views["/mine"] = view_of(lambda: start_session("checkout-1"), lambda: identify("bob"))
    checkout.navigate("/start")
    other.navigate("/mine")
    first, second = site.named("session.start")
    assert first.session_id == second.session_id == "checkout-1"
    assert first.session_key != second.session_key
    assert first.visitor_id != second.visitor_id
    assert {event.user_id for event in site.events if event.session_key == first.session_key} == {None}


@pytest.mark.parametrize("is_automatic", [True, False], ids=["automatic", "by hand only"])
def test_a_manual_session_survives_a_restart_of_the_process(
    protocol: Protocol, tmp_path: Path, *, is_automatic: bool
) -> None:
    clock = ManualClock()
    cookies: dict[str, str] = {}
    names: list[str] = []
    for path in ("/start", "/", "/", "/end", "/"):
        site = Site(protocol, clock=clock, store=f"sqlite:///{tmp_path}/sojourn.db", automatic=is_automatic)
        site.views["/start"] = view_of(lambda: start_session("checkout-1"))
        site.views["/end"] = view_of(end_session)
        browser = Browser(site, cookies=cookies)
        browser.navigate(path)
        cookies = browser.cookies
        names += [event.name for event in site.events if event.name in {"session.start", "session.end"}]
        site.close()
        clock.advance(5 * HOUR)
    assert names == ["session.start", "session.end", *(["session.start"] if is_automatic else [])]


@pytest.mark.parametrize(
    ("silence", "ended"),
    [pytest.param(24 * HOUR - 1, [], id="just not"), pytest.param(24 * HOUR, ["idle_timeout"], id="silent too long")],
)
def test_silence_ends_a_manual_session_after_a_day(
    site: Site, checkout: Browser, silence: int, ended: list[str]
) -> None:
    checkout.navigate("/start")
    site.clock.advance(silence)
    assert site.engine.sweep() == len(ended)
    assert reasons(site) == ended


def test_with_no_limit_of_silence_it_goes_on_for_ever(make_site: MakeSite) -> None:
    site = make_site(manual_max_silence=None, cookie_max_age="395d")
    browser = Browser(site)
    site.views["/start"] = view_of(start_session)
    browser.navigate("/start")
    site.clock.advance(300 * 24 * HOUR)
    assert site.engine.sweep() == 0
    browser.navigate("/")
    assert len(site.sessions) == 1


def test_a_successor_after_silence_is_automatic_and_keeps_the_user(site: Site, checkout: Browser) -> None:
    checkout.navigate("/start")
    site.views["/"] = view_of(lambda: identify("ada"))
    checkout.navigate("/")
    site.views["/"] = view_of()
    site.clock.advance(24 * HOUR)
    checkout.navigate("/")
    assert [is_manual for _, is_manual in started(site)] == [True, False]
    assert site.named("session.start")[1].user_id == "ada"


def test_a_fetch_may_start_one_and_a_bot_may_not(site: Site, checkout: Browser) -> None:
    checkout.ask("GET", "/start", {**FETCH, "user-agent": "Googlebot/2.1 (+http://www.google.com/bot.html)"})
    assert site.events == []
    assert site.ignored["crawler"] == 1
    checkout.fetch("/start")
    assert started(site) == [("checkout-1", True)]


def test_where_the_cookie_cannot_be_delivered_a_first_one_is_not_begun(site: Site, browser: Browser) -> None:
    public = Response(headers=(HTML, ("cache-control", "public")))
    site.views["/start"] = view_of(lambda: start_session("checkout-1"), lambda: track("seen"), response=public)
    browser.navigate("/start")
    assert site.events == []
    assert site.ignored == {"undeliverable": 1, "no_session": 2}


def test_a_late_start_follows_the_running_session_and_corrects_the_next_cookie(site: Site, browser: Browser) -> None:
    browser.navigate()
    site.views["/late"] = view_of(response=Response(late=lambda: start_session("checkout-1")))
    browser.navigate("/late")
    assert [session for session, _ in started(site)][1:] == ["checkout-1"]
    assert browser.navigate().cookies != []
    assert len(site.sessions) == 2


def test_without_automatic_nothing_but_the_app_starts_or_ends_one(make_site: MakeSite) -> None:
    site = make_site(automatic=False, manual_max_silence=None)
    seen: list[Any] = []
    site.views["/start"] = view_of(lambda: start_session("checkout-1"))
    site.views["/look"] = view_of(lambda: seen.append(current_session()))
    site.views["/end"] = view_of(end_session, lambda: track("lost"))
    browser = Browser(site)
    for path in ("/look", "/start", "/look", "/end", "/look"):
        browser.navigate(path)
        site.clock.advance(30 * HOUR)
    assert [None if view is None else view.id for view in seen] == [None, "checkout-1", None]
    assert (started(site), reasons(site)) == ([("checkout-1", True)], ["ended"])
    assert site.named("lost") == []
    assert site.ignored["automatic_off"] >= 1
