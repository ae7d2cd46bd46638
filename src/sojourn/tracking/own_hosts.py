"""Which hosts belong to this site: a click from one of them is no source of a visit. Pure.

A host counts without its port, its scheme and a leading `www.`. What a proxy says of the host is believed here without any
proof: who forges it hides only where this very visit came from.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from .facts import RequestFacts


class OwnHosts:
    """The host that a request names, and those that the settings add. `.shop.example` is that host and all below it."""

    __slots__ = ("_domains", "_hosts")

    def __init__(self, patterns: Iterable[str] = (), cookie_domain: str | None = None) -> None:
        names = [pattern.removeprefix("*") for pattern in patterns]
        self._hosts = frozenset(_plain(name) for name in names if not name.startswith("."))
        domains = [name.lower().removeprefix(".") for name in names if name.startswith(".")]
        # All hosts below a cookie's domain share its sessions.
        self._domains = tuple(domains if cookie_domain is None else [*domains, cookie_domain.lower().removeprefix(".")])

    def has(self, url: str, request: RequestFacts) -> bool:
        """Whether a URL, such as a referrer, leads to this site, as the browser of this request names it."""
        host = _host(url)
        if not host:
            return False
        if host in self._hosts or any(f".{host}".endswith(f".{domain}") for domain in self._domains):
            return True
        return host in {_host(f"//{name}") for name in _names(request)}


def _names(request: RequestFacts) -> Iterable[str]:
    yield request.header("host")
    yield request.header("x-forwarded-host").partition(",")[0].strip()
    for part in request.header("forwarded").partition(",")[0].split(";"):
        name, _, value = part.strip().partition("=")
        if name.lower() == "host":
            yield value.strip().strip('"')


def _host(url: str) -> str:
    try:
        return _plain(urlsplit(url).hostname or "")
    except ValueError:
        return ""


def _plain(host: str) -> str:
    return host.lower().rstrip(".").removeprefix("www.")
