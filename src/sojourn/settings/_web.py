"""Settings whose form the web decides: cookie attributes, paths, glob patterns, networks. Each reads one value."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import partial
from typing import Final

from ._kinds import listing, optional
from ._table import Kind, plain

DEFAULT_EXCLUDE: Final = (
    "/static/*",
    "/assets/*",
    "/favicon.ico",
    "/favicon.svg",
    "/apple-touch-icon*.png",
    "/robots.txt",
    "/sitemap*.xml",
    "/manifest.json",
    "/site.webmanifest",
    "/service-worker.js",
    "/.well-known/*",
    "/health",
    "/healthz",
    "/livez",
    "/readyz",
    "/metrics",
)
"""Glob patterns of paths that are no sign of a person: static files, what browsers fetch by themselves, probes."""

DEFAULT_PASSIVE: Final = (
    "*/socket.io/*",
    "*/engine.io/*",
    "*/signalr/*",
    "*/negotiate",
    "*/token",
    "*/refresh",
    "*/refresh-token",
    "*/refresh_token",
    "*/api/auth/session",
    "*/keepalive",
    "*/keep-alive",
    "*/heartbeat",
    "*/envelope/",
    "*/csp-report",
)
"""Glob patterns of paths that pages ask for by themselves: polling transports, token refresh, error tunnels, reports."""

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_PARAMETER: Final = re.compile(r"[\w.-]{1,64}")
_PATH: Final = re.compile(r"/[!-:<-~]*")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_cookie_name(value: object) -> str:
    name = value.strip() if isinstance(value, str) else ""
    if not _TOKEN.fullmatch(name):
        msg = "a cookie's name is 1 to 64 ASCII letters, digits, or any of !#$%&'*+-.^_`|~"
        raise ValueError(msg)
    if name.lower().startswith(("__host-", "__secure-")):
        msg = "leave the prefix out; Sojourn adds it on https"
        raise ValueError(msg)
    return name


def parse_header_name(value: object) -> str:
    name = value.strip() if isinstance(value, str) else ""
    if not _TOKEN.fullmatch(name):
        msg = 'give the name of a header, such as "CF-IPCountry"'
        raise ValueError(msg)
    return name


def parse_domain(value: object) -> str:
    # RFC 6265 section 5.2.3: a leading dot means nothing, and case does not count.
    domain = value.strip().lower().removeprefix(".") if isinstance(value, str) else ""
    labels = domain.split(".")
    # A last label of digits alone would be an IP address, for which browsers drop a cookie with a domain.
    if len(domain) > 253 or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit():
        msg = 'give a host name alone, such as "example.com" (no scheme, port, path or IP address; punycode)'
        raise ValueError(msg)
    return domain


def parse_path(value: object) -> str:
    path = value.strip() if isinstance(value, str) else ""
    if not _PATH.fullmatch(path):
        msg = 'give a path that starts with "/", of printable ASCII characters but space and ";"'
        raise ValueError(msg)
    return path


def parse_url_path(value: object) -> str:
    path = parse_path(value)
    if path == "/" or "?" in path or "#" in path:
        msg = 'give a path of its own, such as "/-/sojourn", without a query'
        raise ValueError(msg)
    return path


def _parse_pattern(value: object, *, is_path: bool) -> Iterable[str]:
    pattern = value.strip() if isinstance(value, str) else ""
    if not pattern or not pattern.isprintable() or (is_path and not pattern.startswith(("/", "*"))):
        raise ValueError(_PATHS_HINT if is_path else _NAMES_HINT)
    return (pattern,)


def _parse_networks(value: object) -> Iterable[Network]:
    if isinstance(value, str) and value.strip() == "*":
        return (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
    # Numbers and bytes are addresses to `ipaddress` as well, and never meant as such in a setting.
    if not isinstance(value, str | Network | ipaddress.IPv4Address | ipaddress.IPv6Address):
        raise ValueError(_NETWORKS_HINT)
    try:
        return (ipaddress.ip_network(str(value).strip(), strict=False),)
    except ValueError:
        raise ValueError(_NETWORKS_HINT) from None


def _parse_own_networks(value: object) -> Iterable[Network]:
    try:
        networks = tuple(_parse_networks(value))
    except ValueError:
        networks = ()
    if not networks or any(network.prefixlen == 0 for network in networks):
        raise ValueError(_OWN_NETWORKS_HINT)
    return networks


def _show_networks(value: object) -> str:
    return plain([str(item) for item in value]) if isinstance(value, list | tuple) else plain(value)


def _parse_kept(value: object) -> Iterable[str]:
    text = value.strip() if isinstance(value, str) else ""
    if not text.startswith(("/", "*")) and not _PARAMETER.fullmatch(text):
        raise ValueError(_KEEP_HINT)
    return _parse_pattern(text, is_path=False)


def _parse_host(value: object) -> Iterable[str]:
    text = value.strip().lower() if isinstance(value, str) else ""
    dot = "." if text.startswith((".", "*.")) else ""
    host = text.removeprefix("*").removeprefix(".").removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if len(host) > 253 or not all(map(_LABEL.fullmatch, host.split("."))):
            raise ValueError(_HOSTS_HINT) from None
    return (f"{dot}{host}",)


_HOSTS_HINT: Final = (
    'give a list of host names, such as ["shop.example", ".shop.de"] (a leading dot adds all hosts below); '
    'no scheme, port or "*"'
)
_PATHS_HINT: Final = 'give a list of glob patterns that start with "/" or "*", such as ["/static/*"]'
_KEEP_HINT: Final = 'give a list of glob patterns of paths, or of names of parameters, such as ["/share/*", "code"]'
_NAMES_HINT: Final = 'give a list of glob patterns, such as ["utm_*"]'
_OWN_NETWORKS_HINT: Final = 'give a list of addresses or networks of your own, such as ["192.0.2.7", "2001:db8::/48"]'
_NETWORKS_HINT: Final = 'give a list of addresses or networks, such as ["10.0.0.0/8", "::1"]; "*" believes every sender'

COOKIE_NAME: Final = Kind(parse_cookie_name)
COOKIE_PATH: Final = Kind(parse_path)
DOMAIN: Final = optional(Kind(parse_domain))
URL_PATH: Final = optional(Kind(parse_url_path))
HEADER: Final = optional(Kind(parse_header_name))
OWN_NETWORKS: Final = listing(_parse_own_networks, _OWN_NETWORKS_HINT, _show_networks)
NETWORKS: Final = listing(_parse_networks, _NETWORKS_HINT, _show_networks)
HOST_PATTERNS: Final = listing(_parse_host, _HOSTS_HINT)
PATH_PATTERNS: Final = listing(partial(_parse_pattern, is_path=True), _PATHS_HINT)
KEEP_PATTERNS: Final = listing(_parse_kept, _KEEP_HINT)
NAME_PATTERNS: Final = listing(partial(_parse_pattern, is_path=False), _NAMES_HINT)
