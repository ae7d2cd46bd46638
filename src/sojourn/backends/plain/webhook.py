"""Events to an address of the user's own, as a signed batch of CloudEvents. The HTTP layer does the rest."""

from __future__ import annotations

import re
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final, Self
from urllib.parse import urlsplit, urlunsplit

import httpx

from sojourn.backends import cloudevents
from sojourn.backends.filters import EventFilter, Patterns
from sojourn.backends.http import DEADLINE_S, Clock, HttpCall, HttpLayer, LastCall
from sojourn.backends.options import COMMON_OPTIONS, Options, url_errors, user_info
from sojourn.backends.protocol import Receipt
from sojourn.backends.signatures import SIGNATURE_HEADER, Secret, as_secrets, sign
from sojourn.core.events import Event
from sojourn.errors import SettingsError

__all__ = ["WebhookBackend"]

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, field-name
_FIELD: Final = re.compile(r"[\t\x20-\x7e]*")


class WebhookBackend:
    """POSTs batches to `url`; with a `secret` (or several, while one is replaced) each call carries a signature.

    User and password in the URL become an `Authorization` header; `headers` go with every call.
    """

    url_form: ClassVar[str] = "webhook+https://<host>/<path>"

    def __init__(
        self,
        url: str,
        secret: Secret | Sequence[Secret] | None = None,
        *,
        name: str | None = None,
        third_party: bool = True,
        events: Patterns | None = None,
        heartbeats: bool = True,
        headers: Mapping[str, str] | None = None,
        timeout: float = DEADLINE_S,
        transport: httpx.BaseTransport | None = None,
        monotonic: Clock = time.monotonic,
        wall: Clock = time.time,
    ) -> None:
        self.name = "webhook" if name is None else name
        self.third_party = third_party
        self._choice = EventFilter(events, has_heartbeats=heartbeats)
        with url_errors("webhook"):
            address, authorization = _address(url)
        encoder = _WebhookEncoder(
            address,
            as_secrets(secret) if secret is not None else (),
            {**authorization, **_checked(headers or {})},
            wall,
        )
        self._layer = HttpLayer(
            encoder, name=self.name, timeout=timeout, transport=transport, monotonic=monotonic, wall=wall
        )

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Build from `webhook+https://host/path?secret=...`; parameters that are no option stay in the URL called."""
        with url_errors("webhook"):
            parts = urlsplit(url.removeprefix("webhook+"))
            options = Options("webhook", parts.query)
            arguments = options.take({**COMMON_OPTIONS, "timeout": float})
            secrets = options.take({"secret": list}).get("secret", [])
            user, password = user_info(url)
            netloc = parts.netloc
            if user and password is None:
                # As in the URLs of vendors: what stands alone before the host is the key.
                secrets.append(user)
                netloc = netloc.rpartition("@")[2]
            address = urlunsplit((parts.scheme, netloc, parts.path, options.rest(), ""))
            return cls(address, secrets or None, **arguments)

    def __repr__(self) -> str:
        return f"WebhookBackend(name={self.name!r})"

    @property
    def last_call(self) -> LastCall | None:
        """What the last call came to; `sojourn check` tells it."""
        return self._layer.last_call

    def accepts(self, event: Event) -> bool:
        return self._choice.accepts(event)

    def send(self, batch: Sequence[Event]) -> Receipt:
        return self._layer.send(batch)

    def close(self) -> None:
        self._layer.close()


class _WebhookEncoder:
    def __init__(self, url: str, secrets: tuple[bytes, ...], headers: Mapping[str, str], wall: Clock) -> None:
        self._url = url
        self._secrets = secrets
        self._headers = {**headers, "content-type": cloudevents.BATCH_MEDIA_TYPE}
        self._wall = wall

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall]:
        yield HttpCall(
            "POST",
            self._url,
            tuple(batch),
            body=cloudevents.encode_batch(batch),
            headers=self._headers,
            sign=self._sign if self._secrets else None,
        )

    def _sign(self, body: bytes) -> dict[str, str]:
        return {SIGNATURE_HEADER: sign(body, self._secrets, at=int(self._wall()))}


def _address(url: str) -> tuple[str, dict[str, str]]:
    """Split credentials off a URL, so that what is called, and may be named, has none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError("url of the webhook must begin with http:// or https:// and name a host")
    _ = parts.port  # raises for a port that is none
    user, password = user_info(url)
    authorization = {}
    if user is not None:
        pair = f"{user}:{password or ''}".encode()
        authorization["authorization"] = f"Basic {b64encode(pair).decode()}"
    address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
    try:
        httpx.URL(address)
    except httpx.InvalidURL:
        raise ValueError from None
    return address, authorization


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    for key, value in headers.items():
        if not _TOKEN.fullmatch(key):
            raise SettingsError(f"headers of the webhook: {key[:40]!r} is no name of an HTTP header")
        if not _FIELD.fullmatch(value):
            raise SettingsError(f"headers of the webhook: the value of {key!r} has characters that HTTP does not allow")
    return {key.lower(): value for key, value in headers.items()}
