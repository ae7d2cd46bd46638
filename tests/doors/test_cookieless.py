"""S18 through both doors: visitors without a cookie, who are known for a day. test_cookieless_rules.py has the other rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sojourn import end_session, identify, opt_in, opt_out, start_session, track
from sojourn.pipeline.visitor_table import FILE_NAME, VisitorTable
from sojourn.testing import ManualClock
from tests.doors.browser import HTML, Browser, Protocol, Response, Site, during, view_of
from tests.doors.several_sites import at

MakeSite = Callable[..., Site]
MINUTE, HOUR, DAY = 60, 3600, 86_400
HOME = "192.0.2.7"
ELSEWHERE = "198.51.100.9"
PUBLIC = Response(headers=(HTML, ("cache-control", "public, max-age=60")))
CLOCKS = {"timezone": "Europe/Vienna"}


@pytest.fixture
def always(make_site: MakeSite) -> Site:
    return make_site(cookieless="always", clock=at_local("2026-11-27 10:00"), **CLOCKS)


@pytest.fixture
def until_consent(make_site: MakeSite) -> Site:
    site = make_site(cookieless="until_consent", consent_required=True, clock=at_local("2026-11-27 10:00"), **CLOCKS)
    site.views["/yes"] = view_of(opt_in)
    return site


def at_local(text: str) -> ManualClock:
    return ManualClock(moment(text))


def moment(text: str) -> int:
    """The moment (ms) at which clocks in Vienna show this."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Vienna")).timestamp() * 1000)


def visitors(site: Site) -> list[str]:
    """The visitor of each session, in order."""
    return [event.visitor_id for event in site.named("session.start")]


def links(site: Site) -> list[str | None]:
    return [event.previous_id for event in site.named("session.start")]


# --- nothing is stored in the browser


def test_no_response_sets_a_cookie_and_every_page_is_of_one_session(always: Site) -> None:
    browser = Browser(always, scheme="https")
    always.views["/in"] = view_of(lambda: identify("anna"), lambda: track("x"))
    for path in ("/", "/in", "/a"):
        reply = browser.navigate(path)
        assert reply.cookies == []
        assert "private" not in reply.header("cache-control")
        always.clock.advance(MINUTE)
    assert len(always.sessions) == 1
    assert len(always.named("page_view")) == 3


def test_a_page_that_a_shared_cache_may_keep_begins_a_session_too(always: Site) -> None:
    always.views["/"] = view_of(response=PUBLIC)
    browser = Browser(always)
    browser.navigate()
    browser.navigate()
    assert len(always.sessions) == 1


def test_the_session_says_that_its_visitor_has_no_cookie(always: Site) -> None:
    Browser(always).navigate()
    (start,) = always.named("session.start")
    assert start.attributes["visitor.kind"] == "cookieless"


def test_a_cookie_from_before_goes_and_says_nothing(make_site: MakeSite) -> None:
    clock = at_local("2026-11-27 10:00")
    before, now = make_site(clock=clock), make_site(clock=clock, cookieless="always")
    browser = Browser(before)
    browser.navigate()
    browser.site = now
    assert "Max-Age=0" in browser.navigate().cookies[0]
    assert browser.navigate().cookies == []
    assert len(now.sessions) == 1
    assert visitors(now) != visitors(before)


def test_no_id_of_a_vendors_script_is_read(make_site: MakeSite) -> None:
    site = make_site(cookieless="always", browser_ids=["posthog"])
    own_id = "01890000-0000-7000-8000-000000000001"
    Browser(site).navigate(x_posthog_session_id=own_id)
    assert own_id not in str([event.attributes for event in site.events])


# --- a day


def test_a_visitor_who_comes_back_on_the_same_day_is_the_same(always: Site) -> None:
    browser = Browser(always)
    browser.navigate()
    always.clock.advance(5 * HOUR)
    browser.navigate()
    first, second = visitors(always)
    assert first == second
    assert links(always) == [None, always.sessions[0]]


