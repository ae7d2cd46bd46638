"""What a door reads of a request and its response. Ports of the tracker; each door implements both."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from .principal import UNKNOWN, Principal


class RequestFacts(Protocol):
    """One request. Everything but the first five is read only when a rule needs it."""

    method: str
    path: str
    """The whole path, as the visitor sees it."""
    mount: str
    """Where the app is mounted (`SCRIPT_NAME`, `root_path`); empty at the root. Some servers leave it out of the path."""
    cookie: bytes
    """The `Cookie` header, several joined with `; `; empty without one."""
    is_https: bool
    """As the browser sees it; behind a trusted proxy, as the proxy says."""

    @property
    def query(self) -> str:
        """The query string as sent; read only for the parameters that the settings allow."""
        ...

    def header(self, name: str) -> str:
        """A header by its lower-case name; empty when absent."""
        ...

    def has_any(self, names: tuple[str, ...]) -> bool:
        """Whether any of these headers, by lower-case names, is there; quicker than to read them one by one."""
        ...

    def client_address(self) -> str | None:
        """The address of the client, unmasked; behind trusted proxies, the nearest address that is none of them."""
        ...

    def proven_address(self) -> str | None:
        """The same, or `None` where it may be the address of a proxy that is not declared (see `forwarded.py`)."""
        ...

    def is_from_proxy(self) -> bool:
        """Whether a trusted proxy sent it, whose headers may be believed."""
        ...

    def route(self) -> str | None:
        """The route template that the framework matched, once it has."""
        ...

    def framework_request(self) -> Any:
        """What the user's own callables get: the framework's request, or the bare scope or environ."""
        ...

    def principal(self) -> Principal:
        """The user that the framework authenticated, as of the response start."""
        ...


class ResponseFacts(Protocol):
    """The start of a response."""

    status: int

    def header(self, name: str) -> str:
        """A response header by its lower-case name; several are joined with `, `; empty when absent."""
        ...

    def names(self) -> Iterable[str]:
        """The names of the headers in lower case; read only when a cookie is due."""
        ...


class NoFacts:
    """The facts of a request that could not be read. A base for requests of which little is known."""

    method = ""
    path = ""
    mount = ""
    cookie = b""
    query = ""
    is_https = False

    def has_any(self, names: tuple[str, ...]) -> bool:
        return False

    def header(self, name: str) -> str:
        return ""

    def client_address(self) -> str | None:
        return None

    def proven_address(self) -> str | None:
        return None

    def is_from_proxy(self) -> bool:
        return False

    def route(self) -> str | None:
        return None

    def framework_request(self) -> Any:
        return None

    def principal(self) -> Principal:
        return UNKNOWN


NOTHING_KNOWN: RequestFacts = NoFacts()
