"""S1 to S4 through both doors: which requests are one session, when it ends, and who agrees on the next."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sojourn import end_session, identify, start_session, track
from sojourn.core.records import STARTS, Record
from sojourn.tracking.cookie import CookieCodec, Verified
from tests.doors.browser import HTML, IMAGE, JSON, NAVIGATE, Browser, Response, Site, during, view_of

MakeSite = Callable[..., Site]

NOT_MODIFIED = Response(304, headers=(), pieces=())
PUBLIC = Response(headers=(HTML, ("cache-control", "public, max-age=60")))


@pytest.mark.parametrize(
    ("at", "sessions"),
    [
        pytest.param([0, 50, 1810], 1, id="the true gap is 1760 s, though the cookie says 1810"),
        pytest.param([0, 1799.999], 1, id="a millisecond short of idle"),
        pytest.param([0, 1800], 2, id="idle to the millisecond"),
        pytest.param([0, 1800, 3600, 5400], 4, id="each gap splits"),
        pytest.param([*range(0, 86_400, 1000)], 1, id="busy for nearly a day"),
        pytest.param([*range(0, 88_000, 1000)], 2, id="longer than a day"),
        pytest.param([0, 86_400], 2, id="idle long before too long"),
    ],
)
def test_requests_at(site: Site, browser: Browser, at: list[float], sessions: int) -> None:
    start = site.clock.now_ms
    for moment in at:
        site.clock.now_ms = start + round(moment * 1000)
        browser.navigate()
    assert len(site.sessions) == sessions


def test_the_limit_that_passed_first_names_the_reason(make_site: MakeSite) -> None:
    site = make_site(idle_timeout=100, max_duration=250)
    browser = Browser(site)
    for _ in range(4):  # at 0, 80, 160, 240
        browser.navigate()
        site.clock.advance(80)
    browser.navigate()  # 320: too long since 250, idle from 340
    site.clock.advance(100)
    browser.navigate()
    assert site.ends() == [("max_duration", 240), ("idle_timeout", 0)]


def test_forty_minutes_of_304_responses_are_one_session(make_site: MakeSite) -> None:
    site = make_site(presence="any")
    browser = Browser(site)
    browser.navigate()
    site.views["/poll"] = view_of(response=NOT_MODIFIED)
    for _ in range(40):
        site.clock.advance(60)
        assert browser.fetch("/poll").cookies == []
    browser.navigate()
    assert len(site.sessions) == 1
    assert site.ends() == []


CANNOT = [
    pytest.param("GET", NOT_MODIFIED, id="304"),
    pytest.param("HEAD", Response(pieces=()), id="HEAD"),
    pytest.param("OPTIONS", Response(204, headers=(), pieces=()), id="OPTIONS"),
    pytest.param("GET", PUBLIC, id="Cache-Control: public"),
    pytest.param("GET", Response(headers=(HTML, ("Cache-Control", "S-MaxAge=9"))), id="s-maxage in any case"),
    pytest.param("GET", Response(headers=(HTML, ("cache-control", "max-age=9, immutable"))), id="immutable"),
    pytest.param("GET", Response(headers=(HTML, ("cdn-cache-control", "public"))), id="CDN-Cache-Control"),
    pytest.param("GET", Response(headers=(HTML, ("surrogate-control", "public"))), id="Surrogate-Control"),
]


@pytest.mark.parametrize(("method", "response"), CANNOT)
def test_a_response_that_can_carry_no_cookie_starts_no_session(
    site: Site, browser: Browser, method: str, response: Response
) -> None:
    site.views["/"] = view_of(response=response)
    assert browser.ask(method, "/", NAVIGATE).cookies == []
    assert site.events == []
    assert sum(site.ignored.values()) == 1


@pytest.mark.parametrize(("method", "response"), CANNOT)
def test_what_cannot_carry_a_cookie_is_activity_before_and_nothing_after_the_end(
    site: Site, browser: Browser, method: str, response: Response
) -> None:
    browser.navigate()
    site.views["/it"] = view_of(response=response)
    site.clock.advance(1000)
    assert browser.ask(method, "/it", NAVIGATE).cookies == []  # prolongs: 1000 + 1799 is not over
    site.clock.advance(1799)
    browser.ask(method, "/it", NAVIGATE)
    site.clock.advance(1800)
    assert browser.ask(method, "/it", NAVIGATE).cookies == []  # neither splits nor revives
    assert site.ignored["over"] == 1
    site.clock.advance(1)
    browser.navigate()
    assert len(site.sessions) == 2
    assert site.ends() == [("idle_timeout", 2799)]


def test_a_fetch_succeeds_a_session_that_is_over(make_site: MakeSite) -> None:
    site = make_site(presence="any")
    browser = Browser(site)
    browser.navigate()
    site.clock.advance(1800)
    assert len(browser.fetch().cookies) == 1
    first, second = site.named("session.start")
    assert second.previous_id == first.session_id
    assert second.time == site.clock.now_ms


def test_six_parallel_requests_with_one_stale_cookie_make_one_successor(site: Site, browser: Browser) -> None:
    browser.navigate()
    site.clock.advance(1900)
    twins = [browser.twin() for _ in range(6)]

    def nested(rest: list[Browser]) -> None:
        if rest:
            during(rest[0], "/racing", lambda: nested(rest[1:]))

    nested(twins)
    assert len(site.sessions) == 2
    assert [name for name in site.names() if name.startswith("session.")] == [
        "session.start",
        "session.end",
        "session.start",
    ]
    browser.cookies = twins[3].cookies
    browser.navigate()
    assert len(site.sessions) == 2


@pytest.mark.parametrize("gap", [pytest.param(1800, id="just over"), pytest.param(9000, id="long over")])
def test_workers_that_share_only_the_key_agree_on_the_successor(make_site: MakeSite, gap: int) -> None:
    here = make_site()
    there = make_site(clock=here.clock)
    browser = Browser(here)
    browser.navigate()
    there_too = Browser(there, cookies=dict(browser.cookies))
    here.clock.advance(gap)
    browser.navigate()
    here.clock.advance(1)
    there_too.navigate()
    assert here.sessions[1:] == there.sessions
    assert len(there.sessions) == 1


def test_a_first_page_and_its_parallel_fetches_are_one_session(site: Site, browser: Browser) -> None:
    twins = [browser.twin() for _ in range(4)]

    def meanwhile() -> None:
        for twin in twins[:2]:
            assert twin.fetch().cookies == []
        for twin in twins[2:]:
            assert twin.ask("GET", "/logo.png", IMAGE).cookies == []

    during(browser, "/", meanwhile)
    browser.fetch()
    assert len(site.sessions) == 1
    assert site.ignored == {"not_a_navigation": 4}


def test_the_end_is_the_last_activity_not_when_it_was_noticed(site: Site, browser: Browser) -> None:
    browser.navigate()
    site.clock.advance(100)
    browser.fetch()
    site.clock.advance(50_000)
    assert site.engine.sweep() == 1
    assert site.ends() == [("idle_timeout", 100)]


def test_a_clock_that_runs_back_does_not_prolong_a_session(site: Site, browser: Browser) -> None:
    browser.navigate()
    site.clock.advance(-600)
    browser.navigate()
    site.clock.advance(600 + 1800)
    browser.navigate()
    assert site.ends() == [("idle_timeout", 0)]


def test_a_cookie_from_too_far_in_the_future_is_ignored(site: Site, browser: Browser) -> None:
    browser.navigate()
    site.clock.advance(-2 * 86_400)
    browser.navigate()
    assert len(site.sessions) == 2
    assert site.ignored == {"clock_lead": 1}


def test_a_slow_old_response_does_not_overwrite_a_newer_cookie(site: Site, browser: Browser) -> None:
    browser.navigate()
    late = browser.twin()

    def meanwhile() -> None:
        site.views["/login"] = view_of(lambda: identify("ada"))
        browser.navigate("/login")
        site.views["/login"] = view_of(lambda: identify("bob"))
        browser.navigate("/login")

    during(late, "/slow", meanwhile)
    browser.cookies.update(late.cookies)
    browser.navigate("/login")  # still bob: nothing new
    assert len(site.sessions) == 2
    assert [event.user_id for event in site.named("user.identify")] == ["ada", "bob"]


def test_a_request_is_activity_of_the_session_it_arrived_with(site: Site, browser: Browser) -> None:
    browser.navigate()
    site.clock.advance(60)
    other = browser.twin()

    def meanwhile() -> None:
        site.clock.advance(5)
        site.views["/out"] = view_of(end_session)
        other.navigate("/out")

    during(browser, "/slow", meanwhile)
    assert len(site.sessions) == 1, "another request ended it; this one arrived before, and starts no next one"
    site.clock.advance(1)
    browser.cookies = other.cookies
    browser.fetch()
    assert len(site.sessions) == 2
    assert site.ends() == [("ended", 65)]


def test_events_keep_the_session_that_was_current(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(
        lambda: track("before"), end_session, lambda: track("after"), response=Response(headers=(JSON,))
    )
    browser.navigate()
    first, second = site.sessions
    assert [event.session_id for event in site.named("before") + site.named("after")] == [first, second]
    assert site.named("session.start")[1].previous_id is None
    assert site.ends() == [("ended", 0)]


def test_a_successor_in_the_same_request_is_not_left_when_its_cookie_cannot_be_set(
    site: Site, browser: Browser
) -> None:
    browser.navigate()
    site.views["/x"] = view_of(end_session, lambda: track("lost"), response=PUBLIC)
    browser.navigate("/x")
    assert len(site.sessions) == 1
    assert site.ends() == [("ended", 0)]
    assert site.named("lost") == []
    assert site.ignored["no_session"] == 1


@pytest.mark.parametrize(
    ("calls", "pause", "reason", "seen_at"),
    [
        pytest.param((), 1800, "idle_timeout", 50, id="idle: the last activity, not what the cookie says"),
        pytest.param((end_session,), 9, "ended", 59, id="ended: the request that ended it"),
        pytest.param((lambda: identify("bob"),), 9, "user_changed", 50, id="another user: all of it is the new one's"),
        pytest.param((start_session,), 9, "restarted", 59, id="restarted: this request was still its activity"),
    ],
)
def test_a_successors_record_carries_the_last_activity_of_the_old_session(
    site: Site, calls: tuple[Callable[[], object], ...], pause: int, reason: str, seen_at: int
) -> None:
    """The first process to fold it must be able to seal the old session alone."""
    browser = Browser(site)
    began = site.clock.now_ms
    site.views["/"] = view_of(*calls)
    site.views["/same"] = view_of(lambda: identify("ada")) if reason == "user_changed" else view_of()
    browser.navigate("/same")
    site.clock.advance(50)
    browser.fetch("/same")
    site.clock.advance(pause)
    records: list[Record] = []

    def append(record: Record, *, kind: str, is_essential: bool) -> bool:
        records.append(record)
        return True

    site.engine.intake.append = append  # type: ignore[method-assign]
    browser.navigate()
    if reason == "ended":
        browser.navigate("/same")
    (successor,) = [record for record in records if record.flags & STARTS]
    assert (successor.previous_reason, successor.previous_seen_at - began) == (reason, seen_at * 1000)


def test_keys_rotate_in_mid_session(make_site: MakeSite) -> None:
    old = make_site()
    browser = Browser(old)
    old.views["/login"] = view_of(lambda: identify("ada"))
    browser.navigate("/login")
    new = make_site(clock=old.clock, secret_key=["a key that only these tests use", "another key, newer than that"])
    new.views["/login"] = old.views["/login"]
    moved = Browser(new, cookies=dict(browser.cookies))
    new.clock.advance(120)
    moved.navigate("/login")
    moved.navigate("/login")
    assert {event.session_id for event in new.events} == set(old.sessions)
    assert new.named("user.identify") == []
    written = CookieCodec([b"another key, newer than that"]).loads(moved.cookies["sojourn"].encode())
    assert written is not None


# --- what the cookie counts ------------------------------------------------------------------------------------------


def counts(browser: Browser) -> tuple[int, int]:
    """(visit number, logouts) as the browser's cookie says."""
    read = browser.site.engine.tracker.codec.loads(browser.cookies["sojourn"].encode())
    assert isinstance(read, Verified)
    return read.state.visit_number, read.state.logouts


