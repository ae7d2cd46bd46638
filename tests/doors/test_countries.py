"""The country of a session, as a trusted proxy names it: through both doors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sojourn import Settings
from sojourn.errors import SettingsError
from sojourn.stores.reporting.model import Filter
from tests.doors.browser import KEY, NAVIGATE, Site
from tests.tracking.mmdb import database

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


def test_country_of_a_file_by_the_full_address(make_site: MakeSite, tmp_path: Path) -> None:
    path = tmp_path / "countries.mmdb"
    path.write_bytes(database({"192.0.2.128/25": {"country": {"iso_code": "AT"}}}))
    site = make_site(country_database=path)
    for client in ("192.0.2.200", "192.0.2.7"):  # the same network once it is cut
        site.request("GET", "/", NAVIGATE.items(), client=client)
    starts = site.named("session.start")
    assert [start.attributes.get(COUNTRY) for start in starts] == ["AT", None]
    assert {start.attributes["client.address"] for start in starts} == {"192.0.2.0"}


def test_the_header_outweighs_the_file(make_site: MakeSite, tmp_path: Path) -> None:
    path = tmp_path / "countries.mmdb"
    path.write_bytes(database({"192.0.2.0/24": {"country": {"iso_code": "AT"}}}))
    site = make_site(country_database=path, country_header="CF-IPCountry", trusted_proxies="10.0.0.0/8")
    for value in ("DE", "XX"):
        headers = [*NAVIGATE.items(), ("cf-ipcountry", value), ("x-forwarded-for", "192.0.2.7")]
        site.request("GET", "/", headers, client="10.0.0.1")
    assert [start.attributes.get(COUNTRY) for start in site.named("session.start")] == ["DE", "AT"]


def test_a_replaced_file_counts_within_a_minute(make_site: MakeSite, tmp_path: Path) -> None:
    path, new = tmp_path / "countries.mmdb", tmp_path / "new"
    path.write_bytes(database({"192.0.2.0/24": {"country": {"iso_code": "AT"}}}))
    site = make_site(country_database=path)
    site.clock.advance(61)
    site.engine.flush()
    new.write_bytes(database({"192.0.2.0/24": {"country": {"iso_code": "CH"}}}))
    new.replace(path)
    for _ in range(2):
        site.request("GET", "/", NAVIGATE.items())
        site.engine.flush()
        site.clock.advance(61)
        site.engine.flush()
    assert [start.attributes.get(COUNTRY) for start in site.named("session.start")] == ["AT", "CH"]


def test_a_bad_file_stops_the_app_at_once(make_site: MakeSite, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="country_database"):
        make_site(country_database=tmp_path / "missing.mmdb")
