"""A receiver that cannot read compressed bodies: one try without, remembered; and `gzip=` for every backend over HTTP."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sojourn.backends import WebhookBackend, backend_from_url, verify_signature
from sojourn.testing.backend_contract import many_events
from sojourn.testing.vendors import FAKES, make_fake
from tests.backends.vendors.connected import backend_class, backend_on

NOW = 1_769_860_800.0
BATCH = 20  # events: well above the size from which bodies are compressed


class Receiver:
    """Takes plain bodies by `rule`, which returns a status; responds to compressed ones with `status`."""

    def __init__(self, status: int | None, rule: Callable[[list[str]], int] = lambda ids: 202) -> None:
        self.status = status
        self.rule = rule
        self.calls: list[str] = []
        self.taken: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        is_packed = "content-encoding" in request.headers
        body = gzip.decompress(request.content) if is_packed else request.content
        ids = [event["id"] for event in json.loads(body)]
        status = self.status if is_packed and self.status is not None else self.rule(ids)
        self.calls.append(f"{'gzip' if is_packed else 'plain'} {status}")
        if status == 202:
            self.taken += ids
        return httpx.Response(status)

    def backend(self, **options: Any) -> WebhookBackend:
        return WebhookBackend(
            "https://hooks.example/in", transport=httpx.MockTransport(self), wall=lambda: NOW, **options
        )


def test_the_same_call_without_compression_is_tried_once_and_remembered(caplog: pytest.LogCaptureFixture) -> None:
    for status in (400, 415, 422):
        receiver = Receiver(status)
        backend = receiver.backend()
        with caplog.at_level(logging.WARNING, logger="sojourn"):
            receipts = [backend.send(many_events(BATCH)) for _ in range(3)]
        assert [(receipt.delivered, receipt.rejected) for receipt in receipts] == [(BATCH, ())] * 3
        assert receiver.calls == [f"gzip {status}", "plain 202", "plain 202", "plain 202"]
        assert f"refuses compressed bodies (HTTP {status})" in caplog.text
        assert not backend.is_compressing


@pytest.mark.parametrize("status", [500, 501, 502])
def test_repeated_server_error_is_tried_without_compression(status: int) -> None:
    receiver = Receiver(status)
    backend = receiver.backend()
    assert [backend.send(many_events(BATCH)).delivered for _ in range(3)] == [0, BATCH, BATCH]
    assert receiver.calls == [f"gzip {status}", f"gzip {status}", "plain 202", "plain 202"]


def test_receiver_that_is_down_is_tried_without_compression_once() -> None:
    receiver = Receiver(500, lambda ids: 500)
    backend = receiver.backend()
    for _ in range(6):
        backend.send(many_events(BATCH))
    assert receiver.calls.count("plain 500") == 1
    receiver.status, receiver.rule = None, lambda ids: 202
    assert backend.send(many_events(BATCH)).delivered == BATCH
    assert (receiver.calls[-1], backend.is_compressing) == ("gzip 202", True)


def test_receiver_that_was_down_and_cannot_read_compressed_bodies_is_tried_again() -> None:
    receiver = Receiver(500, lambda ids: 500)
    backend = receiver.backend()
    for _ in range(3):
        backend.send(many_events(BATCH))
    receiver.rule = lambda ids: 202
    assert backend.send(many_events(1)).delivered == 1  # small, so it is not compressed
    assert [backend.send(many_events(BATCH)).delivered for _ in range(2)] == [BATCH, BATCH]
    assert not backend.is_compressing


def test_no_event_becomes_a_dead_letter_for_its_compression() -> None:
    """The first batch holds an invalid event, so the try without compression is refused too."""
    invalid = many_events(BATCH)[3].id
    receiver = Receiver(400, lambda ids: 400 if invalid in ids else 202)
    backend = receiver.backend()
    receipt = backend.send(many_events(BATCH))
    assert (receipt.delivered, [rejection.event_id for rejection in receipt.rejected]) == (BATCH - 1, [invalid])
    assert not backend.is_compressing


def test_final_error_is_tried_without_compression_at_once() -> None:
    """OTLP calls a 500 final: the events would become dead letters."""
    calls: list[bool] = []

    def respond(request: httpx.Request) -> httpx.Response:
        calls.append("content-encoding" in request.headers)
        return httpx.Response(500 if calls[-1] else 200)

    fake = make_fake("otel", is_strict=True)
    backend = backend_on(fake, transport=httpx.MockTransport(respond))
    receipt = backend.send(many_events(BATCH))
    assert (receipt.delivered, receipt.rejected, calls) == (BATCH, (), [True, False])


def test_compressed_call_that_was_accepted_ends_the_doubt() -> None:
    receiver = Receiver(202)
    backend = receiver.backend()
    backend.send(many_events(BATCH))
    receiver.status = 415
    assert backend.send(many_events(BATCH)).pause is not None
    assert receiver.calls == ["gzip 202", "gzip 415"]


def test_plain_body_is_signed_as_it_is_sent() -> None:
    signed: list[bool] = []

    def respond(request: httpx.Request) -> httpx.Response:
        signed.append(verify_signature(request.content, request.headers["Sojourn-Signature"], "s" * 32, now=NOW))
        return httpx.Response(415 if "content-encoding" in request.headers else 200)

    backend = WebhookBackend(
        "https://hooks.example/in", "s" * 32, transport=httpx.MockTransport(respond), wall=lambda: NOW
    )
    assert backend.send(many_events(BATCH)).delivered == BATCH
    assert signed == [True, True]


@pytest.mark.parametrize("vendor", sorted(FAKES))
@pytest.mark.parametrize("is_on", [True, False])
def test_gzip_is_an_option_of_every_vendor(vendor: str, is_on: bool) -> None:
    fake = make_fake(vendor, is_strict=True)
    encodings: list[bool] = []

    def respond(request: httpx.Request) -> httpx.Response:
        encodings.append("content-encoding" in request.headers)
        return httpx.Response(401)

    url = fake.url("https://vendor.example")
    backend = backend_class(vendor).from_url(
        f"{url}{'&' if '?' in url else '?'}gzip={int(is_on)}", transport=httpx.MockTransport(respond)
    )
    backend.send(many_events(BATCH))
    assert (encodings, backend.is_compressing) == ([is_on], is_on)


def test_gzip_is_taken_out_of_the_address_of_a_webhook() -> None:
    backend = backend_from_url("webhook+https://hooks.example/in?gzip=0&team=7")
    assert isinstance(backend, WebhookBackend)
    (call,) = backend.encode(many_events(BATCH))
    assert (call.url, call.has_gzip) == ("https://hooks.example/in?team=7", False)  # type: ignore[union-attr]
