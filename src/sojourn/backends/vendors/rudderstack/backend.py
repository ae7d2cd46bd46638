"""RudderStack: send the events of its specification to a data plane, in batches.

https://www.rudderstack.com/docs/api/http-api/
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar, Final, Unpack

from sojourn.backends.cloudevents import rfc3339
from sojourn.backends.outcomes import Delivered, Outcome, Pause, Response, Split
from sojourn.backends.receipts import not_a_receipt
from sojourn.backends.spec.calls import BatchCalls, batch_url
from sojourn.backends.spec.messages import is_untagging
from sojourn.backends.vendor import VendorBackend, VendorOptions
from sojourn.backends.vendor_url import checked_address, checked_key
from sojourn.core.events import Event

from .events import encoded

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
        base = None if site is None else checked_address(site, f"{self.scheme}: site")
        wall = options.get("wall", time.time)
        encoder = BatchCalls(
            "RudderStack",
            batch_url(address, self.scheme),
            checked_key(key, self.scheme),
            lambda event: encoded(event, rfc3339(int(wall() * 1000)), base),
            _outcome,
        )
        super().__init__(encoder, **options)

    def accepts(self, event: Event) -> bool:
        return not is_untagging(event) and super().accepts(event)


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
