"""Countries from a file: what it says of an address, files that are none, and files that are replaced."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.errors import SettingsError
from sojourn.tracking.country_file import CountryFile
from tests.tracking.mmdb import database

NETWORKS = {
    "192.0.2.0/24": {"country": {"iso_code": "AT", "names": {"en": "x" * 300}}, "list": [1, True, "y" * 40]},
    "198.51.100.0/25": {"country_code": "DE"},
    "2001:db8::/32": {"country": {"iso_code": "JP"}},
    "203.0.113.0/24": {"city": {"name": "nowhere"}},
}
V4 = {network: value for network, value in NETWORKS.items() if ":" not in network}


@pytest.mark.parametrize("record_size", [24, 28, 32])
def test_what_the_file_says(tmp_path: Path, record_size: int) -> None:
    path = tmp_path / "countries.mmdb"
    path.write_bytes(database(NETWORKS, record_size=record_size))
    file = CountryFile(path)
    found = {
        address: file.country_of(address)
        for address in (
            "192.0.2.255",
            "::ffff:192.0.2.1",
            "198.51.100.1",
            "198.51.100.128",
            "2001:db8::1",
            "2001:db9::1",
        )
    }
    assert list(found.values()) == ["AT", "AT", "DE", None, "JP", None]
    assert [file.country_of(text) for text in ("203.0.113.1", "127.0.0.1", "testclient", "", "fe80::1%eth0")] == [
        None
    ] * 5


@pytest.mark.parametrize("record_size", [24, 28, 32])
def test_a_file_of_ipv4_alone(tmp_path: Path, record_size: int) -> None:
    path = tmp_path / "countries.mmdb"
    path.write_bytes(database(V4, record_size=record_size, version=4))
    file = CountryFile(path)
    assert [file.country_of(text) for text in ("192.0.2.7", "2001:db8::1")] == ["AT", None]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"GIF89a" * 99, id="another format"),
        pytest.param(database(V4)[:-30], id="cut off"),
        pytest.param(database(V4, record_size=24, binary_format_major_version=3), id="a later version"),
        pytest.param(database(V4, node_count=10**6), id="a size that it has not"),
        pytest.param(b"\xab\xcd\xefMaxMind.com", id="nothing but the marker"),
    ],
)
def test_what_is_no_such_file_is_an_error_with_the_fix(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "countries.mmdb"
    path.write_bytes(data)
    with pytest.raises(SettingsError, match=r"country_database=.*countries\.mmdb.*cannot be used.*\.mmdb"):
        CountryFile(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        CountryFile(tmp_path / "missing.mmdb")


def test_a_file_that_is_replaced_is_read_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, new = tmp_path / "countries.mmdb", tmp_path / "new"
    path.write_bytes(database({"192.0.2.0/24": {"country": {"iso_code": "AT"}}}))
    file = CountryFile(path)
    new.write_bytes(database({"192.0.2.0/24": {"country": {"iso_code": "CH"}}, "10.0.0.0/8": {}}))
    new.replace(path)
    assert file.country_of("192.0.2.1") == "AT"
    file.reload()
    assert file.country_of("192.0.2.1") == "CH"
    path.write_bytes(b"broken")
    file.reload()
    file.reload()
    assert file.country_of("192.0.2.1") == "CH"
    assert len(caplog.records) == 1


@given(flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_bytes_never_raise(tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]]) -> None:
    data = bytearray(database(NETWORKS))
    for place, value in flips:
        data[place % len(data)] = value
    path = tmp_path_factory.mktemp("damaged") / "countries.mmdb"
    path.write_bytes(data)
    try:
        file = CountryFile(path)
    except SettingsError:
        return
    for address in ("192.0.2.1", "198.51.100.1", "2001:db8::1", "8.8.8.8"):
        file.country_of(address)
