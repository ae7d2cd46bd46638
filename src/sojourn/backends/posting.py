"""Post one document to a webhook, signed as the batches of events are."""

from __future__ import annotations

import time
from typing import Final

import httpx
import msgspec

from ._exchange import Exchange, OutOfTimeError, in_words, origin
from .options import Options, url_errors, user_info
from .plain.webhook import address_of
from .signatures import SIGNATURE_HEADER, as_secrets, sign

_DEADLINE_S: Final = 10.0


class Post:
    """POSTs JSON to `webhook+https://host/path?secret=...`. Raises `SettingsError` for an address that cannot be used."""

    def __init__(self, url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        with url_errors("webhook"):
            parts = httpx.URL(url.removeprefix("webhook+"))
            parameters = Options("webhook", parts.query.decode("ascii"))
            secrets = parameters.take({"secret": list}).get("secret", [])
            user, password = user_info(url)
            if user and password is None:
                secrets.append(user)
                parts = parts.copy_with(username=None, password=None)
            self._url, self._headers = address_of(str(parts.copy_with(query=parameters.rest().encode() or None)))
        self._secrets = as_secrets(secrets) if secrets else ()
        self._exchange = Exchange(transport)
        self.origin: Final = origin(self._url)
        """Scheme, host and port: what may be shown."""

    def send(self, document: object) -> str | None:
        """Send a document; return what went wrong, in words and without the address, or `None`. Blocks for 10 s at most."""
        body = msgspec.json.encode(document)
        headers = {**self._headers, "content-type": "application/json"}
        if self._secrets:
            headers[SIGNATURE_HEADER] = sign(body, self._secrets, at=int(time.time()))
        try:
            response = self._exchange.run("POST", self._url, headers, body, deadline=time.monotonic() + _DEADLINE_S)
        except (OutOfTimeError, httpx.HTTPError) as error:
            return "it does not respond in time" if isinstance(error, OutOfTimeError) else in_words(error)
        finally:
            self._exchange.close()  # the next call may be days away
        return None if 200 <= response.status < 300 else f"it responded with {response.status}"