def test_on_the_next_day_nothing_is_known(always: Site) -> None:
    browser = Browser(always)
    always.views["/in"] = view_of(lambda: identify("anna"))
    browser.navigate("/in")
    always.clock.advance(DAY)
    browser.navigate()
    first, second = visitors(always)
    assert first != second
    assert links(always) == [None, None]
    assert [event.user_id for event in always.named("page_view")] == ["anna", None]


MIDNIGHT = [
    pytest.param("23:40", [29], 1, id="in progress, it goes on"),
    pytest.param("23:40", [29, 29, 29], 1, id="and on, after the old salt has gone"),
    pytest.param("23:40", [30], 2, id="idle over midnight, it is over"),
    pytest.param("23:40", [29, 31], 2, id="over on the new day, nothing follows it"),
    pytest.param("23:59", [1], 1, id="at midnight itself"),
    pytest.param("00:00", [29, 10 * 60], 2, id="begun at midnight, it is of the new day"),
]


@pytest.mark.parametrize(("begins", "minutes", "sessions"), MIDNIGHT)
def test_midnight(make_site: MakeSite, begins: str, minutes: list[int], sessions: int) -> None:
    site = make_site(cookieless="always", clock=at_local(f"2026-11-27 {begins}"), **CLOCKS)
    browser = Browser(site)
    browser.navigate()
    for pause in minutes:
        site.clock.advance(pause * MINUTE)
        site.engine.sweep()
        browser.navigate()
    assert len(site.sessions) == sessions
    is_one_day = begins == "00:00"
    assert len(set(visitors(site))) == (1 if is_one_day else sessions)
    assert [link is not None for link in links(site)] == [False, is_one_day][:sessions]


def test_one_request_after_midnight_is_enough_to_go_on(always: Site) -> None:
    browser = Browser(always)
    always.clock.now_ms = moment("2026-11-27 23:59:50")
    browser.navigate()
    for pause in (20, 30 * MINUTE - 5):  # too soon to be noted for the session's sake; then the old salt is gone
        always.clock.advance(pause)
        always.engine.sweep()
        browser.navigate()
    assert len(always.sessions) == 1


def test_who_is_there_over_two_midnights_is_not_followed_into_the_third_day(make_site: MakeSite) -> None:
    site = make_site(cookieless="always", clock=at_local("2026-11-27 23:50"), **CLOCKS)
    browser = Browser(site)
    for _ in range(3):
        browser.navigate()
        site.clock.advance(20 * MINUTE)
        browser.navigate()
        site.clock.advance(DAY - 20 * MINUTE)
    assert len(set(visitors(site))) == 3


DAYS = [
    pytest.param("2026-03-29", 23, id="23 hours"),
    pytest.param("2026-10-25", 25, id="25 hours"),
    pytest.param("2026-11-27", 24, id="24 hours"),
]


@pytest.mark.parametrize(("day", "hours"), DAYS)
def test_a_day_lasts_from_midnight_to_midnight(make_site: MakeSite, day: str, hours: int) -> None:
    site = make_site(cookieless="always", clock=at_local(f"{day} 00:00"), **CLOCKS)
    browser = Browser(site)
    start = site.clock.now_ms
    for after in (0, 12 * HOUR, hours * HOUR - 1, hours * HOUR + 2 * HOUR):
        site.clock.now_ms = start + after * 1000
        browser.navigate()
    first, noon, last, next_day = visitors(site)
    assert first == noon == last != next_day


def test_a_manual_session_that_is_silent_over_midnight_is_not_found_again(make_site: MakeSite) -> None:
    site = make_site(cookieless="always", clock=at_local("2026-11-27 20:00"), **CLOCKS)
    site.views["/go"] = view_of(start_session)
    browser = Browser(site)
    browser.navigate("/go")
    site.clock.advance(3 * HOUR)
    browser.navigate()
    assert len(site.sessions) == 1
    site.clock.advance(3 * HOUR)
    browser.navigate()
    assert len(site.sessions) == 2


