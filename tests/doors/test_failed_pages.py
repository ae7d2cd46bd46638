"""Pages that fail, through both doors: a page view whatever their type, and no session for who only tries addresses out."""

from __future__ import annotations

import pytest

from sojourn import current_session, identify, start_session, track
from tests.doors.browser import FETCH, HTML, JSON, NAVIGATE, Browser, Response, Site, view_of

TEXT = ("content-type", "text/plain; charset=utf-8")
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
BOOSTED = {**FETCH, "hx-boosted": "true"}


@pytest.mark.parametrize("status", [404, 500, 503])
@pytest.mark.parametrize("content", [HTML, JSON, TEXT], ids=["HTML", "JSON", "text"])
def test_a_page_that_failed_is_a_page_view_whatever_its_type(
    site: Site, browser: Browser, status: int, content: tuple[str, str]
) -> None:
    site.views["/missing"] = view_of(response=Response(status, (content,)))
    browser.navigate("/missing")
    (view,) = site.named("page_view")
    assert view.attributes["error.type"] == str(status)
    assert view.attributes["url.path"] == "/missing"
    assert len(site.sessions) == 1


@pytest.mark.parametrize(
    ("headers", "is_page_view"),
    [
        pytest.param(NAVIGATE, True, id="a navigation"),
        pytest.param(BOOSTED, True, id="a page swap"),
        pytest.param(BROWSER, True, id="no Fetch Metadata, wants HTML"),
        pytest.param({}, False, id="no Fetch Metadata"),
        pytest.param({"accept": "*/*"}, False, id="no Fetch Metadata, wants anything"),
        pytest.param(FETCH, False, id="a fetch"),
    ],
)
def test_in_a_session(site: Site, browser: Browser, headers: dict[str, str], *, is_page_view: bool) -> None:
    site.views["/missing"] = view_of(response=Response(404, (JSON,)))
    browser.navigate()
    browser.ask("GET", "/missing", headers)
    assert len(site.named("page_view")) == 1 + is_page_view
    assert len(site.sessions) == 1


@pytest.mark.parametrize("content", [HTML, JSON, TEXT], ids=["HTML", "JSON", "text"])
@pytest.mark.parametrize("status", [400, 401, 404, 410, 500])
@pytest.mark.parametrize(
    ("headers", "starts"),
    [
        pytest.param(NAVIGATE, True, id="a navigation"),
        pytest.param(BOOSTED, True, id="a page swap"),
        pytest.param(BROWSER, False, id="no Fetch Metadata, wants HTML"),
        pytest.param({}, False, id="no Fetch Metadata"),
        pytest.param({**BROWSER, "cookie": "sojourn=forged.cookie"}, False, id="a forged cookie"),
    ],
)
def test_a_failed_response_starts_a_session_only_for_a_marked_navigation(
    site: Site, headers: dict[str, str], status: int, content: tuple[str, str], *, starts: bool
) -> None:
    site.views["/wp-login.php"] = view_of(current_session, response=Response(status, (content,)))
    reply = Browser(site).ask("GET", "/wp-login.php", headers)
    assert len(site.sessions) == len(reply.cookies) == starts
    assert site.ignored == ({} if starts else {"failed_response": 1})
    assert len(site.events) == 2 * starts


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: track("signup_failed"), id="track"),
        pytest.param(lambda: identify("anna"), id="identify"),
        pytest.param(start_session, id="start_session"),
    ],
)
def test_a_call_starts_one_all_the_same(site: Site, call: object) -> None:
    site.views["/api"] = view_of(call, response=Response(422, (JSON,)))  # type: ignore[arg-type]
    Browser(site).ask("POST", "/api", {})
    assert len(site.sessions) == 1


def test_a_session_that_is_over_is_succeeded(site: Site, browser: Browser) -> None:
    """The client has our cookie, so it is no stranger."""
    site.views["/missing"] = view_of(response=Response(404, (JSON,)))
    browser.navigate()
    site.clock.advance(3600)
    browser.ask("GET", "/missing", BROWSER)
    assert len(site.sessions) == 2
    assert [view.attributes.get("error.type") for view in site.named("page_view")] == [None, "404"]


def test_any_request_may_start_one_but_for_a_failed_one(make_site: object) -> None:
    site: Site = make_site(session_starts="any")  # type: ignore[operator]
    site.views["/missing"] = view_of(response=Response(404, (JSON,)))
    Browser(site).fetch("/missing")
    assert site.sessions == []
    Browser(site).fetch("/api")
    assert len(site.sessions) == 1
