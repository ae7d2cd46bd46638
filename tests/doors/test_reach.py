"""No session where its cookie would be lost, and one browser with two cookies finds back to one."""

from __future__ import annotations

from pathlib import Path

import pytest

from sojourn import identify, track
from sojourn.testing import ManualClock
from tests.doors.browser import HTML, JSON, NAVIGATE, Browser, Response, view_of
from tests.doors.conftest import MakeSite

HOST = {"host": "shop.test"}


def redirect(location: str, status: int = 307) -> Response:
    return Response(status, headers=(HTML, ("location", location)))


@pytest.mark.parametrize(
    ("location", "settings", "starts"),
    [
        pytest.param("https://shop.test/", {}, 0, id="to https"),
        pytest.param("http://www.shop.test/", {}, 0, id="to www"),
        pytest.param("http://www.shop.test/", {"cookie_domain": "shop.test"}, 1, id="to www, which the domain covers"),
        pytest.param("https://pay.example/", {}, 1, id="to a payment provider"),
        pytest.param("/home", {}, 1, id="to a page"),
    ],
)
def test_a_redirect_out_of_reach_starts_nothing(
    make_site: MakeSite, location: str, settings: dict[str, str], starts: int
) -> None:
    site = make_site(**settings)
    site.views["/"] = view_of(response=redirect(location))
    reply = Browser(site).navigate("/", **HOST)
    assert (len(reply.cookies), len(site.sessions)) == (starts, starts)
    assert site.ignored.get("redirected", 0) == 1 - starts


def test_a_log_in_that_redirects_out_of_reach_takes_effect(make_site: MakeSite) -> None:
    site = make_site()
    site.views["/login"] = view_of(lambda: identify("anna"), response=redirect("https://www.shop.test/", 303))
    assert len(Browser(site).navigate("/login", method="POST", **HOST).cookies) == 1
    assert [event.user_id for event in site.named("user.identify")] == ["anna"]


def test_a_secure_cookie_over_http_starts_nothing(make_site: MakeSite) -> None:
    site = make_site(cookie_secure=True)
    for _ in range(3):
        assert site.request("GET", "/", [("host", "shop.test")]).cookies == []
    assert site.sessions == []


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}, id="a fetch without credentials"),
        pytest.param({"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, id="a fetch of a subdomain"),
        pytest.param(
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, id="a picture"
        ),
        pytest.param(
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, id="a frame"
        ),
    ],
)
def test_what_keeps_no_cookie_starts_nothing_even_by_a_call(make_site: MakeSite, headers: dict[str, str]) -> None:
    site = make_site(session_starts="any")
    site.views["/"] = view_of(lambda: track("x"), response=Response(headers=(JSON,)))
    assert site.request("GET", "/", list(headers.items())).cookies == []
    assert site.sessions == []


def test_a_refreshed_copy_for_another_domain_is_the_same_visitor(make_site: MakeSite, tmp_path: Path) -> None:
    """`cookie_domain` was changed: the browser keeps the copy for its host, and sends both."""
    store, clock = f"sqlite:///{tmp_path}/sojourn.db", ManualClock()
    old = make_site(store=store, clock=clock)
    browser = Browser(old)
    browser.navigate(**HOST)
    assert len(old.sessions) == 1
    first = browser.cookies["sojourn"]
    new = make_site(store=store, clock=clock, cookie_domain="shop.test")
    browser.site = new
    clock.advance(70)
    browser.navigate(**HOST)
    second = browser.cookies["sojourn"]
    assert first != second
    for _ in range(5):
        clock.advance(70)
        copies = ("cookie", f"sojourn={first}; sojourn={second}")
        reply = new.request("GET", "/", [*HOST.items(), *NAVIGATE.items(), copies])
        second = reply.cookies[0].partition(";")[0].partition("=")[2]
    assert new.sessions == []
    assert "disputed" not in new.ignored


def test_a_dispute_starts_nothing_is_counted_and_heals(make_site: MakeSite) -> None:
    site = make_site()
    one, other = Browser(site), Browser(site)
    one.navigate()
    other.navigate()
    header = f"sojourn={one.cookies['sojourn']}; sojourn={other.cookies['sojourn']}"
    reply = site.request("GET", "/", [("host", "app.shop.test"), *NAVIGATE.items(), ("cookie", header)])
    assert len(site.sessions) == 2
    assert site.ignored["disputed"] == 1
    assert [line.partition("; HttpOnly")[0] for line in reply.cookies] == [
        "sojourn=; Max-Age=0; Path=/",
        "sojourn=; Max-Age=0; Domain=app.shop.test; Path=/",
        "sojourn=; Max-Age=0; Domain=shop.test; Path=/",
    ]
    assert reply.header("cache-control") == ["private"]
    site.request("GET", "/", list(NAVIGATE.items()))
    assert len(site.sessions) == 3