# --- who looks alike


def test_two_people_of_one_network_with_one_browser_are_one_visitor(always: Site) -> None:
    """As the documentation says: nothing tells them apart."""
    for client in ("192.0.2.7", "192.0.2.99"):
        Browser(always, client=client).navigate(user_agent="Firefox/140")
    assert len(always.sessions) == 1


LOOKS = [
    pytest.param(ELSEWHERE, {}, id="network"),
    pytest.param(HOME, {"user_agent": "Chrome/140"}, id="user agent"),
    pytest.param(HOME, {"host": "blog.example"}, id="host"),
]


@pytest.mark.parametrize(("client", "headers"), LOOKS)
def test_who_looks_different_is_another_visitor(always: Site, client: str, headers: dict[str, str]) -> None:
    seen = {"user_agent": "Firefox/140", "host": "shop.example"}
    Browser(always, client=HOME).navigate(**seen)
    Browser(always, client=client).navigate(**{**seen, **headers})
    assert len(set(visitors(always))) == 2


def test_with_whole_addresses_neighbours_are_told_apart(make_site: MakeSite) -> None:
    site = make_site(cookieless="always", mask_addresses=False)
    for client in ("192.0.2.7", "192.0.2.99"):
        Browser(site, client=client).navigate()
    assert len(set(visitors(site))) == 2


def test_hosts_below_the_cookies_domain_are_one_site(make_site: MakeSite) -> None:
    site = make_site(cookieless="always", cookie_domain="shop.example")
    for host in ("shop.example", "www.shop.example:8000", "SHOP.example"):
        Browser(site).navigate(host=host)
    assert len(site.sessions) == 1


def test_behind_a_proxy_that_is_not_declared_nothing_is_recorded(always: Site) -> None:
    browser = Browser(always)
    browser.navigate(x_forwarded_for="203.0.113.5")
    assert always.events == []
    assert always.ignored["no_address"] == 1


def test_behind_a_declared_proxy_the_client_counts(make_site: MakeSite) -> None:
    site = make_site(cookieless="always", trusted_proxies=["192.0.2.7"])
    for client in ("203.0.113.5", "198.51.100.5", "203.0.113.77"):
        Browser(site).navigate(x_forwarded_for=client)
    assert len(site.sessions) == 2


HOSTILE = [
    pytest.param({"user_agent": "x" * 8000}, id="a long user agent"),
    pytest.param({"user_agent": "\xff\x80\xad\xed\xa0\x80"}, id="bytes that are no text"),
    pytest.param({"host": "a" * 300 + "." + "b" * 300}, id="a long host"),
    pytest.param({"host": "[::1"}, id="a broken host"),
    pytest.param({"cookie": "sojourn=forged; sojourn=twice"}, id="forged cookies"),
]


@pytest.mark.parametrize("headers", HOSTILE)
def test_hostile_headers_are_one_visitor_each(always: Site, headers: dict[str, str]) -> None:
    for _ in range(2):
        assert Browser(always).navigate(**headers).cookies == []
    assert len(always.sessions) == 1


@pytest.mark.parametrize("client", ["fe80::1%eth0", "::ffff:192.0.2.7", "testclient", "2001:db8::1"])
def test_any_address_will_do(always: Site, client: str) -> None:
    for _ in range(2):
        Browser(always, client=client).navigate()
    assert len(always.sessions) == 1


def test_a_script_that_changes_its_looks_is_bound_by_the_budget(make_site: MakeSite) -> None:
    site = make_site(cookieless="always", session_budget="5/m", session_budget_total="none")
    for number in range(20):
        Browser(site, client="8.8.4.4").navigate(user_agent=f"Firefox/{number}")
    assert len(site.sessions) == 5
    assert site.ignored["flood"] == 15


