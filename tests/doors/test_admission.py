"""S10 and S11 through both doors: what starts a session, what its cookie looks like, and when it is written."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from sojourn import current_session, end_session, heartbeat, identify, start_session, track
from tests.doors.browser import FETCH, HTML, IMAGE, JSON, NAVIGATE, Browser, Response, Site, view_of

MakeSite = Callable[..., Site]
PUBLIC = Response(headers=(HTML, ("cache-control", "public")))
CROSS = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-site": "cross-site"}


@pytest.mark.parametrize(
    ("method", "headers", "reason"),
    [
        pytest.param("GET", NAVIGATE, None, id="a navigation"),
        pytest.param("POST", NAVIGATE, None, id="a form"),
        pytest.param("GET", {}, None, id="no Fetch Metadata"),
        pytest.param("POST", {}, None, id="a POST without any"),
        pytest.param("GET", CROSS, None, id="a link from another site"),
        pytest.param("GET", {**FETCH, "hx-boosted": "true"}, None, id="boosted by htmx"),
        pytest.param("GET", {"user-agent": "curl/8.5"}, None, id="curl"),
        pytest.param("GET", FETCH, "not_a_navigation", id="a fetch"),
        pytest.param("GET", IMAGE, "not_a_navigation", id="an image"),
        pytest.param("GET", {**NAVIGATE, "sec-fetch-dest": "iframe"}, "not_a_navigation", id="an iframe"),
        pytest.param("PUT", {}, "method", id="PUT"),
        pytest.param("DELETE", NAVIGATE, "method", id="DELETE"),
        pytest.param("GET", {**NAVIGATE, "sec-purpose": "prefetch"}, "prefetch", id="a prefetch"),
        pytest.param("GET", {**NAVIGATE, "sec-purpose": "prefetch;prerender"}, "prefetch", id="a prerender"),
        pytest.param("GET", {"purpose": "prefetch"}, "prefetch", id="an old prefetch"),
        pytest.param("POST", CROSS, "cross_site_post", id="a cross-site POST"),
        pytest.param("POST", {"origin": "https://evil.example"}, "cross_site_post", id="the same, without Metadata"),
    ],
)
def test_what_starts_a_session(
    site: Site, caplog: pytest.LogCaptureFixture, method: str, headers: dict[str, str], reason: str | None
) -> None:
    browser = Browser(site)
    with caplog.at_level(logging.DEBUG, "sojourn"):
        reply = browser.ask(method, "/", headers)
    assert len(site.sessions) == len(reply.cookies) == (reason is None)
    assert site.ignored == ({} if reason is None else {reason: 1})
    assert [record.getMessage() for record in caplog.records] == ([] if reason is None else [f"not recorded: {reason}"])


@pytest.mark.parametrize("path", ["/static/app.css", "/favicon.ico", "/healthz"])
def test_excluded_paths_are_not_tracked(site: Site, browser: Browser, path: str) -> None:
    site.views[path] = view_of(lambda: track("x"), lambda: identify("ada"), end_session, start_session, heartbeat)
    browser.navigate()
    site.clock.advance(900)
    assert browser.navigate(path).cookies == []
    site.clock.advance(900)
    browser.navigate()
    assert len(site.sessions) == 2
    assert site.named("x") == []
    assert site.ignored["excluded"] == 1


def test_any_request_may_start_a_session_by_setting(make_site: MakeSite) -> None:
    site = make_site(session_starts="any")
    assert len(Browser(site).fetch().cookies) == 1


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: identify("ada"), id="identify"),
        pytest.param(lambda: track("x"), id="track"),
        pytest.param(start_session, id="start_session"),
    ],
)
@pytest.mark.parametrize(
    ("method", "headers", "starts"),
    [
        pytest.param("GET", FETCH, True, id="a fetch"),
        pytest.param("PUT", FETCH, True, id="PUT"),
        pytest.param("POST", CROSS, False, id="a cross-site POST"),
        pytest.param("HEAD", {}, False, id="HEAD"),
    ],
)
def test_helpers_start_a_session_on_nearly_any_request(
    site: Site, browser: Browser, call: Callable[[], object], method: str, headers: dict[str, str], *, starts: bool
) -> None:
    site.views["/"] = view_of(call, response=Response(pieces=()))
    browser.ask(method, "/", headers)
    assert len(site.sessions) == starts
    assert bool(site.ignored) == (not starts)


def test_a_heartbeat_starts_no_session(site: Site, browser: Browser) -> None:
    site.views["/api"] = view_of(heartbeat, end_session, current_session)
    assert browser.fetch().cookies == []
    assert site.events == []


def test_helper_calls_that_no_cookie_can_follow_are_counted_and_warned_of_once(
    site: Site, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    site.views["/"] = view_of(lambda: track("x"), lambda: identify("ada"), response=PUBLIC)
    browser.navigate()
    browser.navigate()
    assert site.events == []
    assert site.ignored == {"undeliverable": 2, "no_session": 4}
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1


@pytest.mark.parametrize("headers", [FETCH, CROSS])
def test_after_an_end_the_next_request_of_any_kind_starts(
    site: Site, browser: Browser, headers: dict[str, str]
) -> None:
    site.views["/out"] = view_of(end_session)
    browser.navigate()
    browser.navigate("/out")
    browser.ask("POST", "/", headers)
    assert len(site.sessions) == 2


def test_heartbeats_come_at_most_once_a_slot_and_never_in_the_first(site: Site, browser: Browser) -> None:
    for number in range(20):  # every 9 s up to 171 s
        browser.fetch(f"/api/{number}") if browser.cookies else browser.navigate()
        site.clock.advance(9)
    beats = site.named("session.heartbeat")
    assert [int(event.attributes["session.duration_ms"]) for event in beats] == [63_000, 126_000]


# --- the cookie ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pause", "writes"),
    [
        pytest.param(0, False, id="at once"),
        pytest.param(59, False, id="fresh enough"),
        pytest.param(60, True, id="a minute old"),
        pytest.param(1799, True, id="nearly over"),
        pytest.param(1800, True, id="over"),
    ],
)
def test_a_returning_visitors_cookie_is_written_rarely(
    site: Site, browser: Browser, pause: int, *, writes: bool
) -> None:
    browser.navigate()
    site.clock.advance(pause)
    assert len(browser.navigate().cookies) == writes


def test_short_sessions_write_more_often(make_site: MakeSite) -> None:
    site = make_site(idle_timeout="10s", max_duration=100)
    browser = Browser(site)
    writes = 0
    for _ in range(10):
        site.clock.advance(0.5)
        writes += len(browser.navigate().cookies)
    assert writes == 5


@pytest.mark.parametrize(
    ("calls", "writes"),
    [
        pytest.param([lambda: track("x")], 0, id="an event changes nothing in it"),
        pytest.param([heartbeat], 0, id="nor does a heartbeat"),
        pytest.param([lambda: identify("ada")], 1, id="a user"),
        pytest.param([end_session], 1, id="an end"),
        pytest.param([start_session], 1, id="a restart"),
    ],
)
def test_a_change_is_written_at_once(
    site: Site, browser: Browser, calls: list[Callable[[], object]], writes: int
) -> None:
    browser.navigate()
    site.views["/"] = view_of(*calls)
    assert len(browser.navigate().cookies) == writes


def test_a_slow_response_refreshes_the_cookie_as_any_other(site: Site, browser: Browser) -> None:
    browser.navigate()
    site.clock.advance(100)
    site.views["/slow"] = view_of(lambda: site.clock.advance(5.1))
    assert len(browser.navigate("/slow").cookies) == 1
    site.views["/slow"] = view_of(lambda: identify("ada"), lambda: site.clock.advance(5.1))
    assert len(browser.navigate("/slow").cookies) == 1


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        pytest.param([], ["private"], id="added where there is none"),
        pytest.param([("Cache-Control", "no-cache")], ["no-cache, private"], id="added to what the app said"),
        pytest.param([("Cache-Control", "max-age=600")], ["max-age=600, private"], id="added to a lifetime"),
        pytest.param([("Cache-Control", 'private="x-foo"')], ['private="x-foo", private'], id="added to a field's"),
        pytest.param(
            [("Cache-Control", "max-age=1"), ("cache-control", "must-revalidate")],
            ["max-age=1, must-revalidate, private"],
            id="added to several",
        ),
        pytest.param([("Cache-Control", "no-store")], ["no-store"], id="the app's own is enough"),
    ],
)
def test_what_carries_the_cookie_is_private(
    site: Site, browser: Browser, given: list[tuple[str, str]], sent: list[str]
) -> None:
    site.views["/"] = view_of(response=Response(headers=(HTML, ("set-cookie", "theirs=1"), *given)))
    reply = browser.navigate()
    assert reply.header("cache-control") == sent
    assert reply.cookies[0] == "theirs=1"
    assert len(reply.cookies) == 2
    own = [value for _, value in given]
    if site.protocol.startswith("django") and own:
        own = [", ".join(own)]  # its responses have one header of a name
    assert browser.navigate().header("cache-control") == own


def test_private_can_be_left_out(make_site: MakeSite) -> None:
    reply = Browser(make_site(cache_private=False)).navigate()
    assert (reply.header("cache-control"), len(reply.cookies)) == ([], 1)


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        pytest.param({"cache_private": False}, [("cache-control", "max-age=600")], id="private may not be added"),
        pytest.param({}, [("Vercel-CDN-Cache-Control", "max-age=60")], id="a CDN may store"),
        pytest.param({}, [("X-Accel-Expires", "60")], id="nginx may store"),
        pytest.param({}, [("Edge-Control", "cache-maxage=60s")], id="Akamai may store"),
    ],
)
def test_what_a_shared_cache_may_store_carries_no_cookie(
    make_site: MakeSite, settings: dict[str, Any], headers: list[tuple[str, str]]
) -> None:
    site = make_site(**settings)
    site.views["/"] = view_of(response=Response(headers=(HTML, *headers)))
    reply = Browser(site).navigate()
    assert reply.cookies == []
    assert [pair for pair in reply.headers if pair[0] == "cache-control"] == [
        p for p in headers if p[0] == "cache-control"
    ]
    assert site.sessions == []


def test_on_http_the_cookie_is_plain(site: Site, browser: Browser) -> None:
    (line,) = browser.navigate().cookies
    name, _, attributes = line.partition("=")
    assert name == "sojourn"
    assert attributes.partition("; ")[2] == "Max-Age=34128000; Path=/; HttpOnly; SameSite=Lax"
    assert len(line.partition(";")[0]) < 350


def test_on_https_it_is_bound_to_the_host_and_only_that_name_is_read(site: Site) -> None:
    secure = Browser(site, scheme="https")
    (line,) = secure.navigate().cookies
    assert line.startswith("__Host-sojourn=")
    assert "; Secure" in line
    plain = Browser(site)
    plain.navigate()
    tossed = Browser(site, scheme="https", cookies=dict(plain.cookies))
    tossed.navigate()
    assert len(site.sessions) == 3


def test_the_visitor_lasts_from_minting_not_from_the_last_visit(make_site: MakeSite) -> None:
    site = make_site(cookie_max_age=10_000)
    browser = Browser(site)
    browser.navigate()
    site.clock.advance(4_000)
    (line,) = browser.navigate().cookies
    assert "; Max-Age=6000;" in line
    site.clock.advance(6_000)
    browser.navigate()
    assert len({event.visitor_id for event in site.events}) == 2


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param("sojourn=forged.signature", id="forged"),
        pytest.param("sojourn=", id="empty"),
        pytest.param("sojourn", id="no value"),
        pytest.param(f"sojourn={'A' * 5000}", id="oversized"),
        pytest.param("sojourn=\xff\xfe", id="not ASCII"),
        pytest.param("sojourn={own}x", id="mangled"),
        pytest.param("sojourn={half}", id="cut"),
        pytest.param("xsojourn={own}", id="another name that ends like ours"),
    ],
)
def test_an_invalid_cookie_is_ignored(site: Site, browser: Browser, hostile: str) -> None:
    browser.navigate()
    other = Browser(site)
    other.navigate()
    own = browser.cookies["sojourn"]
    header = hostile.format(own=own, half=own[:90], other=other.cookies["sojourn"])
    reply = site.request("GET", "/", [("cookie", header)])
    assert reply.status == 200
    assert len(reply.cookies) == 1
    assert len(site.sessions) == 3


@pytest.mark.parametrize(
    "header",
    [
        pytest.param('a="unterminated; sojourn={own}', id="an open quote before it"),
        pytest.param("b[]=2; sojourn={own}; c", id="names that are none"),
        pytest.param("sojourn=forged; sojourn={own}", id="a forged one before it"),
        pytest.param("sojourn={own}; sojourn={own}", id="the same twice"),
        pytest.param("\xff\xfe\x80; sojourn={own}", id="bytes"),
        pytest.param(";;; sojourn={own};;", id="empty ones"),
        pytest.param('sojourn="{own}"', id="quoted"),
    ],
)
def test_a_broken_cookie_beside_ours_does_not_hide_it(site: Site, browser: Browser, header: str) -> None:
    browser.navigate()
    reply = site.request("GET", "/", [("cookie", header.format(own=browser.cookies["sojourn"]))])
    assert reply.cookies == []
    assert len(site.sessions) == 1


def test_what_is_switched_off_does_nothing(make_site: MakeSite) -> None:
    site = make_site(enabled=False, secret_key=None)
    site.views["/"] = view_of(
        lambda: track("x"), lambda: identify("a"), start_session, end_session, heartbeat, current_session
    )
    reply = Browser(site).navigate()
    assert (reply.status, reply.cookies, reply.header("cache-control")) == (200, [], [])
    assert site.ignored == {}


def test_a_page_view_is_a_navigation_to_html(site: Site, browser: Browser) -> None:
    site.views["/page/7"] = view_of(lambda: site.clock.advance(0.25), response=Response(status=404))
    site.views["/api"] = view_of(response=Response(headers=(JSON,)))
    site.views["/moved"] = view_of(response=Response(status=303))
    browser.navigate("/page/7")
    for path in ("/api", "/moved"):
        browser.navigate(path)
    browser.fetch("/")
    (view,) = site.named("page_view")
    kept = {key: value for key, value in view.attributes.items() if not key.startswith(("session.", "visitor."))}
    assert kept == {
        "url.path": "/page/7",
        "http.request.method": "GET",
        "http.response.status_code": 404,
        "error.type": "404",
        "page_view.duration_ms": 250.0,
    }


def test_a_start_carries_its_origin(site: Site) -> None:
    site.request(
        "GET", "/in?q=secret", [("referer", "https://ada@example.org/p?q=1#f"), ("user-agent", "Mozilla/5.0 \x7f")]
    )
    attributes = site.named("session.start")[0].attributes
    assert attributes["url.path"] == "/in"
    assert attributes["http.request.header.referer"] == "https://example.org/p"
    assert attributes["client.address"] == "192.0.2.0"
    assert attributes["user_agent.original"] == "Mozilla/5.0 \ufffd"


SAME_HOST = {"referer": "http://127.0.0.1/before", "host": "127.0.0.1"}


@pytest.mark.parametrize(
    ("headers", "count"),
    [
        pytest.param({**NAVIGATE, "referer": "http://shop.test/before"}, 1, id="from a page of this origin"),
        pytest.param({**NAVIGATE, **SAME_HOST}, 1, id="the host agrees"),
        pytest.param(SAME_HOST, 1, id="no Fetch Metadata, the host agrees"),
        pytest.param({**SAME_HOST, "x-forwarded-host": "shop.test"}, 1, id="the server's name for itself"),
        pytest.param(
            {"referer": "https://shop.test/", "host": "app:8000", "x-forwarded-host": "shop.test"}, 1, id="proxy"
        ),
        pytest.param({"referer": "http://other.test/", "host": "shop.test"}, 0, id="no Fetch Metadata, another host"),
        pytest.param({"referer": "http://shop.test:81/", "host": "shop.test"}, 0, id="another port"),
        pytest.param({"referer": "/before", "host": ""}, 0, id="no host at all"),
        pytest.param({**CROSS, "referer": "https://search.example/"}, 0, id="from another site"),
        pytest.param(
            {**NAVIGATE, "sec-fetch-site": "same-site", "referer": "http://a.shop.test/"}, 0, id="another origin"
        ),
        pytest.param(NAVIGATE, 0, id="no referrer"),
        pytest.param({**FETCH, "referer": "http://shop.test/before"}, 0, id="no page"),
        pytest.param(
            {**NAVIGATE, "referer": "http://shop.test/", "cookie": "sojourn=forged"}, 0, id="a cookie of ours"
        ),
        pytest.param({**NAVIGATE, "referer": "http://shop.test/", "cookie": "theme=dark"}, 1, id="another cookie"),
        pytest.param({**NAVIGATE, "referer": "http://shop.test/", "user-agent": "Googlebot/2.1"}, 0, id="a bot"),
    ],
)
def test_a_first_page_from_this_site_without_our_cookie_is_counted(
    site: Site, headers: dict[str, str], count: int
) -> None:
    site.request("GET", "/", [*headers.items()])
    assert site.ignored.get("cookie_missing", 0) == count


def test_a_fetch_that_begins_a_session_is_no_first_page(site: Site) -> None:
    site.views["/api"] = view_of(lambda: track("called"))
    site.request("GET", "/api", [*FETCH.items(), ("referer", "http://shop.test/before")])
    assert (len(site.sessions), site.ignored) == (1, {})


def test_a_first_page_after_consent_misses_no_cookie(make_site: MakeSite) -> None:
    site = make_site(consent=lambda request: True)
    site.request("GET", "/", [*{**NAVIGATE, "referer": "http://shop.test/before"}.items()])
    assert (len(site.sessions), site.ignored.get("cookie_missing")) == (1, None)


def test_a_browser_that_keeps_cookies_is_not_counted(site: Site, browser: Browser) -> None:
    for _ in range(3):
        browser.navigate(referer="http://shop.test/")
    assert site.ignored == {"cookie_missing": 1}, "only the first of these pages came without"


def test_reasons_reach_the_store_without_any_session(site: Site, browser: Browser) -> None:
    """Not even the first request of the process began one: the report must be able to say why."""
    browser.fetch("/api")
    assert site.engine.intake.runtime is not None
    site.engine.flush()
    (mark,) = site.engine.store.records.marks().values()
    assert mark.last_ignored == {"not_a_navigation": site.clock.now()}
    assert site.engine.store.stats().counters["ignored.not_a_navigation"] == 1
