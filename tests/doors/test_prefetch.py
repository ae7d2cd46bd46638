"""A prefetched page is opened without a request; what comes from it later confirms it as a page view and activity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sojourn import opt_out
from tests.doors.browser import HTML, IMAGE, JSON, NAVIGATE, Browser, Response, Site, view_of
from tests.doors.conftest import MakeSite

AHEAD = "https://shop.test/ahead"


def prefetch(browser: Browser, path: str = "/ahead", purpose: str = "prefetch", **headers: str) -> None:
    browser.navigate(path, sec_purpose=purpose, **{"referer": "https://shop.test/", **headers})


def views(site: Site) -> list[str]:
    return [str(event.attributes["url.path"]) for event in site.named("page_view")]


@pytest.fixture
def opened(site: Site, browser: Browser) -> Browser:
    """A browser on the page `/`, which has prefetched `/ahead` a minute ago."""
    browser.navigate("/")
    prefetch(browser)
    site.clock.advance(60)
    return browser


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        pytest.param("GET", {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}, id="a fetch"),
        pytest.param("GET", IMAGE, id="an image"),
        pytest.param("GET", {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "style"}, id="a style"),
        pytest.param("POST", {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}, id="a write"),
        pytest.param("GET", {}, id="no Fetch Metadata"),
    ],
)
def test_a_request_from_the_page_confirms_it(site: Site, opened: Browser, method: str, headers: dict[str, str]) -> None:
    site.views["/api"] = view_of(response=Response(headers=(JSON,), pieces=(b"{}",)))
    from_page = {**headers, "referer": AHEAD, "host": "shop.test"}
    if headers:
        from_page["sec-fetch-site"] = "same-origin"
    opened.ask(method, "/api", from_page)
    opened.ask(method, "/api", from_page)
    (_, view) = site.named("page_view")
    assert view.attributes["url.path"] == "/ahead"
    assert view.attributes["page_view.prefetched"] is True
    assert view.attributes["http.response.status_code"] == 200
    assert view.time == site.clock.now_ms
    assert (site.ignored["prefetched_pages"], site.ignored["prefetched_opened"]) == (1, 1)
    site.clock.advance(1800)
    site.engine.sweep()
    assert site.ends() == [("idle_timeout", 60)]


def test_a_navigation_from_the_page_confirms_it_before_its_own_view(site: Site, opened: Browser) -> None:
    opened.navigate("/next", referer=f"{AHEAD}#part")
    assert views(site) == ["/", "/ahead", "/next"]


def test_the_query_is_part_of_the_page_and_shown_as_allowed(site: Site, browser: Browser) -> None:
    browser.navigate("/")
    prefetch(browser, "/ahead?id=7&utm_source=mail")
    browser.fetch("/api", referer="https://shop.test/ahead")
    browser.fetch("/api", referer="https://shop.test/ahead?id=8")
    assert views(site) == ["/"]
    browser.fetch("/api", referer="https://shop.test/ahead?id=7&utm_source=mail")
    view = site.named("page_view")[1].attributes
    assert (view["url.path"], view["url.query"]) == ("/ahead", "utm_source=mail")


def test_the_path_is_masked(site: Site, browser: Browser) -> None:
    browser.navigate("/")
    prefetch(browser, "/m/anna@example.org")
    browser.fetch("/api", referer="https://shop.test/m/anna%40example.org")
    assert views(site) == ["/", "/m/*"]


@pytest.mark.parametrize(
    ("mount", "referer"),
    [("/shop", "https://shop.test/shop/ahead"), ("", "https://shop.test/ahead")],
    ids=["mounted", "at the root"],
)
def test_a_mounted_page_is_confirmed(make_site: MakeSite, mount: str, referer: str) -> None:
    site = make_site()
    site.mount = mount
    browser = Browser(site)
    browser.navigate("/")
    prefetch(browser)
    browser.fetch("/api", referer=referer)
    assert views(site) == [f"{mount}/", f"{mount}/ahead"]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no referrer"),
        pytest.param({"referer": "https://shop.test/"}, id="from the page before"),
        pytest.param({"referer": "https://shop.test/aheads"}, id="from another page"),
        pytest.param({"referer": AHEAD, "sec_fetch_site": "same-site"}, id="from another origin of the site"),
        pytest.param({"referer": AHEAD, "sec_fetch_site": "cross-site"}, id="from another site"),
    ],
)
def test_other_requests_do_not(site: Site, opened: Browser, headers: dict[str, str]) -> None:
    opened.fetch("/api", **headers)
    opened.navigate("/next", **headers)
    assert views(site) == ["/", "/next"]


@pytest.mark.parametrize(
    ("response", "method"),
    [
        pytest.param(Response(status=404), "GET", id="missing"),
        pytest.param(Response(status=302, headers=(("location", "/"), HTML)), "GET", id="a redirect"),
        pytest.param(Response(headers=(JSON,)), "GET", id="no HTML"),
        pytest.param(Response(), "POST", id="no GET"),
    ],
)
def test_what_the_browser_cannot_open_is_not_confirmed(
    site: Site, browser: Browser, response: Response, method: str
) -> None:
    browser.navigate("/")
    site.views["/ahead"] = view_of(response=response)
    browser.navigate("/ahead", method=method, sec_purpose="prefetch", referer="https://shop.test/")
    browser.fetch("/api", referer=AHEAD)
    assert views(site) == ["/"]
    assert "prefetched_pages" not in site.ignored


@pytest.mark.parametrize("is_first", [True, False], ids=["the first page", "a later page"])
def test_a_page_that_was_viewed_is_not_confirmed_again(site: Site, opened: Browser, is_first: bool) -> None:
    """It may be open in another tab: a request that comes from it proves nothing."""
    viewer = Browser(site)
    if not is_first:
        viewer.navigate("/start")
    viewer.navigate("/ahead")
    viewer.navigate("/more", referer=AHEAD)
    prefetch(viewer, referer="https://shop.test/more")
    viewer.fetch("/api", referer=AHEAD)
    assert views(site)[1:] == [*([] if is_first else ["/start"]), "/ahead", "/more"]


def test_what_an_opened_page_fetches_is_new_again(site: Site, browser: Browser) -> None:
    browser.navigate("/")
    prefetch(browser)
    for referer in ("https://shop.test/", "https://shop.test/", AHEAD, AHEAD):
        site.clock.advance(60)
        browser.fetch("/stats", referer=referer)
    site.clock.advance(1800)
    site.engine.sweep()
    assert site.ends() == [("idle_timeout", 240)]


def test_a_page_that_prefetches_itself_is_not_confirmed(site: Site, browser: Browser) -> None:
    browser.navigate("/")
    prefetch(browser, "/")
    browser.fetch("/api", referer="https://shop.test/")
    assert views(site) == ["/"]


def test_a_page_that_was_prefetched_in_vain_counts_once(site: Site, opened: Browser) -> None:
    opened.navigate("/ahead")
    opened.fetch("/api", referer=AHEAD)
    assert views(site) == ["/", "/ahead"]


def test_a_prefetched_page_that_prefetches_is_open(site: Site, opened: Browser) -> None:
    prefetch(opened, "/further", referer=AHEAD)
    assert views(site) == ["/", "/ahead"]
    opened.fetch("/api", referer="https://shop.test/further")
    assert views(site) == ["/", "/ahead", "/further"]


@pytest.mark.parametrize("purpose", ["prefetch;prerender", "prerender"])
def test_what_a_prerendered_page_fetches_is_no_sign_that_it_is_shown(
    site: Site, browser: Browser, purpose: str
) -> None:
    browser.navigate("/")
    prefetch(browser, purpose=purpose)
    browser.fetch("/api", referer=AHEAD)
    prefetch(browser, "/further", referer=AHEAD)
    assert views(site) == ["/"]
    browser.navigate("/next", referer=AHEAD)
    assert views(site) == ["/", "/ahead", "/next"]


@pytest.mark.parametrize("leaves", [0, 2 * 3600])
def test_a_confirmation_after_the_timeout_begins_the_next_session(site: Site, opened: Browser, leaves: int) -> None:
    site.clock.advance(leaves)
    opened.fetch("/api", referer=AHEAD)
    assert len(site.sessions) == (2 if leaves else 1)
    assert site.named("page_view")[1].session_id == site.sessions[-1]


def test_any_worker_confirms_once(make_site: MakeSite, tmp_path: Path) -> None:
    here = make_site(journal_dir=str(tmp_path))
    there = make_site(clock=here.clock, journal_dir=str(tmp_path))
    browser = Browser(here)
    browser.navigate("/")
    prefetch(browser)
    here.clock.advance(1)
    elsewhere = Browser(there, cookies=browser.cookies)
    elsewhere.fetch("/api", referer=AHEAD)
    browser.fetch("/api", referer=AHEAD)
    elsewhere.fetch("/more", referer=AHEAD)
    assert views(there) == ["/ahead"]
    assert views(here) == ["/"]


def test_another_browsers_prefetch_confirms_nothing(site: Site, opened: Browser) -> None:
    other = Browser(site)
    other.navigate("/")
    other.fetch("/api", referer=AHEAD)
    assert views(site) == ["/", "/"]


def test_no_page_views_but_activity_without_them(make_site: MakeSite) -> None:
    site = make_site(page_views=False)
    browser = Browser(site)
    browser.navigate("/")
    prefetch(browser)
    site.clock.advance(60)
    browser.fetch("/logo", referer=AHEAD, sec_fetch_mode="no-cors", sec_fetch_dest="image")
    site.clock.advance(1800)
    site.engine.sweep()
    assert site.ends() == [("idle_timeout", 60)]
    assert site.named("page_view") == []


def test_more_pages_than_are_kept_forget_the_oldest(site: Site, browser: Browser) -> None:
    browser.navigate("/")
    for number in range(12):
        site.clock.advance(1)
        prefetch(browser, f"/p{number}")
    for number in range(12):
        browser.fetch(f"/api{number}", referer=f"https://shop.test/p{number}")
    assert set(views(site)) <= {"/", *(f"/p{number}" for number in range(3, 12))}
    assert {"/p11", "/p10"} <= set(views(site))


def test_an_opted_out_visitor_confirms_nothing(site: Site, opened: Browser) -> None:
    site.views["/out"] = view_of(opt_out)
    opened.fetch("/out")
    before = site.names()
    opened.fetch("/api", referer=AHEAD)
    assert site.names() == before


def test_without_any_prefetch_nothing_is_kept(site: Site, browser: Browser, monkeypatch: Any) -> None:
    browser.navigate("/")
    monkeypatch.setattr("sojourn.tracking.prefetched.own_page", lambda request: 1 / 0)
    browser.fetch("/api", referer=AHEAD)
    browser.ask("GET", "/", NAVIGATE)
    assert "fault" not in site.ignored
