"""What all vendor backends share: options as arguments and in the URL, names, and hidden keys."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Unpack

import httpx
import msgspec
import pytest

from sojourn.backends.http import HttpCall
from sojourn.backends.vendor import VendorBackend, VendorOptions
from sojourn.backends.vendor_url import VendorURL, checked_address, checked_key
from sojourn.core.events import Event
from sojourn.errors import SettingsError
from sojourn.testing.backend_contract import many_events


class Encoder:
    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = key

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall]:
        yield HttpCall("POST", self.url, batch, json=[], headers={"authorization": self.key})


class Acme(VendorBackend):
    """A vendor that bills for heartbeats and cannot take an end twice."""

    scheme = "acme"
    own_options: ClassVar[Mapping[str, type]] = {"region": str, "quick": bool}

    def __init__(
        self, address: str, key: str, *, region: str = "eu", quick: bool = False, **options: Unpack[VendorOptions]
    ):
        self.region = region
        self.quick = quick
        super().__init__(Encoder(checked_address(address, "acme") + "/in", checked_key(key, "acme")), **options)


class Grand(Acme):
    """Its opposite."""

    heartbeats_by_default = True
    takes_revised_ends = True


def named(name: str, **attributes: int) -> Event:
    return msgspec.structs.replace(many_events(1)[0], name=name, attributes=attributes)


HEARTBEAT = named("session.heartbeat")
REVISED = named("session.end", **{"session.end_revision": 1})
PAGE = named("page_view")


@pytest.mark.parametrize(
    ("vendor", "options", "accepted"),
    [
        pytest.param(Acme, "", (False, False, True), id="defaults of one"),
        pytest.param(Grand, "", (True, True, True), id="defaults of the other"),
        pytest.param(Acme, "heartbeats=1&resend_ends=1", (True, True, True), id="asked for"),
        pytest.param(Grand, "heartbeats=0&resend_ends=no", (False, False, True), id="not wanted"),
        pytest.param(Grand, "events=session.*", (True, True, False), id="a pattern"),
        pytest.param(Grand, "events=page_view&events=session.end", (False, True, True), id="two names"),
        pytest.param(Grand, "events=%21page_view%2C%21session.end", (True, False, False), id="commas, encoded"),
    ],
)
def test_filter_follows_options_and_class_defaults(
    vendor: type[Acme], options: str, accepted: tuple[bool, ...]
) -> None:
    backend = vendor.from_url(f"acme+https://k@acme.example?{options}")
    assert tuple(backend.accepts(event) for event in (HEARTBEAT, REVISED, PAGE)) == accepted


def test_arguments_and_url_options_are_equivalent() -> None:
    built = Grand("https://acme.example", "k", events=["session.*"], heartbeats=False, resend_ends=True)
    read = Grand.from_url("acme+https://k@acme.example?events=session.*&heartbeats=0&resend_ends=1")
    for event in (HEARTBEAT, REVISED, PAGE, named("session.start")):
        assert built.accepts(event) is read.accepts(event)


@pytest.mark.parametrize(
    ("url", "called", "key"),
    [
        pytest.param("acme+https://k@acme.example", "https://acme.example/in", "k", id="plain"),
        pytest.param("acme+http://k@127.0.0.1:9100/", "http://127.0.0.1:9100/in", "k", id="port and slash"),
        pytest.param("acme+https://a%2Fb%40c@acme.example/x/", "https://acme.example/x/in", "a/b@c", id="encoded key"),
        pytest.param("acme+https://k@acme.example?name=x&region=us", "https://acme.example/in", "k", id="options"),
        pytest.param("acme+https://k:@[::1]:9000", "https://[::1]:9000/in", "k", id="address of six"),
    ],
)
def test_called_url_has_no_key_and_options(url: str, called: str, key: str) -> None:
    (call,) = Acme.from_url(url).encode(many_events(1))
    assert isinstance(call, HttpCall)
    assert (call.url, call.headers["authorization"]) == (called, key)


def test_name_third_party_and_own_options() -> None:
    backend = Acme.from_url("acme+https://k@acme.example")
    assert (backend.name, backend.third_party, backend.region, backend.quick) == ("acme", True, "eu", False)
    other = Acme.from_url("acme+https://k@acme.example?name=second&third_party=0&region=us&quick=yes")
    assert (other.name, other.third_party, other.region, other.quick) == ("second", False, "us", True)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        pytest.param("acme+https://acme.example", "key is missing", id="no key"),
        pytest.param("acme+https://@acme.example", "key is missing", id="empty key"),
        pytest.param(
            "acme+https://hunter2%0d%0ax@acme.example", "characters that no key has", id="line break in a key"
        ),
        pytest.param("acme+ftp://hunter2@acme.example", "must begin with http", id="ftp"),
        pytest.param("acme:hunter2", "must begin with http", id="no address"),
        pytest.param("acme+https://hunter2@", "must begin with http", id="no host"),
        pytest.param("acme+https://hunter2@acme.example:port", "malformed", id="port is a word"),
        pytest.param("acme+https://k@acme.example?heartbeats=hunter2", "neither true nor false", id="flag is a word"),
        pytest.param("acme+https://k@acme.example?quick=hunter2", "quick is neither true nor", id="own flag is a word"),
        pytest.param("acme+https://k@acme.example?resned_ends=1", "did you mean resend_ends", id="misspelt"),
        pytest.param("acme+https://k@acme.example?region=a&region=b", "region is given 2 times", id="own option twice"),
        pytest.param("acme+https://k@acme.example?events=%21", "is not a name or pattern", id="empty pattern"),
        pytest.param("acme+https://k@acme.example?timeout=16", "at most 15", id="timeout beyond the lease"),
    ],
)
def test_wrong_url_names_the_fix_without_the_key(url: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Acme.from_url(url)
    assert says in str(caught.value)
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"


@pytest.mark.parametrize(
    "address",
    ["https://k:s@acme.example", "https://acme.example?key=hunter2", "https://acme.example#x", "acme.example"],
)
def test_address_with_credentials_or_query_is_refused(address: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Acme(address, "k")
    assert "hunter2" not in str(caught.value)


def test_key_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(401))
    backend = Acme("https://acme.example", "hunter2", transport=transport)
    with caplog.at_level(logging.DEBUG):
        receipt = backend.send(many_events(2))
    assert receipt.pause is not None
    calls = list(backend.encode(many_events(2)))
    assert "hunter2" not in f"{backend!r}{receipt}{backend.last_call}{calls}{caplog.text}"
    assert "hunter2" not in repr(VendorURL.parse("acme+https://hunter2:hunter2@acme.example", "acme"))
