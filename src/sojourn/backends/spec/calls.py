"""Batches of messages at `/v1/batch`, authenticated by a write key. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from sojourn.backends.http import HttpCall, Unsendable
from sojourn.backends.outcomes import Outcome, Response
from sojourn.backends.packing import CallLimits, Pack, Piece, packed_calls
from sojourn.backends.vendor_url import checked_address
from sojourn.core.events import Event

from .messages import is_untagging

PATH: Final = "/v1/batch"
_VERSION: Final = "/v1"
EVENT_BYTES: Final = 32 * 1024
"""The largest message that the hosted services take."""

_HEAD: Final = b'{"batch":['
_TAIL: Final = b"]}"
LIMITS: Final = CallLimits(bytes=450_000, events=100, frame=len(_HEAD) + len(_TAIL))
"""The limits of the receivers' own libraries, before compression: the hosted Segment takes 500 KB, RudderStack 4 MB."""


class BatchCalls:
    """Makes calls of messages. `vendor`: its name in reasons; `encoded`: one event as JSON."""

    def __init__(
        self,
        vendor: str,
        url: str,
        key: str,
        encoded: Callable[[Event], bytes],
        interpret: Callable[[Response], Outcome | None],
    ) -> None:
        self._vendor = vendor
        self._url = url
        self._encoded = encoded
        self._interpret = interpret
        self._headers = {
            "content-type": "application/json",
            "authorization": f"Basic {b64encode(f'{key}:'.encode()).decode()}",
        }

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall | Unsendable]:
        pieces: list[Piece] = []
        for event in batch:
            if is_untagging(event):
                continue
            body = self._encoded(event)
            if reason := self._reason_against(event, body):
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
            interpret=self._interpret,
        )

    def _reason_against(self, event: Event, body: bytes) -> str | None:
        """Return why an event cannot be sent, or `None`: it would be refused with its whole batch, or dropped unseen."""
        if len(body) > EVENT_BYTES:
            return f"encoded it is {len(body)} bytes, and {self._vendor} accepts at most {EVENT_BYTES}"
        if not event.visitor_id.strip() and not (event.user_id or "").strip():
            return f"it has neither a visitor nor a user, and {self._vendor} requires one of them"
        return None


def batch_url(address: str, scheme: str) -> str:
    """Return where batches go, of an address with or without that path."""
    return checked_address(address, scheme).removesuffix(PATH).removesuffix(_VERSION) + PATH