def test_a_crawler_has_no_session(always: Site) -> None:
    Browser(always).navigate(user_agent="Googlebot/2.1 (+http://www.google.com/bot.html)")
    assert always.sessions == []


# --- consent


def test_the_cookie_takes_over_in_the_same_session(until_consent: Site) -> None:
    site = until_consent
    browser = Browser(site)
    assert browser.navigate().cookies == []
    site.clock.advance(MINUTE)
    assert len(browser.navigate("/yes").cookies) == 1
    site.clock.advance(MINUTE)
    browser.client = ELSEWHERE
    browser.navigate("/after")
    assert len(site.sessions) == 1
    assert len(site.named("page_view")) == 3
    site.clock.advance(DAY)
    browser.navigate()
    assert len(set(visitors(site))) == 1, "the cookie keeps the visitor"
    assert [event.attributes.get("visitor.kind") for event in site.named("session.start")] == ["cookieless", None]


def test_who_looks_alike_and_has_not_consented_is_somebody_else_from_then_on(until_consent: Site) -> None:
    site = until_consent
    anna, ben = Browser(site), Browser(site)
    anna.navigate()
    anna.navigate("/yes")
    ben.navigate("/of-ben")
    anna.navigate("/of-anna")
    of_ben, of_anna = site.named("page_view")[-2:]
    assert of_ben.visitor_id != of_anna.visitor_id
    assert of_ben.session_id != of_anna.session_id
    ben.navigate("/yes")
    assert len(set(visitors(site))) == 2


def test_consent_in_the_first_request_makes_a_visitor_of_the_cookie(until_consent: Site) -> None:
    Browser(until_consent).navigate("/yes")
    (start,) = until_consent.named("session.start")
    assert "visitor.kind" not in start.attributes


def test_consent_after_the_session_is_over_links_nothing(until_consent: Site) -> None:
    browser = Browser(until_consent)
    browser.navigate()
    until_consent.clock.advance(HOUR)
    browser.navigate("/yes")
    assert len(set(visitors(until_consent))) == 2
    assert links(until_consent) == [None, None]


def test_a_response_that_cannot_carry_the_cookie_leaves_the_session_without(until_consent: Site) -> None:
    site = until_consent
    site.views["/yes"] = view_of(opt_in, response=PUBLIC)
    browser = Browser(site)
    browser.navigate()
    assert browser.navigate("/yes").cookies == []
    browser.navigate()
    assert len(site.sessions) == 1
    site.views["/yes"] = view_of(opt_in)
    assert len(browser.navigate("/yes").cookies) == 1


def test_who_cannot_be_told_from_others_may_still_consent(until_consent: Site) -> None:
    browser = Browser(until_consent)
    browser.navigate(x_forwarded_for="203.0.113.5")
    assert len(browser.navigate("/yes", x_forwarded_for="203.0.113.5").cookies) == 1
    assert len(until_consent.sessions) == 1


def test_the_apps_own_memory_of_consent_counts_from_the_next_request_on(make_site: MakeSite) -> None:
    agrees = [False]
    site = make_site(cookieless="until_consent", consent=lambda _request: agrees[0])
    browser = Browser(site)
    assert browser.navigate().cookies == []
    agrees[0] = True
    assert len(browser.navigate().cookies) == 1
    browser.navigate()
    assert len(site.sessions) == 1
    agrees[0] = False
    assert "Max-Age=0" in browser.navigate().cookies[0]
    assert browser.cookies == {}
    browser.navigate()
    assert len(site.sessions) == 2, "the cookie's session is not the one of who looks alike"


# --- the visitor's own switch


