"""The script that a page includes: the same for all visitors, so browsers and shared caches may keep it."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from sojourn.core.session import Rules
from sojourn.tracking.facts import RequestFacts

from ._replies import Reply, not_allowed

_LONGEST_INTERVAL_MS: Final = 60_000
_SHORTEST_INTERVAL_MS: Final = 1_000
_METHODS: Final = ("GET", "HEAD")


def interval_ms(rules: Rules) -> int:
    """How often a visible page reports activity: in each heartbeat interval, and well before the idle timeout."""
    interval = min(rules.heartbeat_interval or _LONGEST_INTERVAL_MS, rules.idle_timeout // 3, _LONGEST_INTERVAL_MS)
    return max(interval, _SHORTEST_INTERVAL_MS)


def served_text(interval: int) -> str:
    """The script as it is sent: without comments and indentation."""
    from importlib.resources import files  # only for apps with a beacon

    source = files(__package__).joinpath("script.js").read_text(encoding="utf-8")
    lines = (line.strip() for line in source.splitlines())
    text = "\n".join(line for line in lines if line and not line.startswith("//"))
    return text.replace("INTERVAL", str(interval))


class Script:
    """Serves the script with a strong `ETag`: browsers keep it for an hour, then get 304 while it is unchanged."""

    __slots__ = ("_etag", "_fresh", "_unchanged")

    def __init__(self, interval: int) -> None:
        body = served_text(interval).encode()
        self._etag = f'"{sha256(body).hexdigest()[:16]}"'
        caching = (("cache-control", "public, max-age=3600"), ("etag", self._etag))
        about = (
            ("content-type", "text/javascript; charset=utf-8"),
            ("content-length", str(len(body))),
            ("x-content-type-options", "nosniff"),
        )
        self._fresh = Reply(status=200, headers=(*about, *caching), body=body)
        self._unchanged = Reply(status=304, headers=caching)

    def reads(self, request: RequestFacts) -> bool:
        return False

    def respond(self, request: RequestFacts, body: bytes | None) -> Reply:
        if request.method not in _METHODS:
            return not_allowed(*_METHODS)
        return self._unchanged if self._is_current(request.header("if-none-match")) else self._fresh

    def _is_current(self, tags: str) -> bool:
        """Compare weakly (RFC 9110, section 13.1.2): a proxy that compresses may have weakened our tag."""
        etags = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        return self._etag in etags or etags == ["*"]
