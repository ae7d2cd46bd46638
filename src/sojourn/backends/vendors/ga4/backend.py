"""Google Analytics 4: send events by the Measurement Protocol, which never says what became of them.

https://developers.google.com/analytics/devguides/collection/protocol/ga4
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, Final, Self, Unpack
from urllib.parse import urlencode

from sojourn.backends._json import to_json
from sojourn.backends.calls import Unsendable
from sojourn.backends.http import DEADLINE_S, HttpCall, HttpLayer
from sojourn.backends.outcomes import Delivered, Outcome, Response
from sojourn.backends.packing import CallLimits, Pack, Piece, packed_calls
from sojourn.backends.receipts import is_empty, json_object, not_a_receipt
from sojourn.backends.vendor import VendorBackend, VendorOptions
from sojourn.backends.vendor_url import VendorURL, checked_address, checked_key
from sojourn.core.events import Event

from .events import Client, client_of, encoded, is_silent

PATH: Final = "/mp/collect"
VALIDATION_PATH: Final = "/debug/mp/collect"
CALL_BYTES: Final = 130_000
CALL_EVENTS: Final = 25

_TAIL: Final = b"]}"
_CONSENTS: Final = ("ad_user_data", "ad_personalization")
_LONGEST_MESSAGE: Final = 200


class GA4Backend(VendorBackend):
    """Sends to a web data stream, by `https://www.google-analytics.com`, or in the EU: `https://region1.google-analytics.com`.

    `key`: the measurement id (`G-...`) of the stream. `secret`: an API secret of its Measurement Protocol. `site`: the address
    of your site (`https://shop.example`), so that pages have a URL. `ads`: whether Google may use the data for advertising.
    """

    scheme = "ga4"
    key_name = "measurement id"
    url_form = "{scheme}+https://<measurement id>:<secret>@<host>"
    fake = "sojourn.backends.vendors.ga4.fake:FakeGA4"
    compresses_by_default = False  # the documentation does not say that it accepts compressed bodies
    wants_context = True
    wants_elapsed = True
    # Their time is part of the engagement.
    heartbeats_by_default = True
    # A session lasts from its first event to its last, so a later end corrects its duration.
    takes_revised_ends = True
    # Google gives older events a false date: 72 hours ago.
    oldest_accepted = timedelta(hours=72)
    unseen_by_check = (
        "Google responds with success to any measurement id and secret; "
        "look for the test session under Realtime in Google Analytics"
    )
    own_options: ClassVar[Mapping[str, type]] = {"site": str, "ads": bool}

    def __init__(
        self,
        address: str,
        key: str,
        secret: str,
        *,
        site: str | None = None,
        ads: bool = False,
        **options: Unpack[VendorOptions],
    ) -> None:
        host = checked_address(address, self.scheme).removesuffix(PATH)
        keys = urlencode(
            {
                "measurement_id": checked_key(key, self.scheme, self.key_name),
                "api_secret": checked_key(secret, self.scheme, "secret"),
            }
        )
        site = None if site is None else checked_address(site, f"{self.scheme}: site")
        super().__init__(_Encoder(f"{host}{PATH}?{keys}", site, has_ads=ads), **options)
        validating = _Validating(f"{host}{VALIDATION_PATH}?{keys}", site, has_ads=ads)
        self._validating: Final = validating
        self._validation: Final = HttpLayer(
            validating,
            name=self.name,
            timeout=options.get("timeout", DEADLINE_S),
            gzip=False,
            transport=options.get("transport"),
            monotonic=options.get("monotonic", time.monotonic),
            wall=options.get("wall", time.time),
        )

    @classmethod
    def build(cls, url: VendorURL, **options: Unpack[VendorOptions]) -> Self:
        """Build the backend from a URL with measurement id and secret before the host."""
        return cls(url.address, url.key or "", url.secret or "", **url.own, **options)

    def accepts(self, event: Event) -> bool:
        return not is_silent(event) and super().accepts(event)

    def problems_of(self, batch: Sequence[Event]) -> list[str]:
        """Return what Google's validation server finds wrong with events, which it does not keep. For `sojourn check`."""
        self._validating.messages.clear()
        receipt = self._validation.send(batch)
        if receipt.delivered < len(batch):
            reason = receipt.pause or receipt.problem or "it did not take all events"
            return [f"the validation server cannot be asked: {reason}"]
        return list(self._validating.messages)

    def close(self) -> None:
        """Close the connections."""
        super().close()
        self._validation.close()


class _Encoder:
    def __init__(self, url: str, site: str | None, *, has_ads: bool) -> None:
        self._url = url
        self._site = site
        self._more: dict[str, Any] = {"consent": dict.fromkeys(_CONSENTS, "GRANTED" if has_ads else "DENIED")}

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall | Unsendable]:
        for client, events in _grouped(batch):
            head = to_json(client)[:-1] + b"," + to_json(self._more)[1:-1] + b',"events":['
            limits = CallLimits(bytes=CALL_BYTES - 1, events=CALL_EVENTS, frame=len(head) + len(_TAIL))
            pieces = (Piece(encoded(event, self._site), (event,)) for event in events)
            yield from packed_calls(pieces, limits, partial(self._call, head))

    def _call(self, head: bytes, pack: Pack) -> HttpCall:
        return HttpCall(
            "POST",
            self._url,
            pack.events,
            body=pack.joined(head, _TAIL),
            headers={"content-type": "application/json"},
            interpret=self._outcome,
        )

    def _outcome(self, response: Response) -> Outcome | None:
        if not 200 <= response.status < 300:
            return None
        if response.status in (200, 204) and is_empty(response.body):
            return Delivered()
        return not_a_receipt(response, "Google Analytics responds with 204 and an empty body")


class _Validating(_Encoder):
    """The same calls for the validation server, whose findings are in `messages`."""

    def __init__(self, url: str, site: str | None, *, has_ads: bool) -> None:
        super().__init__(url, site, has_ads=has_ads)
        self._more["validation_behavior"] = "ENFORCE_RECOMMENDATIONS"
        self.messages: dict[str, None] = {}

    def _outcome(self, response: Response) -> Outcome | None:
        if not 200 <= response.status < 300:
            return None
        found = (json_object(response.body) or {}).get("validationMessages")
        if not isinstance(found, list):
            return not_a_receipt(response, 'the validation server responds with {"validationMessages": [...]}')
        for message in found:
            self.messages[_in_words(message)] = None
        return Delivered()


def _grouped(batch: Sequence[Event]) -> Iterator[tuple[Client, list[Event]]]:
    """Group events by what a call says once. When that changes for a client, another group begins, so that order is kept."""
    groups: list[tuple[Client, list[Event]]] = []
    current: dict[str, tuple[Client, list[Event]]] = {}
    for event in batch:
        if is_silent(event):
            continue
        client = client_of(event)
        group = current.get(client.client_id)
        if group is None or group[0] != client:
            group = current[client.client_id] = (client, [])
            groups.append(group)
        group[1].append(event)
    yield from groups


def _in_words(message: object) -> str:
    fields = message if isinstance(message, dict) else {}
    code, description = (str(fields.get(name, "")) for name in ("validationCode", "description"))
    text = f"{code}: {description}"[:_LONGEST_MESSAGE]
    return text if text.isprintable() else code[:_LONGEST_MESSAGE]
