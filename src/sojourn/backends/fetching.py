"""Fetches a public document of a bounded size, for a command that was told to."""

from __future__ import annotations

import importlib.metadata
from typing import Final, Self

import httpx

from sojourn.errors import SojournError

_PATIENCE_S: Final = 20.0


def client_of() -> httpx.Client:
    """The client that fetches, with who asks."""
    version = importlib.metadata.version("sojourn")
    return httpx.Client(timeout=_PATIENCE_S, follow_redirects=True, headers={"User-Agent": f"sojourn/{version}"})


class Fetcher:
    """Fetches over https alone, redirects included. Use it as a context manager."""

    def __init__(self) -> None:
        self._client = client_of()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def fetch(self, url: str, *, most_bytes: int) -> bytes:
        """Return what is at an address; of what is larger, one part more than `most_bytes`. Raises `SojournError`."""
        data = bytearray()
        try:
            with self._client.stream("GET", url) as response:
                if any(each.url.scheme != "https" for each in (*response.history, response)):
                    msg = f"{url}: leads over plain http, where anybody on the way may change it"
                    raise SojournError(msg)
                if response.status_code != httpx.codes.OK:
                    msg = f"{url}: the server responded with status {response.status_code}"
                    raise SojournError(msg)
                for part in response.iter_bytes():
                    data += part
                    if len(data) > most_bytes:
                        break
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            msg = f"{url}: {error or type(error).__name__}"
            raise SojournError(msg) from None
        return bytes(data)
