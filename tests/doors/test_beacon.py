"""The beacon through both doors: what a page may report about a live session, and that it can do nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sojourn import Event, end_session, identify, opt_out
from sojourn.core.events import Scalar
from sojourn.testing import MemoryBackend
from tests.doors.browser import FETCH, Browser, Protocol, Reply, Site, during, view_of

MakeSite = Callable[..., Site]
PATH = "/-/sojourn"
SAME = {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "empty", "sec-fetch-site": "same-origin"}
SAME_DOCUMENT = "browser.navigation.same_document"


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(beacon_path=PATH)


def send(
    browser: Browser, kind: str = "activity", page: str = "/", headers: Mapping[str, str] = SAME, path: str = PATH
) -> Reply:
    return browser.ask("POST", path, headers, json.dumps({"kind": kind, "page": page}).encode())


def own_page_views(site: Site) -> list[Event]:
    return [event for event in site.named("page_view") if SAME_DOCUMENT in event.attributes]


def own(event: Event) -> dict[str, Scalar]:
    """The attributes but those that every event has."""
    return {name: value for name, value in event.attributes.items() if name not in {"session.id", "visitor.id"}}


# --- what it reports


def test_a_long_look_at_one_page_is_one_session_as_long_as_the_look(site: Site, browser: Browser) -> None:
    browser.navigate()
    for _ in range(60):
        site.clock.advance(60)
        assert send(browser).status == 204
    site.clock.advance(1800)
    assert site.engine.sweep() == 1
    (end,) = site.named("session.end")
    assert site.ends() == [("idle_timeout", 3600)]
    assert end.attributes["session.requests"] == 1  # the page; a beacon is none
    assert len(site.named("session.heartbeat")) == 60


@pytest.mark.parametrize(
    ("kind", "page", "attributes"),
    [
        pytest.param("page_view", "/cart", {"url.path": "/cart", SAME_DOCUMENT: True}, id="routing"),
        pytest.param("restored", "/cart", {"url.path": "/cart", SAME_DOCUMENT: False}, id="back, without a request"),
        pytest.param(
            "page_view",
            "/caf%C3%A9/%F0%9F",
            {"url.path": "/café/\ufffd", SAME_DOCUMENT: True},
            id="as a server sees it",
        ),
        pytest.param(
            "page_view",
            "/a?utm_source=x&token=secret&q=%00",
            {"url.path": "/a", "url.query": "utm_source=x", SAME_DOCUMENT: True},
            id="of the query what the settings allow",
        ),
        pytest.param(
            "page_view",
            "/reset/ada@example.org/x",
            {"url.path": "/reset/*/x", SAME_DOCUMENT: True},
            id="mail addresses",
        ),
        pytest.param(
            "page_view",
            "/in/0a1b2c3d4e5f60718293a4b5c6d7e8f9",
            {"url.path": "/in/*", SAME_DOCUMENT: True},
            id="tokens",
        ),
        pytest.param("page_view", "/\u001b[2J", {"url.path": "/\ufffd[2J", SAME_DOCUMENT: True}, id="controls"),
        pytest.param("page_view", "//a/b", {"url.path": "//a/b", SAME_DOCUMENT: True}, id="no host in a path"),
    ],
)
def test_a_page_view_is_one_with_a_mark_and_masked(
    site: Site, browser: Browser, kind: str, page: str, attributes: dict[str, Scalar]
) -> None:
    browser.navigate()
    site.clock.advance(3)
    assert send(browser, kind, page).status == 204
    (view,) = own_page_views(site)
    assert own(view) == attributes
    assert view.time == site.clock.now_ms
    assert view.session_id == site.sessions[0]


def test_page_views_count_and_activity_has_no_event(site: Site, browser: Browser) -> None:
    browser.navigate()
    send(browser)
    send(browser, "page_view", "/two")
    site.clock.advance(1800)
    site.engine.sweep()
    (end,) = site.named("session.end")
    assert end.attributes["session.page_views"] == 2
    assert site.names() == ["session.start", "page_view", "page_view", "session.end"]


def test_without_page_views_it_reports_activity_only(make_site: MakeSite) -> None:
    site = make_site(beacon_path=PATH, page_views=False)
    browser = Browser(site)
    browser.navigate()
    site.clock.advance(70)
    send(browser, "page_view", "/two")
    assert site.names() == ["session.start", "session.heartbeat"]


def test_a_beacon_keeps_the_user_and_resolves_no_principal(make_site: MakeSite) -> None:
    """The framework has not looked at a beacon, so no user is looked up."""
    asked: list[object] = []
    site = make_site(beacon_path=PATH, principal=asked.append)
    browser = Browser(site)
    site.views["/"] = view_of(lambda: identify("ada"))
    browser.navigate()
    asked.clear()
    send(browser, "page_view", "/two")
    assert (own_page_views(site)[0].user_id, asked) == ("ada", [])


# --- what it cannot do


def test_it_never_starts_a_session(site: Site, browser: Browser) -> None:
    reply = send(browser, "page_view")
    assert (reply.status, reply.cookies, site.events) == (204, [], [])
    assert site.ignored == {"no_session": 1}


@pytest.mark.parametrize("silence", [1800, 86_400])
def test_it_never_prolongs_a_session_that_is_over(site: Site, browser: Browser, silence: int) -> None:
    browser.navigate()
    site.clock.advance(silence)
    reply = send(browser, "page_view", "/two")
    assert (reply.status, reply.cookies) == (204, [])
    assert site.ignored == {"over": 1}
    browser.navigate()
    assert site.ends() == [("idle_timeout", 0)]
    assert own_page_views(site) == []


def test_it_never_revives_a_session_that_was_ended(site: Site, browser: Browser) -> None:
    browser.navigate()
    site.views["/out"] = view_of(end_session)
    twin = browser.twin()
    browser.navigate("/out")
    for each in (browser, twin):  # the twin's cookie does not know yet
        assert send(each, "page_view", "/two").cookies == []
    assert site.ignored == {"over": 2}
    assert len(site.sessions) == 1
    assert own_page_views(site) == []


def test_it_follows_its_browser_into_the_next_session(site: Site, browser: Browser) -> None:
    """A tab that stays open reports to the session that another tab is in."""
    browser.navigate()
    old = browser.twin()
    site.clock.advance(1800)
    browser.navigate()
    send(old, "page_view", "/two")
    assert own_page_views(site)[0].session_id == site.sessions[1]


OTHER_SITE = {"sec-fetch-site": "cross-site"}
REFUSED = [
    pytest.param(OTHER_SITE, id="another site"),
    pytest.param({"sec-fetch-site": "same-site"}, id="a neighbour"),
    pytest.param({"sec-fetch-site": "none"}, id="typed by hand"),
    pytest.param({**OTHER_SITE, "origin": "http://shop.example", "host": "shop.example"}, id="the stricter one counts"),
    pytest.param({"origin": "http://evil.example", "host": "shop.example"}, id="another origin"),
    pytest.param({"origin": "http://shop.example:81", "host": "shop.example"}, id="another port"),
    pytest.param({"origin": "null", "host": "shop.example"}, id="no origin"),
    pytest.param({"host": "shop.example"}, id="nothing said"),
]


@pytest.mark.parametrize("headers", REFUSED)
def test_only_beacons_of_the_same_origin_are_accepted(site: Site, browser: Browser, headers: Mapping[str, str]) -> None:
    browser.navigate()
    reply = send(browser, "page_view", "/two", headers)
    assert (reply.status, reply.cookies, reply.body) == (204, [], b"")
    assert own_page_views(site) == []
    assert site.ignored == {"beacon_foreign": 1}


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(SAME, id="as the browser says"),
        pytest.param({"origin": "http://Shop.example:81", "host": "shop.example:81"}, id="the same origin"),
    ],
)
def test_beacons_of_the_same_origin_are_accepted(site: Site, browser: Browser, headers: Mapping[str, str]) -> None:
    browser.navigate()
    send(browser, "page_view", "/two", headers)
    assert len(own_page_views(site)) == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="no JSON"),
        pytest.param(b"\xff", id="no text"),
        pytest.param(b"[" * 2000, id="nested deep"),
        pytest.param(b'["page_view", "/two"]', id="no object"),
        pytest.param(b'{"kind": "page_view"}', id="a field is missing"),
        pytest.param(b'{"kind": "page_view", "page": "/two", "user": "ada"}', id="a field too many"),
        pytest.param(b'{"kind": "user.identify", "page": "/two"}', id="another kind"),
        pytest.param(b'{"kind": "page_view", "page": 2}', id="another type"),
        pytest.param(b'{"kind": "page_view", "page": "http://evil.example/"}', id="no path"),
        pytest.param(b'{"kind": "page_view", "page": ""}', id="an empty path"),
        pytest.param(b'{"kind": "page_view", "page": "/%s"}' % (b"a" * 2048), id="too long"),
    ],
)
def test_what_our_script_does_not_say_is_not_heard(site: Site, browser: Browser, body: bytes) -> None:
    browser.navigate()
    reply = browser.ask("POST", PATH, SAME, body)
    assert (reply.status, reply.cookies, reply.body) == (204, [], b"")
    assert own_page_views(site) == []
    assert site.ignored == {"beacon_malformed": 1}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_it_is_for_posting_only(site: Site, browser: Browser, method: str) -> None:
    browser.navigate()
    reply = browser.ask(method, PATH, SAME, b'{"kind": "page_view", "page": "/two"}')
    assert (reply.status, reply.header("allow"), reply.body) == (405, ["POST"], b"")
    assert own_page_views(site) == []


def test_beacons_of_a_session_are_limited_to_a_burst_then_one_a_second(site: Site, browser: Browser) -> None:
    browser.navigate()
    for _ in range(40):
        assert send(browser, "page_view", "/two").status == 204
    assert len(own_page_views(site)) == 30
    assert site.ignored == {"beacon_limited": 10}
    for _ in range(5):
        site.clock.advance(1)
        send(browser, "page_view", "/two")
        send(browser, "page_view", "/two")
    assert len(own_page_views(site)) == 35


def test_one_sessions_noise_silences_no_other(site: Site, browser: Browser) -> None:
    browser.navigate()
    quiet = Browser(site)
    quiet.navigate()
    for _ in range(40):
        send(browser)
    send(quiet, "page_view", "/two")
    assert own_page_views(site)[0].session_id == site.sessions[1]


# --- who wants none of it


@pytest.mark.parametrize(
    ("chosen", "headers", "page"),
    [
        pytest.param({}, SAME, "/static/app.js", id="an excluded page"),
        pytest.param({"gpc": "off"}, {**SAME, "sec-gpc": "1"}, "/two", id="GPC"),
        pytest.param({"dnt": "off"}, {**SAME, "dnt": "1"}, "/two", id="DNT"),
        pytest.param({"consent": lambda request: False}, SAME, "/two", id="no consent"),
        pytest.param({"enabled": False}, SAME, "/two", id="switched off"),
    ],
)
def test_what_holds_for_requests_holds_for_beacons(
    make_site: MakeSite, chosen: dict[str, Any], headers: Mapping[str, str], page: str
) -> None:
    plain = make_site()
    browser = Browser(plain)
    browser.navigate()
    site = make_site(beacon_path=PATH, **chosen)
    browser = Browser(site, cookies=dict(browser.cookies))
    assert send(browser, "page_view", page, headers).status == 204
    assert site.events == []


def test_beacons_of_a_visitor_who_opted_out_are_dropped(site: Site, browser: Browser) -> None:
    browser.navigate()
    site.views["/out"] = view_of(opt_out)
    twin = browser.twin()
    browser.navigate("/out")
    for each in (browser, twin):
        assert send(each, "page_view", "/two").status == 204
    assert own_page_views(site) == []
    assert browser.cookies == twin.cookies  # the twin has heard of it


def test_gpc_keeps_it_from_third_parties(make_site: MakeSite) -> None:
    vendor = MemoryBackend(name="vendor", third_party=True)
    site = make_site(beacon_path=PATH, backends=[vendor])
    browser = Browser(site)
    browser.navigate(sec_gpc="1")
    send(browser, "page_view", "/two", {**SAME, "sec-gpc": "1"})
    site.engine.flush()
    assert vendor.events == []
    assert site.engine.stats().store.events == 3


# --- the cookie


def test_it_renews_the_cookie_when_that_is_due(site: Site, browser: Browser) -> None:
    browser.navigate()
    site.clock.advance(59.999)
    assert send(browser).cookies == []
    site.clock.advance(0.001)
    reply = send(browser)
    assert len(reply.cookies) == 1
    assert reply.header("cache-control") == ["no-store"]


def test_so_another_worker_sees_no_silence_after_a_long_look(make_site: MakeSite, site: Site) -> None:
    browser = Browser(site)
    browser.navigate()
    for _ in range(40):
        site.clock.advance(60)
        send(browser)
    other = make_site(clock=site.clock)
    elsewhere = Browser(other, cookies=dict(browser.cookies))
    elsewhere.navigate()
    assert [event.session_id for event in other.named("page_view")] == site.sessions


def test_an_old_copy_of_a_cookie_undoes_nothing(site: Site, browser: Browser) -> None:
    browser.navigate()
    twin = browser.twin()
    site.clock.advance(61)
    site.views["/login"] = view_of(lambda: identify("ada"))
    browser.navigate("/login")
    send(twin)
    assert twin.cookies == browser.cookies


# --- where it is


def test_the_app_never_sees_it_and_it_is_never_tracked(site: Site, browser: Browser) -> None:
    seen: list[str] = []
    for path in (PATH, f"{PATH}.js"):
        site.views[path] = view_of(lambda: seen.append("asked"))
    browser.navigate(f"{PATH}.js")
    browser.navigate()
    send(browser)
    browser.navigate(f"{PATH}.js")
    assert seen == []
    assert site.names() == ["session.start", "page_view"]


def test_without_the_setting_the_app_serves_the_path(make_site: MakeSite) -> None:
    site = make_site()
    browser = Browser(site)
    browser.navigate()
    assert send(browser).status == 200
    assert browser.fetch(f"{PATH}.js").status == 200  # the app's own
    assert site.named("page_view") == site.named("page_view")[:1]


def test_a_beacon_during_a_slow_response_prolongs_the_session(site: Site, browser: Browser) -> None:
    browser.navigate()
    twin = browser.twin()
    site.clock.advance(1000)
    during(browser, "/slow", lambda: send(twin, "page_view", "/two"))
    site.clock.advance(1799)
    browser.navigate()
    assert len(site.sessions) == 1


# --- whatever comes


BODIES = st.one_of(
    st.binary(max_size=200),
    st.fixed_dictionaries(
        {"kind": st.sampled_from(["activity", "page_view", "restored"]), "page": st.text().map(lambda t: "/" + t)}
    ).map(lambda beacon: json.dumps(beacon).encode()),
)
HEADERS = st.dictionaries(
    st.sampled_from(["origin", "host", "sec-fetch-site", "cookie", "referer", "sec-gpc"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30)
    | st.just("same-origin"),
)


@given(beacons=st.lists(st.tuples(BODIES, HEADERS), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_beacon_gets_204_and_no_internal_error(
    protocol: Protocol, beacons: list[tuple[bytes, dict[str, str]]]
) -> None:
    site = Site(protocol, beacon_path=PATH)
    try:
        browser = Browser(site)
        browser.navigate()
        for body, headers in beacons:
            browser.ask("POST", PATH, {**SAME, **headers}, body)
            reply = browser.ask("POST", PATH, {**headers}, body)
            assert (reply.status, reply.body) == (204, b"")
        assert len(site.sessions) == 1
        assert "fault" not in site.ignored
        for event in own_page_views(site):
            assert not any(char < " " or "\x7f" <= char < "\xa0" for char in str(event.attributes["url.path"]))
    finally:
        site.close()


def test_fetching_the_script_starts_no_session(site: Site, browser: Browser) -> None:
    assert browser.ask("GET", f"{PATH}.js", FETCH).cookies == []
    assert site.events == []


# --- pages that were loaded in advance


@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender"])
def test_activity_on_a_prefetched_page_says_that_it_was_opened(site: Site, browser: Browser, purpose: str) -> None:
    browser.navigate("/")
    browser.navigate("/ahead?id=7", sec_purpose=purpose, referer="https://shop.test/")
    site.clock.advance(60)
    for _ in range(2):
        send(browser, page="/ahead?id=7", headers={**SAME, "referer": "https://shop.test/ahead?id=7"})
    (_, view) = site.named("page_view")
    assert (view.attributes["url.path"], view.attributes["page_view.prefetched"]) == ("/ahead", True)
    assert site.ignored["prefetched_opened"] == 1


@pytest.mark.parametrize("kind", ["page_view", "restored"])
def test_a_page_view_by_beacon_is_not_confirmed_on_top(site: Site, browser: Browser, kind: str) -> None:
    browser.navigate("/")
    browser.navigate("/ahead", sec_purpose="prefetch", referer="https://shop.test/")
    at_ahead = {"referer": "https://shop.test/ahead"}
    send(browser, kind, "/ahead", {**SAME, **at_ahead})
    send(browser, page="/ahead", headers={**SAME, **at_ahead})
    browser.navigate("/next", **at_ahead)
    paths = [event.attributes["url.path"] for event in site.named("page_view")]
    assert paths == ["/", "/ahead", "/next"]
    assert "prefetched_opened" not in site.ignored


def test_activity_on_a_prefetched_page_starts_and_revives_nothing(site: Site, browser: Browser) -> None:
    browser.navigate("/")
    browser.navigate("/ahead", sec_purpose="prefetch", referer="https://shop.test/")
    site.clock.advance(1800)
    send(browser, page="/ahead", headers={**SAME, "referer": "https://shop.test/ahead"})
    assert len(site.sessions) == len(site.named("page_view")) == 1
