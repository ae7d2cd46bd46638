"""PostHog: send events to `/batch/`, as its own libraries do: sessions by `$session_id`, people by `distinct_id`.

https://posthog.com/docs/api/capture
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final, Unpack

from sojourn.backends._json import to_json
from sojourn.backends.cloudevents import rfc3339
from sojourn.backends.http import Clock, HttpCall, Unsendable
from sojourn.backends.outcomes import Delivered, Outcome, Pause, Response
from sojourn.backends.packing import CallLimits, Pack, Piece, packed_calls
from sojourn.backends.receipts import json_object, not_a_receipt
from sojourn.backends.vendor import VendorBackend, VendorOptions
from sojourn.backends.vendor_url import checked_address, checked_key
from sojourn.core.events import Event
from sojourn.errors import SettingsError

from .events import Shape, encoded, named_at_start

PATH: Final = "/batch/"
ADDRESS: Final = "https://us.i.posthog.com"
# The limits of its own libraries; the endpoint accepts 20 MiB.
LIMITS: Final = CallLimits(bytes=5 * 1024 * 1024, events=1_000, frame=512)
MAX_EVENT_BYTES: Final = 900 * 1024

_PERSONAL: Final = "phx_"


class PostHogBackend(VendorBackend):
    """Sends to PostHog, hosted (`https://us.i.posthog.com`, `https://eu.i.posthog.com`) or your own.

    `key`: the project's key, which begins with `phc_`. `site`: the address of your site (`https://shop.example`), so that
    `$current_url` is a full URL; without it, it is the path.
    """

    scheme = "posthog"
    fake = "sojourn.backends.vendors.posthog.fake:FakePostHog"
    # Web analytics reads browser, place and referrer from each event.
    wants_context = True
    # A session lasts from its first event to its last, so a later end corrects its duration.
    takes_revised_ends = True
    own_options: ClassVar[Mapping[str, type]] = {"site": str}

    def __init__(self, address: str, key: str, *, site: str | None = None, **options: Unpack[VendorOptions]) -> None:
        url = checked_address(address, self.scheme).removesuffix(PATH.rstrip("/")) + PATH
        key = checked_key(key, self.scheme)
        if key.startswith(_PERSONAL):
            raise SettingsError(
                f"posthog: the key begins with {_PERSONAL}, so it is a personal API key; "
                "use the project API key from the project's settings (it begins with phc_)"
            )
        shape = Shape.of(None if site is None else checked_address(site, f"{self.scheme}: site"))
        super().__init__(_Encoder(url, key, shape, options.get("wall", time.time)), **options)


class _Encoder:
    def __init__(self, url: str, key: str, shape: Shape, wall: Clock) -> None:
        self._url = url
        self._key = to_json(key)
        self._shape = shape
        self._wall = wall

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall | Unsendable]:
        refused: list[Event] = []
        yield from packed_calls(self._pieces(batch, refused), LIMITS, self._call)
        if refused:
            yield Unsendable(
                refused, f"encoded it is larger than the {MAX_EVENT_BYTES} bytes that PostHog accepts for one event"
            )

    def _pieces(self, batch: Sequence[Event], refused: list[Event]) -> Iterator[Piece]:
        named = named_at_start(batch)
        for event in batch:
            body = encoded(event, self._shape, named)
            if len(body) > MAX_EVENT_BYTES:
                refused.append(event)
            else:
                yield Piece(body, (event,))

    def _call(self, pack: Pack) -> HttpCall:
        sent_at = rfc3339(int(self._wall() * 1000)).encode()
        head = b'{"api_key":%b,"historical_migration":false,"sent_at":"%b","batch":[' % (self._key, sent_at)
        return HttpCall(
            "POST",
            self._url,
            pack.events,
            body=pack.joined(head, b"]}"),
            headers={"content-type": "application/json"},
            interpret=_outcome,
        )


def _outcome(response: Response) -> Outcome | None:
    match response.status:
        case status if 200 <= status < 300:
            return _receipt(response)
        case 401:
            return Pause(reason="HTTP 401: the key is unknown; use the project API key, which begins with phc_")
        case _:
            return None


def _receipt(response: Response) -> Outcome:
    """Return what a success means. PostHog responds with 200 also if the quota is used up, and drops the events."""
    document = json_object(response.body) or {}
    limited = document.get("quota_limited")
    if isinstance(limited, list) and "events" in limited:
        return Pause(reason="HTTP 200: the quota of events is used up, and none was accepted; check the billing page")
    # 1 in its own servers of today, "Ok" in older ones and behind some of its proxies.
    if response.status == 200 and str(document.get("status")).lower() in ("1", "ok"):
        return Delivered()
    return not_a_receipt(response, 'PostHog responds with 200 and {"status": ...}')
