"""An app with the report mounted in it, behind either middleware, and a reader that keeps cookies and sends forms."""

from __future__ import annotations

import asyncio
import html
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from sojourn import Settings
from sojourn.asgi import SojournMiddleware as AsgiDoor
from sojourn.engine import Engine
from sojourn.report import report, report_wsgi
from sojourn.testing import ManualClock
from sojourn.wsgi import SojournMiddleware as WsgiDoor

Protocol = Literal["asgi", "wsgi"]
MOUNT = "/_sojourn"
PASSWORD = "a password of these tests"
TOKEN = "a-token-for-programs-1234"
NAVIGATE = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-site": "same-origin"}


@dataclass(frozen=True)
class Reply:
    """A response."""

    status: int
    headers: tuple[tuple[str, str], ...]
    text: str

    def header(self, name: str) -> str:
        return ", ".join(value for key, value in self.headers if key == name)

    @property
    def words(self) -> str:
        """The text that a reader sees: without tags, entities decoded."""
        body = re.sub(r"<(head|svg)\b.*?</\1>", " ", self.text, flags=re.DOTALL)
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())

    @property
    def form_token(self) -> str:
        field = re.search(r'name="csrf" value="([0-9a-f]+)"', self.text)
        assert field, self.text
        return field[1]


class App:
    """A site whose pages run `view`, with the report at `/_sojourn`, both behind one middleware."""

    def __init__(self, protocol: Protocol, settings: Mapping[str, Any] | None = None, **access: Any) -> None:
        self.clock = ManualClock()
        values = {"secret_key": "a key that only these tests use", "store": "memory:", **(settings or {})}
        self.engine = Engine(Settings(**values), clock=self.clock)
        self.view: Callable[[], object] = lambda: None
        self.protocol = protocol
        self.status = 200
        if protocol == "asgi":
            self._page: Any = report(self.engine, **access)
            self._door: Any = AsgiDoor(self._asgi, engine=self.engine)
        else:
            self._page = validator(report_wsgi(self.engine, **access))
            self._door = WsgiDoor(validator(self._wsgi), engine=self.engine)

    def close(self) -> None:
        self.engine.close()

    def visit(self, path: str = "/", *, cookie: str = "", **headers: str) -> Reply:
        """Open a page of the app as a visitor."""
        sent = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", **NAVIGATE}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        if cookie:
            sent["cookie"] = cookie
        reply = self.request("GET", path, sent)
        self.engine.flush()
        return reply

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", *, client: str = "192.0.2.7"
    ) -> Reply:
        call = self._call_asgi if self.protocol == "asgi" else self._call_wsgi
        return call(method, url, {"host": "app.example", **headers}, body, client)

    # --- the app

    async def _asgi(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith(f"{MOUNT}/"):
            await self._page({**scope, "root_path": MOUNT}, receive, send)
            return
        self.view()
        headers = [(b"content-type", b"text/html")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"<p>hello</p>"})

    def _wsgi(self, environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        if path.startswith(f"{MOUNT}/"):
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = MOUNT, path[len(MOUNT) :]
            return self._page(environ, start_response)
        self.view()
        start_response(f"{self.status} Status", [("Content-Type", "text/html")])
        return [b"<p>hello</p>"]

    # --- the servers

    def _call_asgi(self, method: str, url: str, headers: Mapping[str, str], body: bytes, client: str) -> Reply:
        parts = urlsplit(url)
        sent: list[dict[str, Any]] = []

        async def work() -> None:
            messages = [{"type": "http.request", "body": body, "more_body": False}]
            is_over = asyncio.Event()

            async def receive() -> dict[str, Any]:
                if messages:
                    return messages.pop()
                await is_over.wait()
                return {"type": "http.disconnect"}

            async def send(message: dict[str, Any]) -> None:
                sent.append(message)

            scope = {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.4"},
                "method": method,
                "path": parts.path,
                "query_string": parts.query.encode(),
                "scheme": parts.scheme or "http",
                "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
                "client": (client, 4711),
            }
            await self._door(scope, receive, send)

        asyncio.run(work())
        return _reply(
            sent[0]["status"],
            [(name.decode(), value.decode("latin-1")) for name, value in sent[0]["headers"]],
            b"".join(message.get("body", b"") for message in sent[1:]),
        )

    def _call_wsgi(self, method: str, url: str, headers: Mapping[str, str], body: bytes, client: str) -> Reply:
        parts = urlsplit(url)
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": parts.path,
            "SCRIPT_NAME": "",
            "QUERY_STRING": parts.query,
            "wsgi.url_scheme": parts.scheme or "http",
            "REMOTE_ADDR": client,
            "wsgi.input": io.BytesIO(body),
        }
        if body:
            environ["CONTENT_LENGTH"] = str(len(body))
        setup_testing_defaults(environ)
        for name, value in headers.items():
            if name != "content-type":
                environ["HTTP_" + name.upper().replace("-", "_")] = value
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            started.append((status, headers))
            return lambda data: None

        body_parts = validator(self._door)(environ, start_response)
        try:
            sent = b"".join(body_parts)
        finally:
            body_parts.close()  # type: ignore[attr-defined]  # the validator's iterator has one
        return _reply(int(started[-1][0][:3]), started[-1][1], sent)


@dataclass
class Reader:
    """A browser at the report."""

    app: App
    cookies: dict[str, str] = field(default_factory=dict)
    client: str = "192.0.2.7"
    scheme: str = ""

    def get(self, path: str = "/", /, **query: str) -> Reply:
        return self.request("GET", path, query=query, headers=NAVIGATE)

    def post(
        self,
        path: str,
        /,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
        **form: str,
    ) -> Reply:
        """Send a form with the CSRF token of this reader's page, or with `token`."""
        sent = {**form, **(fields or {}), "csrf": self._form_token() if token is None else token}
        return self.request("POST", path, headers={**NAVIGATE, **(headers or {})}, body=urlencode(sent).encode())

    def _form_token(self) -> str:
        page = self.get("/login")
        return (page if page.status == 200 else self.get("/nothing")).form_token

    @property
    def ticket(self) -> tuple[str, str]:
        """The cookie that says whether this browser is logged in."""
        ((name, value),) = ((name, value) for name, value in self.cookies.items() if not name.endswith("_browser"))
        return name, value

    def log_in(self, password: str = PASSWORD, **form: str) -> Reply:
        return self.post("/login", fields={"password": password, **form})

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Reply:
        sent = dict(headers or {})
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        below = f"{path}?{urlencode(query)}" if query else path
        reply = self.app.request(method, f"{self.scheme}{MOUNT}{below}", sent, body, client=self.client)
        for key, line in reply.headers:
            if key == "set-cookie":
                name, _, value = line.partition(";")[0].partition("=")
                if "Max-Age=0" in line:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = value
        return reply


def _reply(status: int, headers: list[tuple[str, str]], body: bytes) -> Reply:
    return Reply(status, tuple((name.lower(), value) for name, value in headers), body.decode("utf-8", "replace"))
