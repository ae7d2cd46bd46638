"""Amplitude: send events to its HTTP V2 API, which knows sessions by the time of their start.

https://amplitude.com/docs/apis/analytics/http-v2
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Unpack

from sojourn.backends._json import to_json
from sojourn.backends.http import HttpCall, Unsendable
from sojourn.backends.outcomes import Delivered, Outcome, Pause, Response, RetryLater, Split, retry_after
from sojourn.backends.packing import CallLimits, Pack, Piece, packed_calls
from sojourn.backends.receipts import json_object, not_a_receipt
from sojourn.backends.vendor import VendorBackend, VendorOptions
from sojourn.backends.vendor_url import checked_address, checked_key
from sojourn.core.events import Event

from .events import encoded, has_identity, is_silent

PATH: Final = "/2/httpapi"
BATCH_PATH: Final = "/batch"

_TAIL: Final = b"]}"
LIMITS: Final = CallLimits(bytes=950_000, events=1_000, frame=512)
"""`PATH` takes less than 1 MB and 2,000 events."""
_THROTTLED_S: Final = 30.0
_AT_FAULT: Final = ("events_with_missing_fields", "events_with_invalid_fields", "events_with_invalid_id_lengths")

# Only texts and names that are known to contain nothing of an event are repeated.
_ERROR_TEXTS: Final = frozenset(
    {
        "Missing request body",
        "Invalid JSON request body",
        "Request missing required field",
        "Invalid event JSON",
        "Invalid field values on some events",
    }
)
_FIELDS: Final = frozenset(
    {
        *("event_type", "device_id", "user_id", "time", "session_id", "insert_id", "event_properties"),
        *("user_properties", "user_agent", "ip", "platform", "app_version", "library"),
    }
)


class AmplitudeBackend(VendorBackend):
    """Sends to a project in `https://api2.amplitude.com`, or in the EU: `https://api.eu.amplitude.com`.

    `key`: the API key of the project. An address that ends with `/batch` uses the Batch Event Upload API, which lets a user or
    a device send more. `site`: the address of your site (`https://shop.example`), so that pages have a URL.
    """

    scheme = "amplitude"
    fake = "sojourn.backends.vendors.amplitude.fake:FakeAmplitude"
    # Device and place are read from each event.
    wants_context = True
    # A session lasts from its first event to its last, so a later end corrects its duration.
    takes_revised_ends = True
    own_options: ClassVar[Mapping[str, type]] = {"site": str}

    def __init__(self, address: str, key: str, *, site: str | None = None, **options: Unpack[VendorOptions]) -> None:
        url = checked_address(address, self.scheme)
        encoder = _Encoder(
            url if url.endswith((PATH, BATCH_PATH)) else url + PATH,
            checked_key(key, self.scheme),
            site=None if site is None else checked_address(site, f"{self.scheme}: site"),
        )
        super().__init__(encoder, **options)

    def accepts(self, event: Event) -> bool:
        return not is_silent(event) and super().accepts(event)


class _Encoder:
    def __init__(self, url: str, key: str, *, site: str | None) -> None:
        self._url = url
        self._site = site
        # Ids may have any length: Amplitude's default would remove the user id of "anna".
        self._head = b'{"api_key":%b,"options":{"min_id_length":1},"events":[' % to_json(key)

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall | Unsendable]:
        pieces: list[Piece] = []
        for event in batch:
            if is_silent(event):
                continue
            if has_identity(event):
                pieces.append(Piece(encoded(event, self._site), (event,)))
            else:
                yield Unsendable((event,), "it has neither a visitor nor a user, and Amplitude requires one of them")
        yield from packed_calls(pieces, LIMITS, self._call)

    def _call(self, pack: Pack) -> HttpCall:
        return HttpCall(
            "POST",
            self._url,
            pack.events,
            body=pack.joined(self._head, _TAIL),
            headers={"content-type": "application/json"},
            interpret=_outcome,
        )


def _outcome(response: Response) -> Outcome | None:
    document = json_object(response.body) or {}
    match response.status:
        case 200 if document.get("code") == 200:
            return Delivered()
        case status if 200 <= status < 300:
            return not_a_receipt(response, 'Amplitude responds with 200 and {"code": 200, ...}')
        case 400:
            return _refused(document)
        case 403:
            # Its firewall reads bodies, too: a path that a scanner asked for would else hold up all events behind it.
            return Split(reason="HTTP 403: Amplitude's firewall refuses the event, or calls from this region")
        case 429:
            return _throttled(response, document)
        case _:
            return None


def _refused(document: Mapping[str, Any]) -> Outcome:
    error = str(document.get("error", ""))
    if error.startswith("Invalid API key") or document.get("missing_field") == "api_key":
        return Pause(
            reason="HTTP 400: the API key is unknown; copy it from the project's settings, and check the region"
        )
    if error == "Invalid request path":
        return Pause(reason="HTTP 400: nothing takes events at this address; check the URL")
    if document.get("silenced_events"):
        return Split(reason="HTTP 400: Amplitude has silenced this device, and drops what it sends")
    reason = error if error in _ERROR_TEXTS else "the event is invalid"
    fields = ", ".join(sorted({field for name in _AT_FAULT for field in _names(document.get(name))} & _FIELDS))
    return Split(reason=f"HTTP 400: {reason} ({fields})" if fields else f"HTTP 400: {reason}")


def _throttled(response: Response, document: Mapping[str, Any]) -> Outcome:
    """Return when to send again. Nothing of the call was accepted."""
    if any(document.get(f"exceeded_daily_quota_{kind}") for kind in ("users", "devices")):
        # It may take a day: meanwhile all others would wait.
        return Split(reason="HTTP 429: this user or device has sent more events than Amplitude takes in a day")
    after = retry_after(response.headers.get("retry-after"), now=0.0)
    return RetryLater(after=after or _THROTTLED_S)


def _names(value: object) -> Iterator[str]:
    return iter(value) if isinstance(value, dict) else iter(())
