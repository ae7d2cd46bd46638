"""The webhook against a real server on loopback: bodies, signatures, and missing responses."""

from __future__ import annotations

import gzip
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from sojourn.backends import Receipt, WebhookBackend, verify_signature
from sojourn.errors import SettingsError
from sojourn.testing.backend_contract import hostile_events, many_events, sample_events

GOLDEN = Path(__file__).parent.parent / "golden" / "cloudevents.json"
SECRET = "a secret of the test"
NOW = 1_769_860_800.9


@dataclass
class Inbox:
    """What a server got."""

    url: str = ""
    status: int = 202
    paths: list[str] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    hung_up: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    inbox = Inbox()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            inbox.paths.append(self.path)
            inbox.headers.append(dict(self.headers.items()))
            inbox.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            inbox.connections.add(self.client_address[1])
            self.send_response(inbox.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def finish(self) -> None:
            super().finish()
            inbox.hung_up.set()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        inbox.url = f"http://127.0.0.1:{server.server_port}/in"
        yield inbox
        server.shutdown()
        thread.join()


@contextmanager
def sending(url: str, *args: str, **options: float) -> Iterator[WebhookBackend]:
    backend = WebhookBackend(url, *args, **options)  # type: ignore[arg-type]
    try:
        yield backend
    finally:
        backend.close()


def test_batch_arrives_compressed_and_signed(inbox: Inbox) -> None:
    backend = WebhookBackend(inbox.url + "?token=7", SECRET, headers={"X-Team": "shop"}, wall=lambda: NOW)
    assert backend.send(sample_events()) == Receipt(delivered=len(sample_events()))
    backend.close()
    headers, body = inbox.headers[0], inbox.bodies[0]
    assert inbox.paths == ["/in?token=7"]
    assert headers["content-encoding"] == "gzip"
    assert headers["content-type"] == "application/cloudevents-batch+json"
    assert headers["x-team"] == "shop"
    assert {key.lower(): value for key, value in headers.items()}["accept-encoding"] == "identity"
    assert headers["Sojourn-Signature"].startswith("t=1769860800,v1=")
    assert verify_signature(body, headers["Sojourn-Signature"], SECRET, now=NOW)
    assert not verify_signature(gzip.decompress(body), headers["Sojourn-Signature"], SECRET, now=NOW)
    assert json.loads(gzip.decompress(body)) == json.loads(GOLDEN.read_bytes())


def test_small_batch_arrives_uncompressed(inbox: Inbox) -> None:
    with sending(inbox.url, SECRET) as backend:
        backend.send(many_events(1))
    assert "content-encoding" not in inbox.headers[0]
    assert json.loads(inbox.bodies[0])[0]["id"] == "many-000000"
    assert verify_signature(inbox.bodies[0], inbox.headers[0]["Sojourn-Signature"], SECRET)


def test_hostile_events_arrive_as_valid_json(inbox: Inbox) -> None:
    with sending(inbox.url) as backend:
        assert backend.send(hostile_events()) == Receipt(delivered=len(hostile_events()))
    assert len(json.loads(gzip.decompress(inbox.bodies[0]))) == len(hostile_events())


def test_without_a_secret_there_is_no_signature(inbox: Inbox) -> None:
    with sending(inbox.url) as backend:
        backend.send(many_events(1))
    assert "Sojourn-Signature" not in inbox.headers[0]


def test_while_a_secret_is_replaced_either_verifies(inbox: Inbox) -> None:
    backend = WebhookBackend(inbox.url, ["the old secret", SECRET])
    backend.send(many_events(1))
    backend.close()
    signature = inbox.headers[0]["Sojourn-Signature"]
    assert [verify_signature(inbox.bodies[0], signature, s) for s in ("the old secret", SECRET, "another")] == [
        True,
        True,
        False,
    ]


def test_a_retry_carries_the_same_ids_and_a_new_time(inbox: Inbox) -> None:
    now = [NOW]
    backend = WebhookBackend(inbox.url, SECRET, wall=lambda: now[0])
    inbox.status = 503
    assert backend.send(many_events(1)).delivered == 0
    inbox.status, now[0] = 200, NOW + 3_600
    assert backend.send(many_events(1)).delivered == 1
    backend.close()
    assert inbox.bodies[0] == inbox.bodies[1]
    assert [headers["Sojourn-Signature"][2:12] for headers in inbox.headers] == ["1769860800", "1769864400"]


def test_one_connection_serves_many_batches_and_is_closed_with_the_backend(inbox: Inbox) -> None:
    backend = WebhookBackend(inbox.url)
    for _ in range(3):
        backend.send(many_events(1))
    assert len(inbox.connections) == 1
    assert not inbox.hung_up.is_set()
    backend.close()
    assert inbox.hung_up.wait(timeout=5)


def test_after_close_it_can_send_again(inbox: Inbox) -> None:
    with sending(inbox.url) as backend:
        backend.send(many_events(1))
        backend.close()
        assert backend.send(many_events(1)) == Receipt(delivered=1)
    assert len(inbox.connections) == 2


def test_another_process_makes_a_connection_of_its_own(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    real_pid = os.getpid()
    with sending(inbox.url) as backend:
        backend.send(many_events(1))
        watch = backend._layer._exchange._watch
        monkeypatch.setattr(os, "getpid", lambda: -1)
        backend.send(many_events(1))
        assert len(inbox.connections) == 2
        inherited = backend._layer._exchange._inherited
        assert [client.is_closed for client in inherited] == [False]
        monkeypatch.setattr(os, "getpid", lambda: real_pid)
        inherited[0].close()
        watch.stop()  # in a real fork its thread would not be there
        backend._layer._exchange._pid = real_pid


def test_refused_connection_is_retried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with sending(f"http://127.0.0.1:{port}/in") as backend:
        receipt = backend.send(many_events(2))
    reason = "nothing listens there; check host and port, and that it is up"
    assert receipt == Receipt(delivered=0, problem=f"http://127.0.0.1:{port}: {reason}")


def swallow(connection: socket.socket) -> None:
    """Read the request, and say nothing."""
    while connection.recv(65_536):
        pass


def drip_headers(connection: socket.socket) -> None:
    """Send a byte of the header every 20 ms: each is in time for a client that only waits for the next."""
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    while True:
        connection.sendall(b"x")
        connection.settimeout(0.02)
        try:
            if not connection.recv(1):
                return
        except TimeoutError:
            pass


@pytest.mark.parametrize("behaviour", [swallow, drip_headers])
def test_the_deadline_holds_on_the_wire(behaviour: Callable[[socket.socket], None]) -> None:
    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                behaviour(connection)
            except OSError:  # the other side is gone, as it should be
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        began_at = time.monotonic()
        with sending(f"http://127.0.0.1:{listener.getsockname()[1]}/in", timeout=0.3) as backend:
            receipt = backend.send(many_events(2))
        assert receipt.delivered == 0
        assert (receipt.problem or "").endswith(": it does not respond in time")
        assert 0.29 <= time.monotonic() - began_at < 3
        thread.join(timeout=5)
        assert not thread.is_alive()
    assert not [thread for thread in threading.enumerate() if thread.name == "sojourn-deadline"]


# ------------------------------------------------------------------------------------------------------- construction


def test_credentials_of_the_url_become_a_header(caplog: pytest.LogCaptureFixture) -> None:
    requests: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(401)

    backend = WebhookBackend("https://us%40er:pass%3Aword@hooks.example/in", transport=httpx.MockTransport(take))
    with caplog.at_level(logging.DEBUG):
        receipt = backend.send(many_events(1))
    assert requests[0].headers["authorization"] == "Basic dXNAZXI6cGFzczp3b3Jk"
    assert requests[0].url.raw_path == b"/in"
    assert "pass" not in f"{receipt}{backend!r}{caplog.text}"


def test_content_type_cannot_be_overridden() -> None:
    requests: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200)

    headers = {"Content-Type": "text/plain", "User-Agent": "shop/1"}
    WebhookBackend("https://hooks.example", headers=headers, transport=httpx.MockTransport(take)).send(many_events(1))
    assert requests[0].headers.get_list("content-type") == ["application/cloudevents-batch+json"]
    assert requests[0].headers.get_list("user-agent") == ["shop/1"]


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="empty"),
        pytest.param("hooks.example/secret", id="no scheme"),
        pytest.param("ftp://hooks.example/secret", id="another scheme"),
        pytest.param("https:///secret", id="no host"),
        pytest.param("https://hooks.example:secret/", id="port is a word"),
        pytest.param("https://[::1/secret", id="broken address"),
        pytest.param("https://hooks.example/\x00secret", id="control character"),
        pytest.param("https://hooks.example:99999/secret", id="port out of range"),
    ],
)
def test_a_wrong_url_is_refused_at_once_and_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError, match="webhook") as caught:
        WebhookBackend(url)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"X-Key": "secret\r\nX-Other: 1"}, id="line break in a value"),
        pytest.param({"X-Key": "sécret"}, id="value is not ascii"),
        pytest.param({"X Key": "secret"}, id="space in a name"),
        pytest.param({"": "secret"}, id="no name"),
    ],
)
def test_wrong_headers_are_refused_at_once_and_their_values_not_repeated(headers: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="headers of the webhook") as caught:
        WebhookBackend("https://hooks.example", headers=headers)
    assert "cret" not in str(caught.value)


def test_webhook_is_a_third_party_by_default() -> None:
    assert WebhookBackend("https://hooks.example").third_party
    own = WebhookBackend("https://hooks.example", third_party=False, name="warehouse")
    assert (own.third_party, own.name) == (False, "warehouse")
