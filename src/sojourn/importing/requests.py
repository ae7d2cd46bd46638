"""A line of a log as a request and its response, as far as a log can say: what it was asked for is judged by its path. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final
from urllib.parse import unquote, urlsplit

from sojourn.tracking.facts import NoFacts

from .formats import Line

_PAGES: Final = frozenset(
    {"htm", "html", "xhtml", "shtml", "php", "asp", "aspx", "jsp", "jsf", "do", "cgi", "pl", "cfm"}
)
_ASSETS: Final = frozenset(
    {
        *("css", "js", "mjs", "cjs", "map", "wasm", "webmanifest"),
        *("png", "jpg", "jpeg", "gif", "svg", "ico", "webp", "avif", "apng", "bmp"),
        *("woff", "woff2", "ttf", "otf", "eot"),
    }
)
_MEDIA: Final = frozenset({"mp3", "mp4", "m4a", "m4v", "m3u8", "ts", "webm", "ogg", "oga", "ogv", "wav", "flac", "mov"})
_DATA: Final = frozenset({"json", "jsonl", "ndjson"})
_CALLS: Final = frozenset({"api", "graphql", "ajax", "rpc", "trpc"})
"""Segments of paths that scripts ask for, not people."""
_LONGEST_ENDING: Final = 11


class Target(Enum):
    """What a path is of."""

    PAGE = auto()
    FILE = auto()
    """Something else that is opened: a PDF, an archive, a feed."""
    ASSET = auto()
    MEDIA = auto()
    FETCH = auto()


_HEADERS: Final[Mapping[Target, Mapping[str, str]]] = {
    Target.PAGE: {"accept": "text/html"},
    Target.FILE: {},
    Target.ASSET: {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
    Target.MEDIA: {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "video"},
    Target.FETCH: {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
}


def target_of(path: str) -> Target:
    """Judge by the file's ending, or by a segment that is a script's."""
    name = path.rpartition("/")[2]
    stem, _, ending = name.rpartition(".")
    ending = ending.lower()
    if not _CALLS.isdisjoint(path.lower().split("/")):
        return Target.FETCH
    if not stem or not ending.isalnum() or len(ending) > _LONGEST_ENDING or ending in _PAGES:
        return Target.PAGE
    if ending in _ASSETS:
        return Target.ASSET
    if ending in _MEDIA:
        return Target.MEDIA
    if ending in _DATA:
        return Target.FETCH
    # Versions and names have dots, too: `/docs/v1.2`, `/wiki/Dr.Who`.
    return Target.FILE if ending.isascii() and 2 <= len(ending) <= 5 and not ending.isdecimal() else Target.PAGE


class LoggedRequest(NoFacts):
    """`RequestFacts` of a line. `address`: of the client; `host`: the site's, where the log has none."""

    def __init__(self, line: Line, *, address: str, host: str) -> None:
        self.method = line.method
        target = line.target
        if not target.startswith("/"):  # as to a proxy: the whole address
            parts = urlsplit(target)
            target, host = target[target.index("//") + 2 + len(parts.netloc) :] or "/", parts.netloc
        path, _, self.query = target.partition("?")
        self.path = unquote(path)
        self.target = target_of(self.path)
        self._address = address
        self._headers: dict[str, str] = {
            **_HEADERS[self.target],
            "user-agent": line.agent,
            "referer": line.referer,
            "host": line.host or host,
        }

    def header(self, name: str) -> str:
        return self._headers.get(name, "")

    def has_any(self, names: tuple[str, ...]) -> bool:
        return any(name in self._headers for name in names)

    def client_address(self) -> str | None:
        return self._address or None


class LoggedResponse:
    """`ResponseFacts` of a line: what a page is, is HTML."""

    def __init__(self, status: int, target: Target) -> None:
        self.status = status
        self._is_page = target is Target.PAGE and status not in {204, 205}

    def header(self, name: str) -> str:
        return "text/html" if name == "content-type" and self._is_page else ""

    def names(self) -> tuple[str, ...]:
        return ()
