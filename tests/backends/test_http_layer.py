"""The HTTP layer: the receipt of a batch for any responses. The test moves the time."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.backends import Receipt
from sojourn.backends.compression import GZIP_FROM
from sojourn.backends.http import HttpCall, HttpLayer
from sojourn.backends.outcomes import Delivered, Outcome, Response
from sojourn.backends.protocol import Rejection
from sojourn.core.events import Event
from sojourn.errors import SettingsError
from sojourn.testing.backend_contract import check_receipt, deliver, many_events

URL = "https://user-key.example:8443/secret-path?token=secret-token"
ORIGIN = "https://user-key.example:8443"
NOW = 1_769_860_800.0


@dataclass
class Plain:
    """One call for a batch: the ids of its events."""

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall]:
        yield HttpCall("POST", URL, tuple(batch), json=[event.id for event in batch])


@dataclass
class Receiver:
    """Responds by a rule over the ids that arrived, and keeps the ids it accepted. Each response takes `seconds`."""

    rule: Callable[[list[str]], httpx.Response | int] = lambda ids: 200
    seconds: float = 0.0
    now: float = 0.0
    calls: list[list[str]] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        is_packed = request.headers.get("content-encoding") == "gzip"
        ids = json.loads(gzip.decompress(request.content) if is_packed else request.content)
        self.calls.append(ids)
        self.now += self.seconds
        response = self.rule(ids)
        response = httpx.Response(response) if isinstance(response, int) else response
        if response.status_code == 200:
            self.taken += ids
        return response

    def layer(self, encoder: Plain | Apart | Judged | None = None) -> HttpLayer:
        return HttpLayer(
            encoder or Plain(),
            name="vendor",
            transport=httpx.MockTransport(self),
            monotonic=lambda: self.now,
            wall=lambda: NOW,
        )


@dataclass
class Apart:
    """Two calls: for events with an even number, and for those with an odd one."""

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall]:
        for remainder in (0, 1):
            events = tuple(event for event in batch if number(event.id) % 2 == remainder)
            if events:
                yield HttpCall("POST", URL, events, json=[event.id for event in events])


@dataclass
class Judged:
    """A vendor that takes what it can and names the rest."""

    interpret: Callable[[Response], Outcome | None]

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall]:
        yield HttpCall("POST", URL, tuple(batch), json=[event.id for event in batch], interpret=self.interpret)


ENCODERS: st.SearchStrategy[Plain | Apart] = st.sampled_from([Plain(), Apart()])


def number(event_id: str) -> int:
    return int(event_id.rpartition("-")[2])


def ids(events: Iterable[Event]) -> list[str]:
    return [event.id for event in events]


def poisoned(poison: set[str], status: int = 400) -> Callable[[list[str]], int]:
    return lambda ids: status if poison & set(ids) else 200


@pytest.mark.parametrize(
    ("response", "receipt"),
    [
        pytest.param(httpx.Response(204), Receipt(delivered=2), id="taken"),
        pytest.param(httpx.Response(503), Receipt(delivered=0, problem=f"{ORIGIN}: HTTP 503"), id="down"),
        pytest.param(httpx.Response(500), Receipt(delivered=0, problem=f"{ORIGIN}: HTTP 500"), id="broken"),
        pytest.param(
            httpx.Response(429, headers={"Retry-After": "17"}),
            Receipt(delivered=0, retry_after=17.0, problem=f"{ORIGIN}: HTTP 429: too many calls"),
            id="throttled",
        ),
        pytest.param(
            httpx.Response(503, headers={"Retry-After": "Sat, 31 Jan 2026 12:01:30 GMT"}),
            Receipt(delivered=0, retry_after=90.0, problem=f"{ORIGIN}: HTTP 503"),
            id="throttled until a date",
        ),
        pytest.param(
            httpx.Response(409),
            Receipt(
                delivered=0,
                rejected=tuple(
                    Rejection(event_id=event_id, reason="HTTP 409: the receiver refuses the event", status=409)
                    for event_id in ids(many_events(2))
                ),
            ),
            id="refused",
        ),
        pytest.param(
            httpx.Response(401),
            Receipt(
                delivered=0,
                pause="vendor (https://user-key.example:8443): HTTP 401: the credentials are unknown; "
                "check the key or secret",
            ),
            id="wrong key",
        ),
        pytest.param(
            httpx.Response(308, headers={"Location": "https://elsewhere.example/?token=secret-token"}),
            Receipt(
                delivered=0,
                pause="vendor (https://user-key.example:8443): HTTP 308: the address redirects; "
                "set the URL to the final address",
            ),
            id="redirected",
        ),
    ],
)
def test_receipt_for_one_response(response: httpx.Response, receipt: Receipt) -> None:
    receiver = Receiver(lambda ids: response)
    assert receiver.layer().send(many_events(2)) == receipt
    assert len(receiver.calls) == 1


@pytest.mark.parametrize(
    ("error", "is_paused"),
    [
        pytest.param(httpx.ConnectError("refused"), False, id="refused"),
        pytest.param(httpx.ReadTimeout("slow"), False, id="timeout"),
        pytest.param(httpx.RemoteProtocolError("hung up"), False, id="hung up"),
        pytest.param(httpx.ProxyError("no"), False, id="proxy"),
        pytest.param(httpx.LocalProtocolError("illegal header value secret-token"), True, id="not a call at all"),
        pytest.param(httpx.UnsupportedProtocol("gopher"), True, id="not http"),
    ],
)
def test_receipt_without_a_response(
    error: httpx.TransportError, is_paused: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def rule(ids: list[str]) -> int:
        raise error

    receipt = Receiver(rule).layer().send(many_events(2))
    assert (receipt.delivered, receipt.rejected, receipt.retry_after) == (0, (), None)
    assert (receipt.pause is not None) is is_paused
    assert (receipt.problem is None) is is_paused
    assert "secret" not in f"{receipt}{caplog.text}"


@pytest.mark.parametrize("status", [400, 413, 422])
def test_only_the_invalid_event_is_rejected(status: int) -> None:
    batch = many_events(8)
    receiver = Receiver(poisoned({batch[5].id}, status))
    receipt = receiver.layer().send(batch)
    assert receipt.delivered == 7
    assert [(rejection.event_id, rejection.status) for rejection in receipt.rejected] == [(batch[5].id, status)]
    assert [len(call) for call in receiver.calls] == [8, 4, 4, 2, 1, 1, 2]


@given(size=st.integers(1, 40), data=st.data())
def test_exactly_the_invalid_events_are_rejected_and_others_delivered_once(size: int, data: st.DataObject) -> None:
    batch = many_events(size)
    poison = data.draw(st.sets(st.sampled_from(ids(batch))))
    receiver = Receiver(poisoned(poison, data.draw(st.sampled_from([400, 413, 422]))))
    receipt = receiver.layer(data.draw(ENCODERS)).send(batch)
    check_receipt(receipt, batch)
    assert [rejection.event_id for rejection in receipt.rejected] == [i for i in ids(batch) if i in poison]
    assert sorted(receiver.taken) == [i for i in ids(batch) if i not in poison]
    assert receipt.delivered + len(receipt.rejected) == size


@given(size=st.integers(1, 30), data=st.data())
def test_no_event_is_settled_without_a_response(size: int, data: st.DataObject) -> None:
    """Any responses, in any order: what the receipt calls delivered was taken, and sending on settles each event."""
    batch = many_events(size)
    statuses = data.draw(st.lists(st.sampled_from([200, 200, 400, 413, 429, 503, 401, 409]), max_size=30))
    responses = iter(statuses)
    receiver = Receiver(lambda ids: next(responses, 200), seconds=data.draw(st.sampled_from([0.0, 2.0, 8.0])))
    layer = receiver.layer(data.draw(ENCODERS))
    rest: list[Event] = batch
    rejected: set[str] = set()
    for _ in range(len(statuses) + 2 * size + 10):
        receipt = layer.send(rest)
        check_receipt(receipt, rest)
        rejected |= {rejection.event_id for rejection in receipt.rejected}
        settled = ids(rest[: receipt.delivered + len(receipt.rejected)])
        assert set(settled) - rejected <= set(receiver.taken)
        rest = rest[len(settled) :]
        if not rest:
            break
    assert rest == []


def test_rejection_behind_a_retry_is_reported_once_the_front_is_done() -> None:
    """The odd ones fail: 1 is the first gap, so 2 and 4 are sent again though they were taken."""
    batch = many_events(5)
    receiver = Receiver(lambda ids: 503 if number(ids[0]) % 2 else 200)
    assert receiver.layer(Apart()).send(batch) == Receipt(delivered=1, problem=f"{ORIGIN}: HTTP 503")
    assert receiver.taken == ids([batch[0], batch[2], batch[4]])


def test_unsent_events_are_not_settled_in_any_order() -> None:
    """A vendor may sort its events; the half that never went out has the front of the batch in it."""

    class Backwards(Plain):
        def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall]:
            events = tuple(sorted(batch, key=lambda event: event.id, reverse=True))
            yield HttpCall("POST", URL, events, json=ids(events))

    receiver = Receiver(lambda ids: 400 if len(ids) > 2 else 503)
    assert receiver.layer(Backwards()).send(many_events(4)) == Receipt(delivered=0, problem=f"{ORIGIN}: HTTP 503")
    assert len(receiver.calls) == 2


def test_no_call_follows_a_failed_one() -> None:
    receiver = Receiver(lambda ids: 503)
    receiver.layer(Apart()).send(many_events(6))
    assert len(receiver.calls) == 1


def test_batch_that_makes_no_call_is_settled() -> None:
    class Silent(Plain):
        def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall]:
            yield from ()

    assert Receiver().layer(Silent()).send(many_events(3)) == Receipt(delivered=3)


def test_interpret_can_name_the_rejected_events() -> None:
    """As one does whose 400 has taken all valid events."""
    batch = many_events(3)

    def interpret(response: Response) -> Outcome | None:
        if response.status != 400:
            return None
        return Delivered(
            rejected=(Rejection(event_id=json.loads(response.body)["bad"], reason="no such field", status=400),)
        )

    receiver = Receiver(lambda ids: httpx.Response(400, json={"bad": batch[1].id}))
    receipt = receiver.layer(Judged(interpret)).send(batch)
    assert (receipt.delivered, ids_of(receipt)) == (2, [batch[1].id])
    assert len(receiver.calls) == 1
    assert Receiver(lambda ids: 503).layer(Judged(interpret)).send(batch) == Receipt(
        delivered=0, problem=f"{ORIGIN}: HTTP 503"
    )


def ids_of(receipt: Receipt) -> list[str]:
    return [rejection.event_id for rejection in receipt.rejected]


# ------------------------------------------------------------------------------------------------------------- time


def test_bisection_stops_at_the_deadline_and_resumes_at_once() -> None:
    batch = many_events(8)
    receiver = Receiver(poisoned({batch[7].id}), seconds=2.0)
    layer = receiver.layer()
    receipt = layer.send(batch)
    assert receiver.now <= 15
    assert (receipt.delivered, receipt.retry_after) == (6, 0.0)
    assert deliver(LayerBackend(layer), batch[6:]).rejected == (batch[7].id,)


@pytest.mark.parametrize("seconds", [3.0, 7.0, 14.0])
def test_slow_receiver_with_a_small_limit_gets_all_events(seconds: float) -> None:
    """Its first calls of every send are too large; without memory between sends nothing would ever fit the time."""
    receiver = Receiver(lambda ids: 413 if len(ids) > 3 else 200, seconds=seconds)
    batch = many_events(60)
    assert deliver(LayerBackend(receiver.layer()), batch, sends=200).delivered == 60
    assert set(receiver.taken) == set(ids(batch))


def test_no_call_starts_late_and_sends_without_progress_back_off() -> None:
    receiver = Receiver(lambda ids: 413 if len(ids) > 1 else 200, seconds=8.0)
    receipt = receiver.layer().send(many_events(8))
    assert receipt == Receipt(delivered=0)
    assert len(receiver.calls) == 1


def test_learned_limit_is_kept_and_probed_again() -> None:
    receiver = Receiver(lambda ids: 413 if len(ids) > 10 else 200)
    layer = receiver.layer()
    for _ in range(3):
        layer.send(many_events(16))
    assert [len(call) for call in receiver.calls] == [16, 8, 8, 8, 8, 16, 8, 8]


@dataclass
class Drip(httpx.SyncByteStream):
    """A body that sends a byte every five seconds, for ever."""

    receiver: Receiver
    sent: int = 0
    is_closed: bool = False

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.receiver.now += 5.0
            self.sent += 1
            yield b"x"

    def close(self) -> None:
        self.is_closed = True


def test_slow_response_is_cut_at_the_deadline() -> None:
    receiver = Receiver()
    drip = Drip(receiver)
    receiver.rule = lambda ids: httpx.Response(200, stream=drip)
    assert receiver.layer().send(many_events(2)) == Receipt(
        delivered=0, problem=f"{ORIGIN}: it does not respond in time"
    )
    assert receiver.now == 15.0
    assert drip.sent == 3
    assert drip.is_closed


@dataclass
class Flood(httpx.SyncByteStream):
    """A body without end, as fast as it is read."""

    sent: int = 0

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.sent += 1
            yield b"x" * 16_384


def test_endless_response_is_read_up_to_the_limit() -> None:
    flood = Flood()
    seen: list[int] = []

    def interpret(response: Response) -> Outcome | None:
        seen.append(len(response.body))
        return None

    receiver = Receiver(lambda ids: httpx.Response(200, stream=flood))
    assert receiver.layer(Judged(interpret)).send(many_events(2)) == Receipt(delivered=2)
    assert seen == [65_536]
    assert flood.sent == 4


@pytest.mark.parametrize("timeout", [0, -1, 15.1, float("nan")])
def test_timeout_beyond_15_seconds_is_refused(timeout: float) -> None:
    with pytest.raises(SettingsError, match="timeout must be"):
        HttpLayer(Plain(), name="vendor", timeout=timeout)


# ---------------------------------------------------------------------------------------------------------- the wire


@pytest.mark.parametrize(
    ("size", "takes_gzip", "is_packed"),
    [
        pytest.param(GZIP_FROM, True, True, id="large"),
        pytest.param(GZIP_FROM - 1, True, False, id="small"),
        pytest.param(GZIP_FROM, False, False, id="vendor takes none"),
    ],
)
def test_large_bodies_are_compressed_and_signed_as_sent(size: int, takes_gzip: bool, is_packed: bool) -> None:
    requests: list[httpx.Request] = []
    body = b"x" * size

    class Signed(Plain):
        def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall]:
            yield HttpCall(
                "PUT", URL, tuple(batch), body=body, has_gzip=takes_gzip, sign=lambda sent: {"X-Length": str(len(sent))}
            )

    def take(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200)

    HttpLayer(Signed(), name="vendor", transport=httpx.MockTransport(take)).send(many_events(1))
    request = requests[0]
    assert request.method == "PUT"
    assert request.headers["user-agent"].startswith("sojourn/")
    assert (request.headers.get("content-encoding") == "gzip") is is_packed
    assert (gzip.decompress(request.content) if is_packed else request.content) == body
    assert request.headers["x-length"] == str(len(request.content))


def test_the_whole_url_is_called_and_only_its_origin_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    urls: list[tuple[bytes, bytes]] = []

    def take(request: httpx.Request) -> httpx.Response:
        urls.append((request.url.raw_host, request.url.raw_path))
        return httpx.Response(503)

    with caplog.at_level(logging.DEBUG):
        HttpLayer(Plain(), name="vendor", transport=httpx.MockTransport(take)).send(many_events(1))
    assert urls == [(b"user-key.example", b"/secret-path?token=secret-token")]
    assert "503" in caplog.text
    assert "secret" not in caplog.text


def test_problem_is_logged_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    statuses = iter([503, 503, 200, 200])
    layer = Receiver(lambda ids: next(statuses)).layer()
    with caplog.at_level(logging.INFO, logger="sojourn"):
        for _ in range(4):
            layer.send(many_events(1))
    assert [record.getMessage() for record in caplog.records if record.name == "sojourn"] == [
        "backend vendor does not accept events: HTTP 503",
        "backend vendor accepts events again",
    ]


@dataclass
class LayerBackend:
    """A layer as a backend."""

    layer: HttpLayer
    name: str = "vendor"
    third_party: bool = True

    def accepts(self, event: Event) -> bool:
        return True

    def send(self, batch: Sequence[Event]) -> Receipt:
        return self.layer.send(batch)

    def close(self) -> None:
        self.layer.close()
