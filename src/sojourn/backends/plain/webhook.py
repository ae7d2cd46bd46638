"""Send events to an address of the user's own, as a signed batch of CloudEvents."""

from __future__ import annotations

import re
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Self, Unpack
from urllib.parse import urlsplit, urlunsplit

import httpx

from sojourn.backends import cloudevents
from sojourn.backends.http import Clock, HttpCall
from sojourn.backends.options import Options, url_errors, user_info
from sojourn.backends.signatures import SIGNATURE_HEADER, Secret, as_secrets, sign
from sojourn.backends.vendor import VendorBackend, VendorOptions
from sojourn.backends.vendor_url import VENDOR_OPTIONS
from sojourn.core.events import Event
from sojourn.errors import SettingsError

__all__ = ["WebhookBackend"]

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, field-name
_FIELD: Final = re.compile(r"[\t\x20-\x7e]*")


class WebhookBackend(VendorBackend):
    """POSTs batches to `url`. With a `secret` (or several, while one is replaced) each call carries a signature.

    User and password in the URL become an `Authorization` header; `headers` go with every call. Further options are those of
    `VendorOptions`.
    """

    scheme = "webhook"
    url_form = "{scheme}+https://<host>/<path>"
    heartbeats_by_default = True
    takes_revised_ends = True

    def __init__(
        self,
        url: str,
        secret: Secret | Sequence[Secret] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[VendorOptions],
    ) -> None:
        with url_errors("webhook"):
            address, authorization = address_of(url)
        encoder = _WebhookEncoder(
            address,
            as_secrets(secret) if secret is not None else (),
            {**authorization, **_checked(headers or {})},
            options.get("wall", time.time),
        )
        super().__init__(encoder, **options)

    @classmethod
    def from_url(cls, url: str, **options: Unpack[VendorOptions]) -> Self:
        """Build the backend from `webhook+https://host/path?secret=...`. Other query parameters stay part of the address."""
        with url_errors("webhook"):
            parts = urlsplit(url.removeprefix("webhook+"))
            parameters = Options("webhook", parts.query)
            merged: Any = {**parameters.take(VENDOR_OPTIONS), **options}
            secrets = parameters.take({"secret": list}).get("secret", [])
            user, password = user_info(url)
            netloc = parts.netloc
            if user and password is None:
                # As in the URLs of vendors, a value alone before the host is the key.
                secrets.append(user)
                netloc = netloc.rpartition("@")[2]
            address = urlunsplit((parts.scheme, netloc, parts.path, parameters.rest(), ""))
            return cls(address, secrets or None, **merged)


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


def address_of(url: str) -> tuple[str, dict[str, str]]:
    """Return the address without credentials, and the credentials as a header."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError("url of the webhook must begin with http:// or https:// and name a host")
    _ = parts.port  # raises ValueError if it is not a number
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
            raise SettingsError(f"headers of the webhook: {key[:40]!r} is not a valid name of an HTTP header")
        if not _FIELD.fullmatch(value):
            raise SettingsError(f"headers of the webhook: the value of {key!r} has characters that HTTP does not allow")
    return {key.lower(): value for key, value in headers.items()}
