"""Where a session came from, through both doors: a click inside the site is no source."""

from __future__ import annotations

import pytest

from tests.doors.browser import Browser, Site
from tests.doors.conftest import MakeSite

OWN = "https://shop.example/catalogue"


def referrer_of(site: Site) -> str | None:
    site.engine.flush()
    return site.engine.store.sessions.latest(limit=1)[0].referrer


def test_a_session_after_the_idle_timeout_that_a_click_began_has_no_source(site: Site, browser: Browser) -> None:
    browser.navigate(host="shop.example", referer="https://search.example/find?q=pots")
    assert referrer_of(site) == "https://search.example/find"
    site.clock.advance(3600)
    browser.navigate("/cart", host="shop.example", referer=f"{OWN}?page=2")
    first, second = site.named("session.start")
    assert second.attributes["http.request.header.referer"] == OWN
    assert second.attributes["session.internal_referrer"] is True
    assert "session.internal_referrer" not in first.attributes
    assert referrer_of(site) == "(within the site)"


@pytest.mark.parametrize(
    ("host", "referrer", "is_own"),
    [
        pytest.param("shop.example", OWN, True, id="the same host"),
        pytest.param("shop.example:8443", "https://shop.example:8443/a", True, id="the same port"),
        pytest.param("shop.example:8443", "https://shop.example/a", True, id="another port"),
        pytest.param("shop.example", "http://shop.example/a", True, id="another scheme"),
        pytest.param("SHOP.example.", OWN, True, id="written otherwise"),
        pytest.param("shop.example", "https://www.shop.example/", True, id="its www"),
        pytest.param("www.shop.example", OWN, True, id="without its www"),
        pytest.param("[::1]:8000", "http://[::1]:8000/a", True, id="an IPv6 address"),
        pytest.param("shop.example", "https://blog.shop.example/", False, id="a host below"),
        pytest.param("de.shop.example", OWN, False, id="the host above"),
        pytest.param("shop.example", "https://notshop.example/", False, id="a longer name"),
        pytest.param("shop.example", "https://shop.example.evil.test/", False, id="a name that begins so"),
        pytest.param("shop.example", "https://search.example/?q=shop.example", False, id="a query that names it"),
        pytest.param("", OWN, False, id="no host"),
        pytest.param("[", OWN, False, id="a broken host"),
    ],
)
def test_own_host(site: Site, browser: Browser, host: str, referrer: str, *, is_own: bool) -> None:
    browser.navigate(host=host, referer=referrer)
    assert (referrer_of(site) == "(within the site)") is is_own


@pytest.mark.parametrize(
    ("headers", "is_own"),
    [
        pytest.param({"x-forwarded-host": "shop.example"}, True, id="X-Forwarded-Host"),
        pytest.param({"x-forwarded-host": "shop.example, cache.internal"}, True, id="of a chain"),
        pytest.param({"forwarded": 'for=192.0.2.1;host="shop.example:443";proto=https'}, True, id="Forwarded"),
        pytest.param({"x-forwarded-host": "other.example"}, False, id="another"),
        pytest.param({}, False, id="nothing"),
    ],
)
def test_behind_a_proxy_that_rewrites_the_host(
    site: Site, browser: Browser, headers: dict[str, str], *, is_own: bool
) -> None:
    browser.navigate(host="127.0.0.1:8000", referer=OWN, **headers)
    assert (referrer_of(site) == "(within the site)") is is_own


@pytest.mark.parametrize(
    ("referrer", "is_own"),
    [
        pytest.param("https://shop.de/", True, id="a further host"),
        pytest.param("https://www.shop.de/", True, id="its www"),
        pytest.param("https://blog.shop.de/", False, id="below it"),
        pytest.param("https://shop.fr/", True, id="a domain"),
        pytest.param("https://a.b.shop.fr/", True, id="below a domain"),
        pytest.param("https://blog.shop.example/", True, id="below the cookie's domain"),
        pytest.param("https://othershop.fr/", False, id="a longer name"),
    ],
)
def test_several_hosts_of_one_site(make_site: MakeSite, referrer: str, *, is_own: bool) -> None:
    site = make_site(own_hosts=["shop.de", ".shop.fr"], cookie_domain="shop.example")
    Browser(site).navigate(host="shop.example", referer=referrer)
    assert (referrer_of(site) == "(within the site)") is is_own
