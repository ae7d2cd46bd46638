"""What a sibling host can plant in a real browser: headless Chromium, two host names over https, both doors.

`shop.test` has a shop at `app.shop.test`, which is ours, and a hostile host at `evil.shop.test`, which may set cookies for
the whole domain.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import parse_qsl, quote
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext

from sojourn import Event, Settings, opt_out
from sojourn.asgi import Message, Scope
from sojourn.asgi import SojournMiddleware as AsgiDoor
from sojourn.engine import Engine
from sojourn.testing import ManualClock, MemoryBackend
from sojourn.wsgi import SojournMiddleware as WsgiDoor
from tests.chromium import in_chromium, launched
from tests.doors.browser import Protocol

OPENSSL = shutil.which("openssl") or ""
NAME = "__Host-sojourn"
OURS, THEIRS = "app.shop.test", "evil.shop.test"
PAGE = b"<!doctype html><title>Shop</title><link rel=icon href=data:,>"

pytestmark = [
    *in_chromium,
    pytest.mark.skipif(not OPENSSL, reason="needs OpenSSL: apt-get install openssl"),
]


class Hosts:
    """Our shop and the hostile host, behind one address."""

    def __init__(self, protocol: Protocol) -> None:
        self.clock, self.backend = ManualClock(), MemoryBackend()
        settings = Settings(secret_key="a key that only these tests use", store="memory:", backends=[self.backend])
        self.engine = Engine(settings, clock=self.clock)
        self.sent: list[str] = []
        """The `Cookie` headers that reached our host."""
        self.protocol = protocol
        self._asgi_shop = AsgiDoor(self._asgi_page, engine=self.engine)
        self._wsgi_shop = WsgiDoor(self._wsgi_page, engine=self.engine)

    @property
    def events(self) -> list[Event]:
        self.engine.flush()
        return self.backend.events

    def pages(self, path: str) -> list[Event]:
        return [event for event in self.events if event.name == "page_view" and event.attributes["url.path"] == path]

    async def asgi(self, scope: Scope, receive: Any, send: Callable[[Message], Any]) -> None:
        headers = {key.decode(): value.decode("latin-1") for key, value in scope["headers"]}
        if headers["host"].startswith(OURS):
            self.sent.append(headers.get("cookie", ""))
            await self._asgi_shop(scope, receive, send)
            return
        planted = [(b"set-cookie", line.encode("latin-1")) for line in _planted(scope["query_string"].decode())]
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html"), *planted]}
        )
        await send({"type": "http.response.body", "body": PAGE})

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> Any:
        environ["wsgi.url_scheme"] = "https"
        if environ["HTTP_HOST"].startswith(OURS):
            self.sent.append(environ.get("HTTP_COOKIE", ""))
            return self._wsgi_shop(environ, start_response)
        planted = [("Set-Cookie", line) for line in _planted(environ["QUERY_STRING"])]
        start_response("200 OK", [("Content-Type", "text/html"), *planted])
        return [PAGE]

    async def _asgi_page(self, scope: Scope, receive: Any, send: Callable[[Message], Any]) -> None:
        if scope["path"] == "/opt-out":
            opt_out()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": PAGE})

    def _wsgi_page(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/opt-out":
            opt_out()
        start_response("200 OK", [("Content-Type", "text/html")])
        return [PAGE]


def _planted(query: str) -> list[str]:
    return [value for name, value in parse_qsl(query) if name == "line"]


# --- servers and browsers


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate and its key, in one file."""
    path = tmp_path_factory.mktemp("certificate") / "shop.test.pem"
    subprocess.run(
        [
            *(OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=shop.test", "-addext", "subjectAltName=DNS:*.shop.test"),
            *("-days", "2", "-keyout", str(path), "-out", str(path.with_suffix(".crt"))),
        ],
        check=True,
        capture_output=True,
    )
    path.write_bytes(path.read_bytes() + path.with_suffix(".crt").read_bytes())
    return path


@contextmanager
def served_asgi(app: Any, certificate: Path) -> Iterator[int]:
    config = uvicorn.Config(
        app,
        interface="asgi3",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        ssl_certfile=certificate,
        ssl_keyfile=certificate,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.005)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(10)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the parent
        """Log nothing."""


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each connection: browsers open some ahead, and say nothing on them."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore it: the browser tried the certificate, and closed the connection."""


@contextmanager
def served_wsgi(app: Any, certificate: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with make_server("127.0.0.1", 0, app, server_class=_Server, handler_class=_Quiet) as server:
        # The handshake is left to the first read, in the connection's own thread.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched("--host-resolver-rules=MAP *.shop.test 127.0.0.1") as browser:
        yield browser


class Person:
    """Someone with a browser of their own."""

    def __init__(self, context: BrowserContext, port: int) -> None:
        self._context, self._port = context, port
        self._page = context.new_page()

    def open(self, path: str = "/") -> None:
        self._page.goto(f"https://{OURS}:{self._port}{path}")

    def lure(self, *lines: str) -> None:
        """Open a page of the hostile host, which sets these cookies."""
        query = "&".join(f"line={quote(line)}" for line in lines)
        self._page.goto(f"https://{THEIRS}:{self._port}/?{query}")


@pytest.fixture(params=["asgi", "wsgi"])
def hosts(request: pytest.FixtureRequest) -> Iterator[Hosts]:
    hosts = Hosts(request.param)
    with hosts.engine:
        yield hosts
    assert "fault" not in hosts.engine.guard.counters()


@pytest.fixture
def port(hosts: Hosts, certificate: Path) -> Iterator[int]:
    serve = served_asgi(hosts.asgi, certificate) if hosts.protocol == "asgi" else served_wsgi(hosts.wsgi, certificate)
    with serve as port:
        yield port


@pytest.fixture
def person(port: int, chromium: Browser) -> Iterator[Callable[[], Person]]:
    """Open one more browser profile."""
    contexts: list[BrowserContext] = []

    def new() -> Person:
        contexts.append(chromium.new_context(ignore_https_errors=True))
        return Person(contexts[-1], port)

    yield new
    for context in contexts:
        context.close()


# --- what is planted


def beside(separator: str, copies: int = 1) -> Callable[[str], str]:
    return lambda value: "t=1" + f"{separator}{NAME}={value}" * copies + "; Domain=shop.test; Path=/; Secure"


SMUGGLED = {
    "a comma": beside(","),
    "a comma and a blank": beside(", "),
    "a blank": beside(" "),
    "eight copies": beside(",", 8),
    "in quotes": lambda value: f't="1, {NAME}={value}"; Domain=shop.test; Path=/; Secure',
    "as a longer name": lambda value: f"x{NAME}={value}; Domain=shop.test; Path=/; Secure",
    "as a value": lambda value: f"t={NAME}={value}; Domain=shop.test; Path=/; Secure",
}
REFUSED = {
    "a tab": beside("\t"),  # legal in RFC 6265bis, and not in Chromium
    "our name": lambda value: f"{NAME}={value}; Domain=shop.test; Path=/; Secure",
    "no name": lambda value: f"={NAME}={value}; Domain=shop.test; Path=/; Secure",
    "no sign": lambda value: f"{NAME}%3D{value}; Domain=shop.test; Path=/; Secure",
    "a semicolon": lambda value: f"t=1; {NAME}={value}; Domain=shop.test; Path=/; Secure",
}


def attacker_cookie(port: int, path: str = "/") -> str:
    """A cookie that verifies: the attacker's own, of a running session, or after an opt-out."""
    headers = {"host": f"{OURS}:{port}", "accept": "text/html", "user-agent": "Mozilla/5.0 (X11; Linux x86_64)"}
    with httpx.Client(base_url=f"https://127.0.0.1:{port}", headers=headers, verify=False, timeout=30) as attacker:
        line = attacker.get("/").headers["set-cookie"]
        if path != "/":
            line = attacker.get(path, headers={"cookie": line.partition(";")[0]}).headers["set-cookie"]
    name, _, value = line.partition(";")[0].partition("=")
    assert name == NAME
    return value


@pytest.mark.parametrize(
    ("content", "plant"),
    [
        *(pytest.param("a session", plant, id=f"a session beside {name}") for name, plant in SMUGGLED.items()),
        *(
            pytest.param("an opt-out", SMUGGLED[name], id=f"an opt-out beside {name}")
            for name in ("a comma", "a blank")
        ),
        *(pytest.param("junk", SMUGGLED[name], id=f"junk beside {name}") for name in ("a comma", "eight copies")),
    ],
)
def test_smuggled_cookie_is_not_read(
    hosts: Hosts, port: int, person: Callable[[], Person], plant: Callable[[str], str], content: str
) -> None:
    values = {
        "a session": lambda: attacker_cookie(port),
        "an opt-out": lambda: attacker_cookie(port, "/opt-out"),
        "junk": lambda: "x" * 60,
    }
    planted = values[content]()
    victim, regular = person(), person()
    victim.lure(plant(planted))
    regular.open("/before")
    regular.lure(plant(planted))
    hosts.sent.clear()
    for reader in (victim, regular):
        for number in range(2):
            reader.open(f"/{'victim' if reader is victim else 'regular'}/{number}")
    assert all(f"{NAME}={planted}" in header for header in hosts.sent), hosts.sent
    (before,) = hosts.pages("/before")
    for name, first in (("victim", None), ("regular", before.session_id)):
        pages = [page for number in range(2) for page in hosts.pages(f"/{name}/{number}")]
        assert len(pages) == 2
        assert len({page.session_id for page in pages} | ({first} if first else set())) == 1
    attackers = {page.visitor_id for page in hosts.pages("/")}
    assert not attackers & {page.visitor_id for page in (*hosts.pages("/victim/0"), *hosts.pages("/regular/0"))}


@pytest.mark.parametrize("plant", REFUSED.values(), ids=REFUSED)
def test_browser_refuses_what_would_be_read_as_ours(
    hosts: Hosts, port: int, person: Callable[[], Person], plant: Callable[[str], str]
) -> None:
    planted = attacker_cookie(port)
    victim = person()
    victim.lure(plant(planted))
    hosts.sent.clear()
    victim.open("/victim")
    assert f"{NAME}={planted}" not in hosts.sent[0]
    (page,) = hosts.pages("/victim")
    assert page.visitor_id not in {each.visitor_id for each in hosts.pages("/")}
