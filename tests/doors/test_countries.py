"""The country of a session, as a trusted proxy names it: through both doors."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sojourn import Settings
from sojourn.errors import SettingsError
from sojourn.stores.reporting.model import Filter
from tests.doors.browser import KEY, NAVIGATE, Site

MakeSite = Callable[..., Site]
COUNTRY = "geo.country.iso_code"


@pytest.mark.parametrize(
    ("value", "peer", "country"),
    [
        pytest.param("AT", "10.0.0.1", "AT", id="as the proxy says"),
        pytest.param(" de ", "10.0.0.1", "DE", id="in small letters"),
        pytest.param("AT", "192.0.2.7", None, id="from a visitor"),
        pytest.param("XX", "10.0.0.1", None, id="unknown"),
        pytest.param("T1", "10.0.0.1", None, id="Tor"),
        pytest.param("<script>", "10.0.0.1", None, id="hostile"),
        pytest.param("", "10.0.0.1", None, id="empty"),
    ],
)
def test_country_of_a_header(make_site: MakeSite, value: str, peer: str, country: str | None) -> None:
    site = make_site(country_header="CF-IPCountry", trusted_proxies="10.0.0.0/8")
    site.request("GET", "/", [*NAVIGATE.items(), ("cf-ipcountry", value)], client=peer)
    (start,) = site.named("session.start")
    assert start.attributes.get(COUNTRY) == country
    (line,) = site.engine.store.sessions.page(Filter()).lines
    assert line.dimensions["country"] == country


def test_a_browser_that_wants_to_be_anonymous_has_no_country(make_site: MakeSite) -> None:
    site = make_site(country_header="CF-IPCountry", trusted_proxies="10.0.0.0/8", gpc="anonymous")
    headers = [*NAVIGATE.items(), ("cf-ipcountry", "AT"), ("sec-gpc", "1")]
    site.request("GET", "/", headers, client="10.0.0.1")
    (start,) = site.named("session.start")
    assert COUNTRY not in start.attributes


def test_the_header_needs_a_trusted_proxy() -> None:
    with pytest.raises(SettingsError, match="trusted_proxies"):
        Settings(secret_key=KEY, store="memory:", country_header="CF-IPCountry")
    with pytest.raises(SettingsError, match="the name of a header"):
        Settings(secret_key=KEY, store="memory:", country_header="CF IP", trusted_proxies="*")
