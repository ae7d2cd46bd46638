"""RudderStack: send the events of its specification to a data plane, in batches.

https://www.rudderstack.com/docs/api/http-api/
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final, Unpack

from sojourn.backends.cloudevents import rfc3339
from sojourn.backends.http import Clock, HttpCall, Unsendable
from sojourn.backends.outcomes import Delivered, Outcome, Pause, Response, Split
from sojourn.backends.packing import CallLimits, Pack, Piece, packed_calls
from sojourn.backends.receipts import not_a_receipt
from sojourn.backends.vendor import VendorBackend, VendorOptions
from sojourn.backends.vendor_url import checked_address, checked_key
from sojourn.core.events import Event

from .events import encoded, is_untagging

PATH: Final = "/v1/batch"
EVENT_BYTES: Final = 32 * 1024

_HEAD: Final = b'{"batch":['
_TAIL: Final = b"]}"
LIMITS: Final = CallLimits(bytes=450_000, events=100, frame=len(_HEAD) + len(_TAIL))
"""The limits of RudderStack's own libraries, before compression; the server accepts 4 MB."""

# Responses are plain text. Only texts that are known to contain nothing of an event are repeated.
_ERROR_TEXTS: Final = frozenset(
    {
        "invalid json",
        "empty batch payload",
        "request neither has anonymousId nor userId",
        "event is not a valid rudder event",
        "request body is nil",
    }
)


class RudderStackBackend(VendorBackend):
    """Sends to a data plane.

    `address`: `https://<name>.dataplane.rudderstack.com`, or that of your own server. `key`: the write key of a source.
    `site`: the address of your site (`https://shop.example`), so that pages have a `url`, which destinations read.
    """

    scheme = "rudderstack"
    fake = "sojourn.backends.vendors.rudderstack.fake:FakeRudderStack"
    # Destinations read browser and place from each event.
    wants_context = True
    own_options: ClassVar[Mapping[str, type]] = {"site": str}

    def __init__(self, address: str, key: str, *, site: str | None = None, **options: Unpack[VendorOptions]) -> None:
        url = checked_address(address, self.scheme)
        encoder = _Encoder(
            url if url.endswith(PATH) else url + PATH,
            checked_key(key, self.scheme),
            site=None if site is None else checked_address(site, f"{self.scheme}: site"),
            wall=options.get("wall", time.time),
        )
        super().__init__(encoder, **options)

    def accepts(self, event: Event) -> bool:
        return not is_untagging(event) and super().accepts(event)


class _Encoder:
    def __init__(self, url: str, key: str, *, site: str | None, wall: Clock) -> None:
        self._url = url
        self._site = site
        self._headers = {
            "content-type": "application/json",
            "authorization": f"Basic {b64encode(f'{key}:'.encode()).decode()}",
        }
        self._wall = wall

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall | Unsendable]:
        sent_at = rfc3339(int(self._wall() * 1000))
        pieces: list[Piece] = []
        for event in batch:
            if is_untagging(event):
                continue
            body = encoded(event, sent_at, self._site)
            if reason := _reason_against(event, body):
                yield Unsendable((event,), reason)
            else:
                pieces.append(Piece(body, (event,)))
        yield from packed_calls(pieces, LIMITS, self._call)

    def _call(self, pack: Pack) -> HttpCall:
        return HttpCall(
            "POST",
            self._url,
            pack.events,
            body=pack.joined(_HEAD, _TAIL),
            headers=self._headers,
            interpret=_outcome,
        )


def _reason_against(event: Event, body: bytes) -> str | None:
    """Return why an event cannot be sent, or `None`. The server refuses a whole batch for one such event."""
    if len(body) > EVENT_BYTES:
        return f"encoded it is {len(body)} bytes, and RudderStack accepts at most {EVENT_BYTES}"
    if not event.visitor_id.strip() and not (event.user_id or "").strip():
        return "it has neither a visitor nor a user, and RudderStack requires one of them"
    return None


def _outcome(response: Response) -> Outcome | None:
    text = response.body[:100].decode("utf-8", "replace").strip()
    match response.status:
        case 200 if text.lower() == "ok":
            return Delivered()
        case status if 200 <= status < 300:
            return not_a_receipt(response, "a data plane responds with 200 and the text OK")
        case 400 if text in _ERROR_TEXTS:
            return Split(reason=f"HTTP 400: {text}")
        case 401:
            return Pause(reason="HTTP 401: the write key is unknown; copy it from the source's setup page")
        case 404 if text == "source is disabled":
            return Pause(reason="HTTP 404: the source is disabled; enable it in RudderStack")
        case _:
            return None
