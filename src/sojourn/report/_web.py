"""The report's request and response, independent of ASGI and WSGI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from sojourn.tracking.facts import RequestFacts

MAX_BODY: Final = 64 * 1024
"""Bytes. The longest form of the report has a few dead letters' ids."""

_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
)

_SECURITY: Final = (
    (
        "Content-Security-Policy",
        "; ".join(_POLICY),
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request. `base` is where the report is mounted (without a trailing slash), `path` the part below it."""

    facts: RequestFacts
    base: str
    path: str
    body: bytes = b""
    is_allowed: bool | None = None
    """What the app's `allow` returned for this request; `None`: it was not called."""

    @property
    def method(self) -> str:
        return self.facts.method

    def header(self, name: str) -> str:
        return self.facts.header(name)

    @cached_property
    def query(self) -> Mapping[str, str]:
        """The first value of each parameter; malformed parts are ignored."""
        return _first(self.facts.query)

    @cached_property
    def form(self) -> Mapping[str, str]:
        return _first(self.body.decode("utf-8", "replace"))

    @cached_property
    def event_ids(self) -> list[str]:
        """All values of the form's `event` fields."""
        pairs = parse_qsl(self.body.decode("utf-8", "replace"), max_num_fields=500)
        return [value for name, value in pairs if name == "event"]

    def cookies(self, name: str) -> list[str]:
        """All values of a cookie: a report on another path may have left one of the same name."""
        parts = (part.strip().partition("=") for part in self.facts.cookie.decode("latin-1").split(";"))
        return [value.strip('"') for key, _, value in parts if key == name]

    def url(self, path: str, /, **query: object) -> str:
        """A URL of the report. The path and the values are quoted; empty values are left out, tuples are repeated."""
        params = {name: value for name, value in query.items() if value is not None and value != ""}
        tail = f"?{urlencode(params, doseq=True, safe='!', errors='replace')}" if params else ""
        return f"{self.base}{quote(path, errors='replace')}{tail}"

    @property
    def site(self) -> str:
        """The scheme and host that this request named, to show a whole link to its reader."""
        host = self.header("host")
        return f"http{'s' if self.facts.is_https else ''}://{host}" if host else ""

    @property
    def here(self) -> str:
        """This request's path and query below the mount, to come back to."""
        query = self.facts.query
        path = quote(self.path.lstrip("/"), errors="replace")  # browsers take `//x` for another host
        return f"/{path}{'?' if query else ''}{query}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response. An iterator as the body is streamed."""

    body: bytes | Iterator[bytes] = b""
    status: int = 200
    kind: str = "text/html; charset=utf-8"
    cache: str = "no-store"
    headers: tuple[tuple[str, str], ...] = ()
    cookies: tuple[str, ...] = field(default=())

    def header_list(self) -> list[tuple[str, str]]:
        """All headers, including the security headers that every response carries."""
        headers = [("Content-Type", self.kind), ("Cache-Control", self.cache), *_SECURITY, *self.headers]
        if isinstance(self.body, bytes):
            headers.append(("Content-Length", str(len(self.body))))
        return [*headers, *(("Set-Cookie", line) for line in self.cookies)]


def page(text: str, *, status: int = 200) -> Response:
    return Response(body=text.encode("utf-8", "replace"), status=status)


def document(value: Any) -> Response:
    """A JSON response for the report's script."""
    return Response(body=msgspec.json.encode(value), kind="application/json")


def redirect(url: str, *, cookies: tuple[str, ...] = ()) -> Response:
    """303 See Other, so that a reload does not post the form again."""
    return Response(status=303, headers=(("Location", url),), cookies=cookies)


def base_of(mounted: str) -> str:
    """The quoted path that the report is mounted at, with one leading slash: `//host` would be another site."""
    path = mounted.strip("/")
    return f"/{quote(path, errors='replace')}" if path else ""


def _first(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, errors="replace", max_num_fields=500)
    except ValueError:  # more fields than any form of the report has
        return {}
    first: dict[str, str] = {}
    for name, value in pairs:
        first.setdefault(name, value)
    return first
