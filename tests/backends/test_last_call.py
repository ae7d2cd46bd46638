"""The HTTP layer: the record of the last call, unsendable events, and how much of a response is read."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import replace

import httpx
import pytest

from sojourn.backends._exchange import in_words
from sojourn.backends.http import HttpCall, HttpLayer, LastCall, Unsendable
from sojourn.backends.outcomes import Response
from sojourn.core.events import Event
from sojourn.testing.backend_contract import many_events

URL = "https://vendor.example:8443/secret-path?token=secret-token"
NOW = 1_769_860_800.0


class OneCall:
    """A call for a batch; with `refused`, without the events of these places."""

    def __init__(self, refused: Sequence[int] = (), *, response_limit: int | None = None) -> None:
        self.refused = refused
        self.limit = response_limit
        self.seen: list[int] = []

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall | Unsendable]:
        for place in self.refused:
            yield Unsendable((batch[place],), "encoded it is too large")
        events = [event for place, event in enumerate(batch) if place not in self.refused]
        if events:
            call = HttpCall("POST", URL, events, json=[event.id for event in events], interpret=self.interpret)
            yield call if self.limit is None else replace(call, response_limit=self.limit)

    def interpret(self, response: Response) -> None:
        self.seen.append(len(response.body))


def layer(response: httpx.Response | Exception, encoder: OneCall | None = None) -> HttpLayer:
    def take(request: httpx.Request) -> httpx.Response:
        if isinstance(response, Exception):
            raise response
        return response

    return HttpLayer(
        encoder or OneCall(),
        name="vendor",
        transport=httpx.MockTransport(take),
        monotonic=lambda: 0.0,
        wall=lambda: NOW,
    )


@pytest.mark.parametrize(
    ("response", "last_call"),
    [
        pytest.param(
            httpx.Response(202, headers={"date": "Sat, 31 Jan 2026 12:00:00 GMT"}),
            {"status": 202, "date": "Sat, 31 Jan 2026 12:00:00 GMT"},
            id="taken",
        ),
        pytest.param(httpx.Response(503), {"status": 503}, id="failed"),
        pytest.param(
            httpx.ConnectError("secret-token"),
            {"problem": "it cannot be reached; check the address, and any firewall in between"},
            id="no response",
        ),
        pytest.param(httpx.LocalProtocolError("secret-token"), {"problem": "LocalProtocolError"}, id="no call"),
    ],
)
def test_last_call_is_kept_without_secrets(response: httpx.Response | Exception, last_call: dict[str, object]) -> None:
    sender = layer(response)
    assert sender.last_call is None
    sender.send(many_events(1))
    assert sender.last_call == LastCall(**({"origin": "https://vendor.example:8443", "at": NOW} | last_call))  # type: ignore[arg-type]
    assert "secret" not in repr(sender.last_call)


@pytest.mark.parametrize(
    ("cause", "says"),
    [
        pytest.param(socket.gaierror(-2, "secret"), "cannot be resolved", id="name"),
        pytest.param(ssl.SSLCertVerificationError("secret"), "trusts its certificate", id="certificate"),
        pytest.param(ConnectionRefusedError("secret"), "nothing listens there", id="refused"),
        pytest.param(None, "cannot be reached", id="else"),
    ],
)
def test_reason_without_a_response(cause: Exception | None, says: str) -> None:
    try:
        raise httpx.ConnectError("secret") from cause
    except httpx.ConnectError as error:
        words = in_words(error)
    assert says in words
    assert "secret" not in words


def test_unsendable_events_are_rejected_and_others_sent() -> None:
    batch = many_events(4)
    receipt = layer(httpx.Response(200), OneCall([1, 3])).send(batch)
    assert receipt.delivered == 2
    assert [(rejection.event_id, rejection.status) for rejection in receipt.rejected] == [
        (batch[1].id, None),
        (batch[3].id, None),
    ]


def test_batch_of_unsendable_events_makes_no_call() -> None:
    sender = layer(httpx.Response(500), OneCall([0, 1]))
    assert len(sender.send(many_events(2)).rejected) == 2
    assert sender.last_call is None


def test_unsendable_event_behind_a_failure_waits() -> None:
    receipt = layer(httpx.Response(503), OneCall([1])).send(many_events(2))
    assert (receipt.delivered, receipt.rejected) == (0, ())


@pytest.mark.parametrize(("limit", "read"), [(None, 65_536), (100_000, 100_000)])
def test_call_can_raise_the_response_limit(limit: int | None, read: int) -> None:
    encoder = OneCall(response_limit=limit)
    layer(httpx.Response(200, content=b"x" * 200_000), encoder).send(many_events(1))
    assert encoder.seen == [read]
