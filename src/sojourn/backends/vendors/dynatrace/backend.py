"""Dynatrace: send events as business events (bizevents), in batches of CloudEvents.

https://docs.dynatrace.com/docs/shortlink/ba-api-ingest
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Final, Unpack

import msgspec

from sojourn.backends._json import to_json
from sojourn.backends.cloudevents import rfc3339, source_of
from sojourn.backends.contexts import with_client
from sojourn.backends.http import HttpCall, Unsendable
from sojourn.backends.outcomes import Delivered, Outcome, Pause, Response
from sojourn.backends.packing import CallLimits, Pack, Piece, packed_calls
from sojourn.backends.protocol import Rejection
from sojourn.backends.receipts import is_empty, not_a_receipt
from sojourn.backends.vendor import VendorBackend, VendorOptions
from sojourn.backends.vendor_url import checked_address, checked_key
from sojourn.core.events import Event, Scalar

PATH: Final = "/api/v2/bizevents/ingest"
_PLATFORM_PATH: Final = "/platform/classic/environment-api/v2/bizevents/ingest"
_PLATFORM_HOST: Final = ".apps.dynatrace.com"
# 400 events, as in Dynatrace's own tools; 5 MB is the documented limit of the endpoint.
LIMITS: Final = CallLimits(bytes=5_000_000, events=400)

_RESPONSE_LIMIT: Final = 1024 * 1024  # a 400 lists every event that was refused
_INDEX: Final = re.compile(r'"index"\s*:\s*(\d+)')
_API_TOKEN: Final = "dt0c01."  # noqa: S105 - how such tokens begin

Token = str | Callable[[], str]


class DynatraceBackend(VendorBackend):
    """Sends to an environment, an ActiveGate, or the platform.

    `address`: `https://<id>.live.dynatrace.com`, `https://host:9999/e/<id>`, or `https://<id>.apps.dynatrace.com`, which
    requires OAuth. `token`: an API token with the scope `bizevents.ingest`, a platform token, or a function that returns an
    OAuth token (it runs for every call, so cache the token while it is valid).
    """

    scheme = "dynatrace"
    key_name = "token"
    url_form = "{scheme}+https://<token>@<host>"
    fake = "sojourn.backends.vendors.dynatrace.fake:FakeDynatrace"
    wants_context = True
    heartbeats_by_default = True
    takes_revised_ends = True
    # https://docs.dynatrace.com/docs/shortlink/openpipeline-limits: older ones are dropped, after the same 202.
    oldest_accepted = timedelta(hours=24)
    moves_old_ends = True
    compresses_by_default = False  # the endpoint's documentation does not say that it accepts compressed bodies

    def __init__(self, address: str, token: Token, **options: Unpack[VendorOptions]) -> None:
        url = _url(checked_address(address, self.scheme))
        if not callable(token):
            token = checked_key(token, self.scheme, "token")
        super().__init__(_Encoder(url, token), **options)


def _url(address: str) -> str:
    if address.endswith("/v2/bizevents/ingest"):
        return address
    return address + (_PLATFORM_PATH if address.endswith(_PLATFORM_HOST) else PATH)


class _CloudEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    specversion: str = "1.0"
    id: str
    source: str
    type: str
    time: str
    data: dict[str, Scalar]


class _Encoder:
    def __init__(self, url: str, token: Token) -> None:
        self._url = url
        self._token = token

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall | Unsendable]:
        return packed_calls((Piece(_encoded(event), (event,)) for event in batch), LIMITS, self._call)

    def _call(self, pack: Pack) -> HttpCall:
        return HttpCall(
            "POST",
            self._url,
            pack.events,
            body=pack.joined(),
            headers={"content-type": "application/cloudevent-batch+json", "authorization": self._authorization()},
            interpret=partial(_outcome, pack.events),
            response_limit=_RESPONSE_LIMIT,
        )

    def _authorization(self) -> str:
        token = checked_key(self._token(), "dynatrace", "token") if callable(self._token) else self._token
        return f"Api-Token {token}" if token.startswith(_API_TOKEN) else f"Bearer {token}"


def _encoded(event: Event) -> bytes:
    return to_json(
        _CloudEvent(
            id=event.id,
            source=source_of(event),
            type=event.name,
            time=rfc3339(event.time),
            data=dict(with_client(event)),
        )
    )


def _outcome(events: Sequence[Event], response: Response) -> Outcome | None:
    match response.status:
        case 202 if is_empty(response.body):
            return Delivered()
        case status if 200 <= status < 300:
            return not_a_receipt(response, "Dynatrace responds with 202")
        case 400:
            return _partly_accepted(events, response.body)
        case 401:
            return Pause(reason="HTTP 401: the token is unknown or has expired; create a new one")
        case 403:
            return Pause(reason="HTTP 403: the token lacks the scope bizevents.ingest (OAuth: storage:events:write)")
        case _:
            return None


def _partly_accepted(events: Sequence[Event], body: bytes) -> Outcome | None:
    """Return which events a 400 refused; all others were accepted. `None`: it refused the call as a whole."""
    text = body.decode("utf-8", "replace")
    try:
        document = json.loads(text)
        errors = document.get("errors") if isinstance(document, dict) else None
        if not isinstance(errors, list) or not errors:
            return None
        reasons = _reasons(events, errors)
    except ValueError:
        # The body was cut short, but the part that was read still names refused events, so the others were accepted.
        indices = [int(digits) for digits in _INDEX.findall(text)]
        reasons = {events[index].id: "" for index in indices if index < len(events)}
        if not reasons:
            return None
    return Delivered(
        rejected=tuple(
            Rejection(event_id=event_id, reason=f"HTTP 400: the event is invalid{reason}", status=400)
            for event_id, reason in reasons.items()
        )
    )


def _reasons(events: Sequence[Event], errors: list[object]) -> dict[str, str]:
    event_ids = {event.id for event in events}
    reasons: dict[str, str] = {}
    for error in errors:
        if not isinstance(error, dict):
            continue
        event_id, index = error.get("id"), error.get("index")
        if event_id not in event_ids and isinstance(index, int) and 0 <= index < len(events):
            event_id = events[index].id
        if event_id in event_ids:
            message = str(error.get("message") or "")[:200]
            reasons[str(event_id)] = f": {message}" if message.isprintable() and message else ""
    return reasons