def test_an_opt_out_is_the_one_cookie_and_holds(always: Site) -> None:
    always.views["/out"], always.views["/in"] = view_of(opt_out), view_of(opt_in)
    browser = Browser(always)
    browser.navigate()
    always.engine.flush()
    assert len(browser.navigate("/out").cookies) == 1
    always.clock.advance(2 * DAY)
    browser.navigate()
    assert (len(always.sessions), always.ends()) == (1, [("opted_out", 0)])
    assert "Max-Age=0" in browser.navigate("/in").cookies[0]
    browser.navigate()
    assert len(always.sessions) == 2
    assert browser.cookies == {}


def test_who_opts_out_and_looks_like_others_takes_them_along_for_the_day(always: Site) -> None:
    always.views["/out"] = view_of(opt_out)
    Browser(always).navigate()
    Browser(always).navigate("/out")
    alike = Browser(always)
    assert alike.navigate().cookies == [], "nobody else is given the opt-out's cookie"
    assert len(always.sessions) <= 1
    always.clock.advance(DAY)
    alike.navigate()
    assert len(always.named("page_view")) <= 2
    assert visitors(always)[-1] not in visitors(always)[:-1]


def test_who_opts_in_again_on_the_same_day_is_a_new_visitor(always: Site) -> None:
    always.views["/out"], always.views["/in"] = view_of(opt_out), view_of(opt_in)
    browser = Browser(always)
    for path in ("/", "/out", "/in", "/"):
        browser.navigate(path)
        always.engine.flush()
    assert len(always.named("page_view")) == 3
    assert len(set(visitors(always))) == 2


def test_a_session_that_was_ended_by_a_call_is_followed_by_another(always: Site) -> None:
    always.views["/bye"] = view_of(end_session)
    browser = Browser(always)
    for path in ("/", "/bye", "/"):
        browser.navigate(path)
    assert len(always.sessions) == 2
    assert links(always) == [None, None]


# --- workers and hosts


@pytest.fixture
def make_sites(protocol: Protocol, tmp_path: Path) -> Iterator[Callable[..., list[Site]]]:
    """Sites with one store: workers of one host, or with `hosts=True` each on a host of its own."""
    sites: list[Site] = []

    def make(count: int, *, hosts: bool = False, **settings: Any) -> list[Site]:
        clock = at_local("2026-11-27 10:00")
        store = f"sqlite:///{tmp_path}/sojourn.db"
        for number in range(count):
            own = {"journal_dir": tmp_path / f"host-{number}"} if hosts else {}
            sites.append(Site(protocol, clock=clock, store=store, cookieless="always", **CLOCKS, **own, **settings))
        return sites

    yield make
    for site in sites:
        site.close()


def starts(*sites: Site) -> list[Any]:
    events = {event.id: event for site in sites for event in site.events}
    return [event for event in events.values() if event.name == "session.start"]


def test_workers_of_a_host_know_the_visitors_of_each_other(make_sites: Callable[..., list[Site]]) -> None:
    sites = make_sites(4)
    for site in sites:
        site.views["/in"] = view_of(lambda: identify("anna"))
    browser = Browser(sites[0])
    browser.navigate("/in")
    for number in range(12):
        sites[0].clock.advance(20 * MINUTE)
        at(sites[number % 4], browser).navigate("/in")
    sites[0].clock.advance(30 * MINUTE)
    at(sites[2], browser).navigate()
    assert len(starts(*sites)) == 2
    assert len({start.visitor_id for start in starts(*sites)}) == 1


def test_first_requests_that_race_begin_one_session(make_sites: Callable[..., list[Site]]) -> None:
    one, other = make_sites(2)
    during(Browser(one), "/slow", lambda: Browser(other).navigate("/quick"))
    Browser(one).navigate()
    assert len(starts(one, other)) == 1


