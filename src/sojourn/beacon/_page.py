"""What a beacon may report, and the facts of the page that sent it. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from urllib.parse import unquote

import msgspec

from sojourn.tracking.facts import RequestFacts
from sojourn.tracking.principal import UNKNOWN, Principal


class Kind(StrEnum):
    """What happened on the page."""

    ACTIVITY = "activity"
    PAGE_VIEW = "page_view"
    """The page's own script showed another page (such as `history.pushState`)."""
    RESTORED = "restored"
    """The browser showed a page from its back-forward cache, without a request."""


class BeaconBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON of one beacon: what happened, and the page's path and query."""

    kind: Kind
    page: str


_decoder = msgspec.json.Decoder(BeaconBody)


def read(body: bytes) -> BeaconBody | None:
    """Read the body of a beacon; `None` for anything that our script does not send."""
    try:
        beacon = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return beacon if beacon.page.startswith("/") else None


class PageFacts:
    """The request of a beacon, but about its page: path and query are those of the page (see `facts.RequestFacts`).

    Exclusion, masking and consent apply to a beacon as to a request for its page.
    """

    __slots__ = ("_sent", "cookie", "is_https", "method", "mount", "path", "query")

    def __init__(self, sent: RequestFacts, page: str) -> None:
        path, _, query = page.partition("?")
        self._sent = sent
        self.method = sent.method
        self.cookie = sent.cookie
        self.is_https = sent.is_https
        self.mount = sent.mount
        self.path = unquote(path, errors="replace")  # as servers decode the path of a request
        self.query = query

    def header(self, name: str) -> str:
        return self._sent.header(name)

    def has_any(self, names: tuple[str, ...]) -> bool:
        return self._sent.has_any(names)

    def client_address(self) -> str | None:
        return self._sent.client_address()

    def proven_address(self) -> str | None:
        return self._sent.proven_address()

    def is_from_proxy(self) -> bool:
        return self._sent.is_from_proxy()

    def route(self) -> str | None:
        return None

    def framework_request(self) -> Any:
        return self._sent.framework_request()

    def principal(self) -> Principal:
        return UNKNOWN
