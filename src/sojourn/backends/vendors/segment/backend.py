"""Segment: send the events of its specification to its HTTP tracking API, in batches.

https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Unpack

from sojourn.backends.outcomes import Delivered, Outcome, Pause, Response, Split
from sojourn.backends.receipts import json_object, not_a_receipt
from sojourn.backends.spec.calls import BatchCalls, batch_url
from sojourn.backends.spec.messages import is_untagging
from sojourn.backends.vendor import VendorBackend, VendorOptions
from sojourn.backends.vendor_url import checked_address, checked_key
from sojourn.core.events import Event

from .events import encoded

_KEY_LENGTH: Final = 32
"""Of today's write keys. A shorter one is refused with 400, as malformed JSON is."""


class SegmentBackend(VendorBackend):
    """Sends to the tracking API.

    `address`: `https://api.segment.io`, or `https://events.eu1.segmentapis.com` for a workspace in the EU. `key`: the write key
    of a source. `site`: the address of your site (`https://shop.example`), so that pages have a `url`, which destinations read.
    """

    scheme = "segment"
    fake = "sojourn.backends.vendors.segment.fake:FakeSegment"
    # Destinations read browser and place from each event.
    wants_context = True
    own_options: ClassVar[Mapping[str, type]] = {"site": str}
    unseen_by_check = (
        "Segment accepts an unknown write key, and an address in the wrong region, too; "
        "look for the session in the source's Debugger"
    )

    def __init__(self, address: str, key: str, *, site: str | None = None, **options: Unpack[VendorOptions]) -> None:
        base = None if site is None else checked_address(site, f"{self.scheme}: site")
        self._key_length = len(checked_key(key, self.scheme))
        encoder = BatchCalls(
            "Segment",
            batch_url(address, self.scheme),
            checked_key(key, self.scheme),
            lambda event: encoded(event, base),
            self._outcome,
        )
        super().__init__(encoder, **options)

    def accepts(self, event: Event) -> bool:
        return not is_untagging(event) and super().accepts(event)

    def _outcome(self, response: Response) -> Outcome | None:
        match response.status:
            case 200 if (json_object(response.body) or {}).get("success") is True:
                return Delivered()
            case status if 200 <= status < 300:
                return not_a_receipt(response, 'Segment responds with 200 and {"success": true}')
            case 400 if self._key_length < _KEY_LENGTH:
                # The key is at fault, not an event: no event may become a dead letter for it.
                return Pause(
                    reason=f"HTTP 400, and the write key has fewer than {_KEY_LENGTH} characters; "
                    "copy it from the source's settings"
                )
            case 400:
                return Split(reason="HTTP 400: Segment considers the event malformed or too large")
            case _:
                return None