def test_a_host_adopts_the_stores_salt_and_loses_no_session(make_sites: Callable[..., list[Site]]) -> None:
    one, other = make_sites(2, hosts=True)
    one.engine.flush()
    Browser(other).navigate()  # before it has asked the store
    other.engine.flush()
    one.clock.advance(MINUTE)
    Browser(other).navigate("/more")
    assert len(starts(other)) == 1
    one.clock.advance(HOUR)
    Browser(one).navigate()
    Browser(other).navigate()
    assert len({start.visitor_id for start in starts(one, other)}) == 2, (
        "of the day, and of before the salt was agreed on"
    )


def test_hosts_that_agree_on_the_salt_begin_the_same_session(make_sites: Callable[..., list[Site]]) -> None:
    one, other = make_sites(2, hosts=True)
    for site in (one, other):
        site.engine.flush()
    Browser(one).navigate("/one")
    one.clock.advance(1)
    Browser(other).navigate("/two")
    for site in (one, other, one, other):
        site.engine.flush()
    (start,) = starts(one, other)
    assert start.attributes["url.path"] == "/one"


def test_a_visit_that_goes_to_and_fro_between_hosts_is_one_session(make_sites: Callable[..., list[Site]]) -> None:
    sites = make_sites(2, hosts=True)
    for site in (*sites, *sites):
        site.engine.flush()
    sites[0].clock.advance(20 * MINUTE)  # the other host is reached first in the next half hour
    for number in range(12):
        Browser(sites[number % 2]).navigate(f"/{number}")
        for site in (*sites, *sites):
            site.engine.flush()
        sites[0].clock.advance(14 * MINUTE)
    (start,) = starts(*sites)
    views = {event.id: event for site in sites for event in site.events if event.name == "page_view"}
    assert {event.session_id for event in views.values()} == {start.session_id}
    assert len(views) == 12
    sites[0].clock.advance(HOUR)
    assert sum(site.engine.sweep() for site in sites) == 1


def test_tomorrows_salt_is_agreed_on_before_midnight(make_sites: Callable[..., list[Site]]) -> None:
    one, other = make_sites(2, hosts=True)
    one.clock.now_ms = moment("2026-11-27 23:30")
    for site in (one, other):
        site.engine.flush()
    one.clock.now_ms = moment("2026-11-28 09:00")
    Browser(one).navigate()
    Browser(other).navigate()
    for site in (one, other, one, other):
        site.engine.flush()
    assert len({start.visitor_id for start in starts(one, other)}) == 1


def test_a_salt_is_destroyed_half_an_hour_after_its_day_everywhere(
    make_sites: Callable[..., list[Site]], tmp_path: Path
) -> None:
    (site,) = make_sites(1)
    Browser(site).navigate()
    site.engine.flush()
    store, day = site.engine.store, moment("2026-11-27 00:00")
    salt = store.salts.of_day(day, until=0, proposed=b"no")
    site.clock.now_ms = moment("2026-11-28 00:29")
    site.engine.flush()
    assert store.salts.of_day(day, until=0, proposed=b"no") == salt
    site.clock.now_ms = moment("2026-11-28 00:30")
    site.engine.flush()
    assert store.salts.of_day(day, until=moment("2026-11-29 00:00"), proposed=b"no") == b"no"
    for file in tmp_path.rglob("*"):
        if file.is_file() and not file.name.endswith(("-wal", "-shm")):
            assert salt not in file.read_bytes(), file.name


def test_neither_address_nor_salt_is_in_an_event_or_a_log_line(always: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    Browser(always, client="203.0.113.77").navigate()
    table = always.engine.tracker.context.cookieless
    assert table is not None
    said = str([event.attributes for event in always.events]) + caplog.text
    assert "203.0.113.77" not in said
    assert always.engine.store.salts.of_day(moment("2026-11-27 00:00"), until=0, proposed=b"no").hex() not in said


def test_the_table_is_a_file_of_fixed_size(tmp_path: Path) -> None:
    table = VisitorTable(tmp_path)
    table.open()
    assert (tmp_path / FILE_NAME).stat().st_size == 8 * 1024**2 + 4096
    table.close()
