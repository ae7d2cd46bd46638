"""RudderStack: the events of its specification in batches to a data plane. The HTTP layer does the rest.

https://www.rudderstack.com/docs/api/http-api/
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final, Unpack

from sojourn.backends.cloudevents import rfc3339
from sojourn.backends.http import Clock, HttpCall, Unsendable
from sojourn.backends.outcomes import Outcome, Pause, Response, Split
from sojourn.backends.packing import CallLimits, Pack, Piece, packed_calls
from sojourn.backends.vendor import VendorBackend, VendorOptions
from sojourn.backends.vendor_url import checked_address, checked_key
from sojourn.core.events import Event

from .events import encoded, is_untagging

PATH: Final = "/v1/batch"
EVENT_BYTES: Final = 32 * 1024

_HEAD: Final = b'{"batch":['
_TAIL: Final = b"]}"
LIMITS: Final = CallLimits(bytes=450_000, events=100, frame=len(_HEAD) + len(_TAIL))
"""Of one call before it is compressed, as RudderStack's own libraries keep to; its server takes 4 MB."""

# Its responses are plain text; only what is known to hold nothing of an event is repeated.
_SAYINGS: Final = frozenset(
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

    `address`: `https://<name>.dataplane.rudderstack.com`, or your own server's. `key`: the write key of a source.
    `gzip=False` is for servers before 1.4, which cannot read compressed bodies.
    """

    scheme = "rudderstack"
    fake = "sojourn.backends.vendors.rudderstack.fake:FakeRudderStack"
    own_options: ClassVar[Mapping[str, type]] = {"gzip": bool}

    def __init__(self, address: str, key: str, *, gzip: bool = True, **options: Unpack[VendorOptions]) -> None:
        url = checked_address(address, self.scheme)
        encoder = _Encoder(
            url if url.endswith(PATH) else url + PATH,
            checked_key(key, self.scheme),
            has_gzip=gzip,
            wall=options.get("wall", time.time),
        )
        super().__init__(encoder, **options)

    def accepts(self, event: Event) -> bool:
        return not is_untagging(event) and super().accepts(event)


class _Encoder:
    def __init__(self, url: str, key: str, *, has_gzip: bool, wall: Clock) -> None:
        self._url = url
        self._headers = {
            "content-type": "application/json",
            "authorization": f"Basic {b64encode(f'{key}:'.encode()).decode()}",
        }
        self._has_gzip = has_gzip
        self._wall = wall

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall | Unsendable]:
        sent_at = rfc3339(int(self._wall() * 1000))
        pieces: list[Piece] = []
        for event in batch:
            if is_untagging(event):
                continue
            body = encoded(event, sent_at)
            if reason := _unfit(event, body):
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
            has_gzip=self._has_gzip,
            interpret=_outcome,
        )


def _unfit(event: Event, body: bytes) -> str | None:
    """Say why an event cannot go out: one such, and the server refuses all that are with it."""
    if len(body) > EVENT_BYTES:
        return f"encoded it is {len(body)} bytes, and RudderStack takes {EVENT_BYTES} at most"
    if not event.visitor_id.strip() and not (event.user_id or "").strip():
        return "it has neither a visitor nor a user, and RudderStack wants one of them"
    return None


def _outcome(response: Response) -> Outcome | None:
    said = response.body[:100].decode("utf-8", "replace").strip()
    match response.status:
        case 200 if said.startswith("<"):
            return Pause(reason="HTTP 200 with a web page: give the address of the data plane, not that of the app")
        case 400 if said in _SAYINGS:
            return Split(reason=f"HTTP 400: {said}")
        case 401:
            return Pause(reason="HTTP 401: it does not know the write key; copy it from the source's setup page")
        case 404 if said == "source is disabled":
            return Pause(reason="HTTP 404: the source is disabled; enable it in RudderStack")
        case _:
            return None
