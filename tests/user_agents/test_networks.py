"""Published networks of agents: files as the operators have them, and hostile ones, which are refused as a whole."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.user_agents.networks import MOST_BYTES, MOST_NETWORKS, InvalidNetworksError, Networks, parse_networks
from sojourn.user_agents.published import AGENTS, FRESH_MS, SOURCES, Published, agents_of, networks_of, published_of

PREFIXES = {
    "creationTime": "2026-11-20T10:00:00.000000",
    "prefixes": [{"ipv6Prefix": "2a03:f680::/32"}, {"ipv4Prefix": "8.8.4.0/27"}, {"ipv4Prefix": "9.9.9.9/32"}],
}
THREE = ("8.8.4.0/27", "9.9.9.9/32", "2a03:f680::/32")


@pytest.mark.parametrize(
    ("data", "networks"),
    [
        pytest.param(json.dumps(PREFIXES).encode(), THREE, id="prefixes"),
        pytest.param(b"\xef\xbb\xbf" + json.dumps(PREFIXES, indent=2).encode(), THREE, id="with a byte order mark"),
        pytest.param(b'{"prefixes": ["8.8.4.0/27"], "updated": "today"}', ("8.8.4.0/27",), id="a list of texts"),
        pytest.param(b'{"ips": [{"ip_address": "9.9.9.9"}]}', ("9.9.9.9/32",), id="addresses in objects"),
        pytest.param(b'["8.8.4.0/27", "9.9.9.9"]', ("8.8.4.0/27", "9.9.9.9/32"), id="a bare list"),
        pytest.param(
            b'{"prefixes": [{"ip_prefix": "8.8.4.0/27", "region": "eu", "services": ["crawl"]}]}',
            ("8.8.4.0/27",),
            id="with other fields",
        ),
        pytest.param(
            b"# crawlers\n8.8.4.0/27  # the first\r\n\n9.9.9.9\n2a03:f680::/32\n", THREE, id="one a line, with comments"
        ),
        pytest.param(b"8.8.4.5/27\n8.8.4.0/27", ("8.8.4.0/27",), id="an address within its network, twice"),
    ],
)
def test_files_as_operators_publish_them(data: bytes, networks: tuple[str, ...]) -> None:
    assert parse_networks(data) == networks


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param(b"", "it has no networks", id="empty"),
        pytest.param(b"{}", "it has no networks", id="an object of nothing"),
        pytest.param(b'{"prefixes": []}', "it has no networks", id="no prefix"),
        pytest.param(b'{"creationTime": "8.8.4.0/27"}', "it has no networks", id="a network where none belongs"),
        pytest.param(b'{"prefixes": [', "it is no valid JSON", id="cut off"),
        pytest.param(b"[" * 100_000, "it is no valid JSON", id="deep"),
        pytest.param(b"<!doctype html><p>8.8.4.0/27", "it is a web page", id="a page"),
        pytest.param(b"\xff\xfe8", "it is no text", id="no text"),
        pytest.param(b"8.8.4.0/27\nexample.com", '"example.com" is no network', id="a name"),
        pytest.param(b"\x1b[31m8.8", '"[31m8.8" is no network', id="what a terminal would obey"),
        pytest.param(b'{"prefixes": [{"ipv4Prefix": "8.8.4.0/33"}]}', "is no network", id="no such length"),
        pytest.param(b"0.0.0.0/0", "0.0.0.0/0 is too wide", id="everybody"),
        pytest.param(b"2000::/3", "2000::/3 is too wide", id="everybody by IPv6"),
        pytest.param(b"10.0.0.0/8", "10.0.0.0/8 is no public network", id="private"),
        pytest.param(b"fe80::/64", "is no public network", id="link-local"),
        pytest.param(b"224.0.0.0/8", "is no public network", id="multicast"),
        pytest.param(b" " * (MOST_BYTES + 1), "it is larger than 2 MB", id="large"),
        pytest.param(
            "\n".join(f"8.{n >> 8 & 255}.{n & 255}.{n >> 16}" for n in range(MOST_NETWORKS + 1)).encode(),
            "it has more than 20,000 networks",
            id="many",
        ),
    ],
)
def test_what_cannot_be_a_list_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(InvalidNetworksError) as error:
        parse_networks(data)
    assert str(error.value).startswith(problem) or problem in str(error.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_networks_or_refused(data: bytes) -> None:
    try:
        networks = parse_networks(data)
    except InvalidNetworksError:
        return
    assert networks
    assert Networks(networks)


_FOUR = st.builds(
    lambda n, length: IPv4Network((n, length), strict=False), st.integers(0, 2**32 - 1), st.integers(8, 32)
)
_SIX = st.builds(
    lambda n, length: IPv6Network((n, length), strict=False), st.integers(0, 2**128 - 1), st.integers(16, 128)
)
_ADDRESSES = st.ip_addresses()


@given(st.lists(_FOUR | _SIX, max_size=12), st.lists(_ADDRESSES, max_size=5))
def test_an_address_is_in_if_it_is_in_one_of_them(
    networks: list[IPv4Network | IPv6Network], addresses: list[IPv4Address | IPv6Address]
) -> None:
    found = Networks(map(str, networks))
    edges = [each[place] for each in networks for place in (0, -1)]
    beyond = [ip_address(int(edge) + 1) for edge in edges if 0 < int(edge) < 2**32 - 1]
    for address in (*edges, *beyond, *addresses):
        assert (address in found) == any(address in each for each in networks)


def test_a_file_is_known_by_its_name_or_by_the_name_of_an_agent() -> None:
    assert agents_of("GPTBot.json") == ("GPTBot",)
    assert agents_of("bots.json") == ("ClaudeBot", "Claude-User", "Claude-SearchBot")
    assert "Googlebot" in agents_of("googlebot.json")
    assert agents_of("oai-searchbot.txt") == ("OAI-SearchBot",)
    assert agents_of("networks.json") == ()


def test_every_source_is_an_address_of_its_own_for_agents_that_have_names() -> None:
    assert len({source.url for source in SOURCES}) == len({source.file for source in SOURCES}) == len(SOURCES)
    assert all(source.url.startswith("https://") for source in SOURCES)
    assert len(AGENTS) == sum(len(source.agents) for source in SOURCES)


def test_what_the_store_has_is_read_again_and_what_it_cannot_have_is_left() -> None:
    published = Published(1000, "https://example.com/bot.json", THREE)
    assert published_of(published.text) == published
    found = networks_of(published.text)
    assert found is not None
    assert ip_address("8.8.4.31") in found.networks
    assert (found.refutes(1000 + FRESH_MS), found.refutes(1001 + FRESH_MS)) == (True, False)
    for text in ("", "{}", '{"at": 1, "source": "x", "networks": ["nothing"]}'):
        assert networks_of(text) is None
