"""One request to the report and its answer, as the pages see them. Knows no framework, no server and no page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from sojourn.tracking.facts import RequestFacts

MAX_BODY: Final = 64 * 1024
"""The longest form of ours is a few dead letters' ids."""

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
    """What a page may look at. `base` is where the report is mounted (no slash at its end), `path` what lies below."""

    facts: RequestFacts
    base: str
    path: str
    body: bytes = b""
    is_allowed: bool | None = None
    """What the app's own `allow` said of the framework's request; `None`: it was not asked."""

    @property
    def method(self) -> str:
        return self.facts.method

    def header(self, name: str) -> str:
        return self.facts.header(name)

    @cached_property
    def query(self) -> Mapping[str, str]:
        """The first value of each parameter; of garbage, what can be read."""
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
        """All values of this cookie: an older report on another path may have left one of the same name."""
        parts = (part.strip().partition("=") for part in self.facts.cookie.decode("latin-1").split(";"))
        return [value.strip('"') for key, _, value in parts if key == name]

    def url(self, path: str, /, **query: object) -> str:
        """A URL of the report's own, whatever the values hold."""
        given = {name: value for name, value in query.items() if value is not None and value != ""}
        tail = f"?{urlencode(given, errors='replace')}" if given else ""
        return f"{self.base}{quote(path, errors='replace')}{tail}"

    @property
    def here(self) -> str:
        """The path and query below the mount, to come back to."""
        query = self.facts.query
        path = quote(self.path.lstrip("/"), errors="replace")  # `//x` would be another host
        return f"/{path}{'?' if query else ''}{query}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What goes back. A body that is an iterator is sent while it is made."""

    body: bytes | Iterator[bytes] = b""
    status: int = 200
    kind: str = "text/html; charset=utf-8"
    cache: str = "no-store"
    headers: tuple[tuple[str, str], ...] = ()
    cookies: tuple[str, ...] = field(default=())

    def lines(self) -> list[tuple[str, str]]:
        """All headers, those that guard every answer among them."""
        own = [("Content-Type", self.kind), ("Cache-Control", self.cache), *_SECURITY, *self.headers]
        if isinstance(self.body, bytes):
            own.append(("Content-Length", str(len(self.body))))
        return [*own, *(("Set-Cookie", line) for line in self.cookies)]


def page(text: str, *, status: int = 200) -> Response:
    return Response(body=text.encode("utf-8", "replace"), status=status)


def document(value: Any) -> Response:
    """JSON for our own script."""
    return Response(body=msgspec.json.encode(value), kind="application/json")


def redirect(url: str, *, cookies: tuple[str, ...] = ()) -> Response:
    """See other: what was posted is done, and a reload does not do it again."""
    return Response(status=303, headers=(("Location", url),), cookies=cookies)


def base_of(mounted: str) -> str:
    """The path a report is mounted at, quoted. `//host` would be another site's address."""
    inner = mounted.strip("/")
    return f"/{quote(inner, errors='replace')}" if inner else ""


def _first(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, errors="replace", max_num_fields=500)
    except ValueError:  # more fields than any form of ours has
        return {}
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found
