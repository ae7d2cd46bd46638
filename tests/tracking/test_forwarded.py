"""Behind a proxy: only what trusted proxies wrote is believed, from the right."""

from __future__ import annotations

import ipaddress

import pytest

from sojourn.tracking.forwarded import Proxies
from tests.doors.browser import Browser, Protocol, Site

TRUSTED = Proxies([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8:1::/48")])
NONE = Proxies([])


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "forwarded", "client"),
    [
        pytest.param("198.51.100.9", "203.0.113.1", "", "198.51.100.9", id="an untrusted peer may claim what it likes"),
        pytest.param("198.51.100.9", "", "for=203.0.113.1", "198.51.100.9", id="in both ways"),
        pytest.param("10.0.0.1", "", "", "10.0.0.1", id="a proxy that says nothing"),
        pytest.param("10.0.0.1", "203.0.113.1", "", "203.0.113.1", id="one hop"),
        pytest.param("10.0.0.1", "1.1.1.1, 203.0.113.1", "", "203.0.113.1", id="what the client itself sent"),
        pytest.param("10.0.0.1", "203.0.113.1, 10.0.0.2", "", "203.0.113.1", id="two trusted hops"),
        pytest.param("10.0.0.1", "10.9.9.9, 10.0.0.2", "", "10.9.9.9", id="all trusted: the farthest"),
        pytest.param(
            "10.0.0.1", "203.0.113.1, nonsense", "", "10.0.0.1", id="no address: nothing behind it is trusted"
        ),
        pytest.param("10.0.0.1", "203.0.113.1:4711", "", "203.0.113.1", id="with a port"),
        pytest.param("10.0.0.1", "[2001:db8::7]:80", "", "2001:db8::7", id="IPv6 with a port"),
        pytest.param("10.0.0.1", "2001:db8::7", "", "2001:db8::7", id="IPv6 without"),
        pytest.param("::ffff:10.0.0.1", "203.0.113.1", "", "203.0.113.1", id="IPv4 in IPv6"),
        pytest.param("2001:db8:1::9", "203.0.113.1", "", "203.0.113.1", id="an IPv6 proxy"),
        pytest.param(None, "203.0.113.1", "", "203.0.113.1", id="a unix socket"),
        pytest.param("10.0.0.1", "", 'for="[2001:db8::7]:1";proto=https', "2001:db8::7", id="RFC 7239"),
        pytest.param("10.0.0.1", "", "for=1.1.1.1, For=203.0.113.1", "203.0.113.1", id="RFC 7239, spoofed"),
        pytest.param("10.0.0.1", "", "for=1.1.1.1, for=_hidden", "10.0.0.1", id="RFC 7239, obfuscated"),
        pytest.param("10.0.0.1", "", "for=1.1.1.1, proto=http", "10.0.0.1", id="RFC 7239, a hop that says nothing"),
        pytest.param("10.0.0.1", "203.0.113.1", "for=1.1.1.1", "203.0.113.1", id="a Forwarded that no proxy wrote"),
        pytest.param("10.0.0.1", ",".join(["10.0.0.2"] * 5000), "", "10.0.0.2", id="far too long"),
    ],
)
def test_client(peer: str | None, forwarded_for: str, forwarded: str, client: str) -> None:
    assert TRUSTED.client(peer, forwarded, forwarded_for) == client
    assert NONE.client(peer, forwarded, forwarded_for) == peer


@pytest.mark.parametrize(
    ("peer", "proto", "forwarded_for", "forwarded", "scheme"),
    [
        pytest.param("198.51.100.9", "https", "", "", "http", id="an untrusted peer"),
        pytest.param("10.0.0.1", "https", "", "", "https", id="alone"),
        pytest.param("10.0.0.1", "https", "203.0.113.1", "", "https", id="one hop"),
        pytest.param("10.0.0.1", "HTTPS", "203.0.113.1", "", "https", id="in capitals"),
        pytest.param("10.0.0.1", "https, http", "203.0.113.1, 10.0.0.2", "", "https", id="two hops: the outer one"),
        pytest.param("10.0.0.1", "https, http", "1.1.1.1, 203.0.113.1", "", "http", id="the first one is the client's"),
        pytest.param("10.0.0.1", "https", "203.0.113.1, 10.0.0.2", "", "https", id="one for the whole chain"),
        pytest.param("10.0.0.1", "gopher", "203.0.113.1", "", "http", id="no scheme"),
        pytest.param("10.0.0.1", "", "", "for=203.0.113.1;proto=https", "https", id="RFC 7239"),
        pytest.param("10.0.0.1", "", "", "for=1.1.1.1;proto=https, for=203.0.113.1", "http", id="RFC 7239, spoofed"),
        pytest.param("10.0.0.1", "", "", "", "http", id="nothing said"),
    ],
)
def test_scheme(peer: str, proto: str, forwarded_for: str, forwarded: str, scheme: str) -> None:
    said = {"forwarded": forwarded, "forwarded_for": forwarded_for, "forwarded_proto": proto}
    assert TRUSTED.scheme(peer, "http", **said) == scheme
    assert NONE.scheme(peer, "http", **said) == "http"


@pytest.mark.parametrize("protocol", ["asgi", "wsgi"])
@pytest.mark.parametrize(
    ("peer", "address", "is_secure"),
    [
        pytest.param("10.0.0.1", "203.0.113.0", True, id="proxy"),
        pytest.param("192.0.2.7", "192.0.2.0", False, id="not"),
    ],
)
def test_both_doors_believe_trusted_proxies_only(
    protocol: Protocol, peer: str, address: str, *, is_secure: bool
) -> None:
    site = Site(protocol, trusted_proxies=["10.0.0.0/8"])
    browser = Browser(site, scheme="http", client=peer)
    (line,) = browser.navigate(x_forwarded_for="1.1.1.1, 203.0.113.1", x_forwarded_proto="https").cookies
    assert line.startswith("__Host-") == is_secure
    assert site.named("session.start")[0].attributes["client.address"] == address
    site.close()
