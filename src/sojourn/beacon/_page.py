"""What a beacon may say, and the request that it makes of its page. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from urllib.parse import unquote

import msgspec

from sojourn.tracking.facts import RequestFacts
from sojourn.tracking.principal import UNKNOWN, Principal


class Kind(StrEnum):
    """What happened on the page. Nothing else can be told."""

    ACTIVITY = "activity"
    PAGE_VIEW = "page_view"
    """The page's own script showed another page (`history.pushState` and its kind)."""
    RESTORED = "restored"
    """The browser showed again a page that it had kept, without a request."""


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One beacon: what happened, and the page's path and query as they stand in its address."""

    kind: Kind
    page: str


_decoder = msgspec.json.Decoder(Told)


def read(body: bytes) -> Told | None:
    """What a body tells; `None` for anything that our script does not send."""
    try:
        told = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return told if told.page.startswith("/") else None


class PageFacts:
    """The request of a beacon, but about its page: path and query are those of the page (see `facts.RequestFacts`).

    So what holds for a request to that page holds for what the page tells: exclusion, masking, consent.
    """

    __slots__ = ("_sent", "cookie", "is_https", "method", "mount", "path", "query")

    def __init__(self, sent: RequestFacts, page: str) -> None:
        path, _, query = page.partition("?")
        self._sent = sent
        self.method = sent.method
        self.cookie = sent.cookie
        self.is_https = sent.is_https
        self.mount = sent.mount
        self.path = unquote(path, errors="replace")  # as servers give a path to us
        self.query = query

    def header(self, name: str) -> str:
        return self._sent.header(name)

    def client_address(self) -> str | None:
        return self._sent.client_address()

    def route(self) -> str | None:
        return None

    def framework_request(self) -> Any:
        return self._sent.framework_request()

    def principal(self) -> Principal:
        return UNKNOWN
