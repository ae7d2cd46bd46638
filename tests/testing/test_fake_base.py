"""What all fake vendors can do: fail on demand, count duplicates, be served on a port, be a transport."""

from __future__ import annotations

import gzip
import json
import socket
import sys
import threading
from collections.abc import Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.backends import DynatraceBackend, backend_from_url
from sojourn.errors import MissingExtraError, SettingsError, SojournError
from sojourn.testing.backend_contract import many_events
from sojourn.testing.vendors import FakeDynatrace, FakeVendor, Received, Reply, VendorEvent, VendorSession


class FakeAcme(FakeVendor):
    """Takes a JSON array of ids."""

    vendor = "acme"
    transient = (503,)

    def respond(self, request: Received) -> Reply:
        for event_id in json.loads(request.body):
            self.take(VendorEvent(id=event_id, name="x", at=1, session_id="s"))
        return Reply(status=200)

    def sessions(self) -> list[VendorSession]:
        return [VendorSession(session_id="s", events=tuple(self.events()))]


def send(fake: FakeVendor, *ids: str, body: bytes | None = None, **headers: str) -> int:
    packed = json.dumps(ids).encode() if body is None else body
    return fake.handle(Received(method="POST", path="/", headers=headers, body=packed)).status


def test_events_are_kept_once_in_order() -> None:
    fake = FakeAcme()
    assert [send(fake, "b", "a"), send(fake, "a", "c")] == [200, 200]
    assert [event.id for event in fake.events()] == ["b", "a", "c"]
    assert (fake.duplicates, len(fake.requests)) == (1, 2)
    assert fake.sessions()[0].names == ("x", "x", "x")


def test_on_event_is_called_once_per_event() -> None:
    fake = FakeAcme()
    ids: list[str] = []
    fake.on_event = lambda event: ids.append(event.id)
    send(fake, "a", "b")
    send(fake, "a", "c")
    assert ids == ["a", "b", "c"]


def test_fail_next_takes_no_events() -> None:
    fake = FakeAcme()
    fake.fail_next(429, times=2, headers={"retry-after": "3"})
    responses = [fake.handle(Received(method="POST", path="/", body=b'["a"]')) for _ in range(3)]
    assert [(response.status, response.headers.get("retry-after")) for response in responses] == [
        (429, "3"),
        (429, "3"),
        (200, None),
    ]
    assert (len(fake.events()), fake.duplicates) == (1, 0)
    assert [request.status for request in fake.requests] == [429, 429, 200]


def test_response_can_be_lost_after_taking() -> None:
    fake = FakeAcme()
    fake.fail_next(503, after_taking=True)
    assert [send(fake, "a"), send(fake, "a")] == [503, 200]
    assert (len(fake.events()), fake.duplicates) == (1, 1)


@given(rate=st.sampled_from([0.0, 0.2, 1.0]), seed=st.integers(0, 9), after_taking=st.booleans())
def test_random_failures_repeat_with_the_seed(rate: float, seed: int, after_taking: bool) -> None:
    def played() -> tuple[list[int], int]:
        fake = FakeAcme()
        fake.fail(rate, (500, 429), seed=seed, after_taking=after_taking)
        return [send(fake, str(n)) for n in range(100)], len(fake.events())

    statuses, taken = played()
    assert played() == (statuses, taken)
    failed = sum(status != 200 for status in statuses)
    assert set(statuses) <= {200, 500, 429}
    assert taken == (100 if after_taking else 100 - failed)
    assert {0.0: failed == 0, 0.2: 5 <= failed <= 40, 1.0: failed == 100}[rate]


def test_heal_stops_failures() -> None:
    fake = FakeAcme()
    fake.fail(1.0)
    fake.fail_next(500)
    assert send(fake, "a") == 500
    assert send(fake, "a") == 503
    fake.heal()
    assert send(fake, "a") == 200


@pytest.mark.parametrize(("rate", "statuses"), [(1.5, (500,)), (-0.1, (500,)), (0.5, ())])
def test_invalid_rate_is_refused(rate: float, statuses: tuple[int, ...]) -> None:
    with pytest.raises(SettingsError, match="a rate is from 0 to 1"):
        FakeAcme().fail(rate, statuses)


def test_clear_forgets_all() -> None:
    fake = FakeAcme()
    send(fake, "a")
    send(fake, "a")
    fake.clear()
    assert (fake.events(), fake.requests, fake.duplicates) == ([], [], 0)
    send(fake, "a")
    assert fake.duplicates == 0


@pytest.mark.parametrize(
    ("packed", "encoding", "status"),
    [
        pytest.param(gzip.compress, "gzip", 200, id="gzip"),
        pytest.param(lambda body: body, "identity", 200, id="plain"),
        pytest.param(lambda body: body, "gzip", 400, id="said to be"),
        pytest.param(lambda body: gzip.compress(body)[:-5], "gzip", 400, id="cut short"),
        pytest.param(lambda body: body, "br", 400, id="another"),
    ],
)
def test_compressed_bodies_are_decompressed(packed: Callable[[bytes], bytes], encoding: str, status: int) -> None:
    fake = FakeAcme()
    assert send(fake, body=packed(b'["a"]'), **{"content-encoding": encoding}) == status
    assert len(fake.events()) == (status == 200)


def test_url_contains_the_key() -> None:
    assert FakeAcme("K/1", "s@").url("http://127.0.0.1:9100") == "acme+http://K%2F1:s%40@127.0.0.1:9100"
    assert FakeAcme().url("http://127.0.0.1:9100") == "acme+http://127.0.0.1:9100"


# --- on a port


def test_serve_lasts_for_the_block() -> None:
    fake = FakeDynatrace()
    with fake.serve() as url:
        backend = backend_from_url(url)
        assert backend.send(many_events(500)).delivered == 500
        fake.fail_next(503)
        assert backend.send(many_events(1)).delivered == 0
        backend.close()
        address = fake.address
        assert address is not None
        assert httpx.get(address).status_code == 404
    assert fake.address is None
    assert len(fake.events()) == 500
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)
    assert not [thread for thread in threading.enumerate() if thread.name == "sojourn-fake"]


def test_serve_ends_when_the_block_raises() -> None:
    fake = FakeDynatrace()
    with pytest.raises(LookupError), fake.serve():
        raise LookupError
    assert fake.address is None
    assert not [thread for thread in threading.enumerate() if thread.name == "sojourn-fake"]


def test_delay_hits_the_deadline() -> None:
    fake = FakeDynatrace()
    with fake.serve() as url:
        fake.delay(0.6)
        backend = backend_from_url(f"{url}?timeout=0.2")
        receipt = backend.send(many_events(1))
        assert (receipt.delivered, receipt.pause) == (0, None)
        backend.close()


def test_port_in_use_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SojournError, match=f"port {port} cannot be used"), FakeAcme().serve(port):
            pass


def test_missing_uvicorn_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtraError, match=r"pip install sojourn\[demo\]"), FakeAcme().serve():
        pass


def test_transport_needs_no_port() -> None:
    fake = FakeDynatrace()
    backend = DynatraceBackend("https://abc.live.dynatrace.com", "dt0c01.FAKE.TOKEN", transport=fake.transport())
    assert backend.send(many_events(3)).delivered == 3
    assert fake.requests[0].path == "/api/v2/bizevents/ingest"