def test_the_cookie_counts_visits(site: Site, browser: Browser) -> None:
    browser.navigate()
    assert counts(browser) == (1, 0)
    site.clock.advance(1800)
    browser.navigate()
    assert counts(browser) == (2, 0)
    site.views["/"] = view_of(end_session)
    browser.navigate()
    site.views.clear()
    browser.navigate()
    assert counts(browser) == (3, 0)


@pytest.mark.parametrize(("mode", "visits"), [("split", 2), ("keep", 1)])
def test_the_cookie_counts_logouts(make_site: MakeSite, mode: str, visits: int) -> None:
    site = make_site(on_user_change=mode)
    browser = Browser(site)
    steps = [
        ("ada", (1, 0)),
        ("ada", (1, 0)),
        (None, (1, 1)),
        ("bob", (visits, 1)),
        ("eve", (visits * 2 - 1, 2)),
    ]
    for number, (user, expected) in enumerate(steps):
        site.views["/"] = view_of(lambda user=user: identify(user))  # type: ignore[misc]
        browser.navigate()
        assert counts(browser) == expected, number


def test_a_key_shared_by_two_apps_does_not_make_the_cookie_of_one_good_in_the_other(make_site: MakeSite) -> None:
    shop, blog = Browser(make_site()), Browser(make_site(cookie_name="blog"))
    shop.navigate()
    blog.cookies = {"blog": shop.cookies["sojourn"]}
    blog.navigate()
    assert len(blog.site.sessions) == 1
    assert blog.site.sessions != shop.site.sessions
    assert set(blog.cookies) == {"blog"}
    assert blog.cookies["blog"] != shop.cookies["sojourn"]
