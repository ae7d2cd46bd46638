"""The facts of a request and of a response, as plain values: what the rules of tracking are tried with."""

from __future__ import annotations

from collections.abc import Mapping

from sojourn.tracking.facts import NoFacts


class Request(NoFacts):
    """The facts of a request (see `sojourn.tracking.facts.RequestFacts`)."""

    def __init__(
        self, method: str = "GET", headers: Mapping[str, str] | None = None, *, path: str = "/", query: str = ""
    ) -> None:
        self.method, self.path, self.query = method, path, query
        self._headers = headers or {}

    def header(self, name: str) -> str:
        return self._headers.get(name, "")

    def has_any(self, names: tuple[str, ...]) -> bool:
        return any(self.header(name) for name in names)


class Response:
    """The facts of a response start (see `sojourn.tracking.facts.ResponseFacts`)."""

    def __init__(self, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self._headers = headers or {}

    def header(self, name: str) -> str:
        return self._headers.get(name, "")

    def names(self) -> list[str]:
        return list(self._headers)
