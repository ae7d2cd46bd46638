"""Own staff through both doors: by network, by user, and by the mark of a browser. Nothing is recorded of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sojourn import current_session, end_session, identify, opt_in, opt_out, start_session, track
from sojourn.tracking.own_traffic import Mark
from tests.doors.browser import NAVIGATE, Browser, Site, view_of

MakeSite = Callable[..., Site]
CALLS = (lambda: track("x"), lambda: identify("ada"), start_session, end_session, opt_out, opt_in)


def marked(site: Site, mark: Mark = Mark.HAND, browser: Browser | None = None) -> Browser:
    """A browser with this mark, as the report page sets it."""
    browser = browser or Browser(site)
    pair, _, _ = site.engine.own_traffic.line(mark, is_https=False).partition(";")
    name, _, value = pair.partition("=")
    browser.cookies[name] = value
    return browser


@pytest.mark.parametrize(
    ("settings", "headers", "client", "is_own"),
    [
        pytest.param({}, {}, "192.0.2.7", True, id="in the network"),
        pytest.param({}, {}, "198.51.100.7", False, id="outside"),
        pytest.param({}, {}, "::ffff:192.0.2.7", True, id="mapped"),
        pytest.param({}, {}, "2001:db8::5", True, id="IPv6"),
        pytest.param({}, {}, None, False, id="no address"),
        pytest.param({}, {"x-forwarded-for": "192.0.2.7"}, "198.51.100.7", False, id="a header that is not trusted"),
        pytest.param(
            {"trusted_proxies": "198.51.100.0/24"},
            {"x-forwarded-for": "192.0.2.7"},
            "198.51.100.7",
            True,
            id="behind a trusted proxy",
        ),
    ],
)
def test_excluded_addresses(
    make_site: MakeSite, settings: dict[str, Any], headers: dict[str, str], client: str | None, *, is_own: bool
) -> None:
    site = make_site(exclude_addresses=["192.0.2.0/24", "2001:db8::/32"], **settings)
    site.views["/"] = view_of(*CALLS[:2])
    reply = site.request("GET", "/", [*NAVIGATE.items(), *headers.items()], client=client)
    assert (reply.cookies == [], not site.events) == (is_own, is_own)
    assert site.ignored.get("own_address", 0) == is_own


def test_a_marked_browser_is_left_out_whatever_is_called(site: Site) -> None:
    sessions: list[object] = []
    site.views["/"] = view_of(*CALLS, lambda: sessions.append(current_session()))
    browser = marked(site)
    for path in ("/", "/", "/other"):
        assert browser.navigate(path).cookies == []
    browser.fetch()
    assert (site.events, sessions) == ([], [None, None])
    assert site.ignored["own_browser"] == 4


def test_a_mark_outweighs_a_running_session_which_ends_as_usual(site: Site, browser: Browser) -> None:
    browser.navigate()
    site.clock.advance(60)
    marked(site, browser=browser)
    browser.navigate("/secret")
    site.clock.advance(3600)
    site.engine.sweep()
    assert [str(view.attributes["url.path"]) for view in site.named("page_view")] == ["/"]
    assert site.ends() == [("idle_timeout", 0.0)]
    del browser.cookies["sojourn_own"]
    browser.navigate()
    assert len(site.sessions) == 2


@pytest.mark.parametrize("value", ["hand", "hand.forged", "", "x" * 5_000, "identified.hand"])
def test_a_forged_mark_counts_for_nothing(site: Site, value: str) -> None:
    browser = Browser(site)
    browser.cookies["sojourn_own"] = value
    browser.navigate()
    assert len(site.sessions) == 1


def test_a_mark_is_of_one_app_and_holds_under_an_older_key(make_site: MakeSite) -> None:
    old, new = "an old key of thirty-two letters", "a new key of thirty-two letters!"
    first = make_site(secret_key=old)
    browser = marked(first)
    cases: tuple[tuple[dict[str, Any], bool], ...] = (
        ({"secret_key": [old, new]}, True),
        ({"secret_key": new}, False),
        ({"secret_key": old, "cookie_name": "b"}, False),
    )
    for settings, is_own in cases:
        site = make_site(**settings)
        other = Browser(site, cookies={**browser.cookies, "b_own": browser.cookies["sojourn_own"]})
        other.navigate()
        assert (site.sessions == []) is is_own


def test_the_mark_has_the_scope_of_the_session_cookie(make_site: MakeSite) -> None:
    own = make_site(cookie_domain="shop.example").engine.own_traffic
    line = own.line(Mark.HAND, is_https=True)
    assert line.startswith("sojourn_own=hand.")
    assert line.endswith("; Domain=shop.example; Path=/; HttpOnly; SameSite=Lax; Secure")
    host_only = make_site().engine.own_traffic
    assert host_only.line(Mark.HAND, is_https=True).startswith("__Host-sojourn_own=hand.")
    assert host_only.line(None, is_https=False) == "sojourn_own=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"


# --- users -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def staff(make_site: MakeSite) -> Site:
    site = make_site(exclude_users=["ada", 42])
    site.views["/login"] = view_of(lambda: identify("ada"))
    site.views["/other"] = view_of(lambda: identify("bob"))
    site.views["/logout"] = view_of(lambda: identify(None))
    return site


def test_from_the_login_of_an_excluded_user_on_nothing_is_recorded(staff: Site) -> None:
    browser = Browser(staff)
    browser.navigate()
    browser.navigate("/login")
    browser.navigate("/secret")
    assert [event.attributes.get("url.path") for event in staff.named("page_view")] == ["/"]
    assert staff.named("user.identify") == []
    assert (staff.ignored["own_user"], staff.ignored["own_browser"]) == (1, 1)


def test_a_first_request_of_an_excluded_user_begins_no_session(staff: Site) -> None:
    staff.views["/"] = view_of(lambda: track("before"), lambda: identify(42), lambda: track("after"))
    browser = Browser(staff)
    assert [line.partition("=")[0] for line in browser.navigate().cookies] == ["sojourn_own"]
    assert staff.events == []


@pytest.mark.parametrize("path", ["/logout", "/other"])
def test_another_user_or_none_is_counted_from_the_next_request_on(staff: Site, path: str) -> None:
    browser = Browser(staff)
    browser.navigate("/login")
    browser.navigate(path)
    assert staff.events == []
    browser.navigate(path)
    assert len(staff.sessions) == 1


def test_a_mark_set_by_hand_stays_whoever_logs_in(staff: Site) -> None:
    browser = marked(staff)
    for path in ("/login", "/other", "/logout", "/"):
        assert browser.navigate(path).cookies == []
    assert staff.events == []


def test_the_frameworks_user(make_site: MakeSite) -> None:
    site = make_site(exclude_users=["ada"])
    browser = Browser(site)
    browser.navigate()
    site.user = "ada"
    browser.navigate("/secret")
    browser.navigate("/secret")
    assert [event.attributes.get("url.path") for event in site.named("page_view")] == ["/"]
    site.user = "bob"
    browser.navigate("/in between")
    browser.navigate("/bob")
    assert [event.attributes.get("url.path") for event in site.named("page_view")] == ["/", "/bob"]
    assert [event.user_id for event in site.named("user.identify")] == ["bob"]


def test_other_users_are_counted_as_before(staff: Site) -> None:
    Browser(staff).navigate("/other")
    assert [event.user_id for event in staff.named("user.identify")] == ["bob"]
