"""Exceptionless: a session is one `session` event that the server keeps updating; other events refer to it by id.

The ids are Sojourn's ("manual mode"). Every event has a date and a `reference_id`, by which the server drops duplicates of the
same day. A stored `session` keeps the user it came with, so a later login takes a call of its own.
https://exceptionless.com/docs/api/api-getting-started/
"""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar, Final, Unpack

import msgspec

from sojourn.backends._json import to_json
from sojourn.backends.http import HttpCall, Unsendable
from sojourn.backends.outcomes import Delivered, Outcome, Pause, Response, RetryLater
from sojourn.backends.packing import CallLimits, Pack, Piece, packed_calls
from sojourn.backends.receipts import is_empty, not_a_receipt
from sojourn.backends.vendor import VendorBackend, VendorOptions
from sojourn.backends.vendor_url import checked_address, checked_key
from sojourn.core.events import Event

from .events import Namings, encoded, naming, reference

log = logging.getLogger("sojourn")

PATH: Final = "/api/v2/events"
ADDRESS: Final = "https://collector.exceptionless.io"
# The server accepts this much as sent, and ten times as much decompressed; it drops anything larger without an error.
LIMITS: Final = CallLimits(bytes=200_000, events=50)

_THROTTLED_S: Final = 60.0
# The server lacks this call or refuses it. The event itself was accepted before.
_NO_SUCH_CALL: Final = frozenset({400, 404, 405, 415, 422})


class ExceptionlessBackend(VendorBackend):
    """Sends to Exceptionless, hosted (`https://collector.exceptionless.io`) or your own.

    `key`: a client API key of the project. `rows`: whether to make one more call for a login in mid-session, so that the
    session's row shows the user. `environment`: the contents of `@environment`; by default, this machine's.
    """

    scheme = "exceptionless"
    fake = "sojourn.backends.vendors.exceptionless.fake:FakeExceptionless"
    wants_context = True
    heartbeats_by_default = True
    # The server drops older ones after its 202. It closes a session without an end by itself, at its last activity.
    oldest_accepted = timedelta(days=3)
    # Events after an end begin a second row; the later end closes it.
    takes_revised_ends = True
    own_options: ClassVar[Mapping[str, type]] = {"rows": bool}

    def __init__(
        self,
        address: str,
        key: str,
        *,
        rows: bool = True,
        environment: Mapping[str, str | int] | None = None,
        **options: Unpack[VendorOptions],
    ) -> None:
        url = checked_address(address, self.scheme)
        key = checked_key(key, self.scheme)
        server = machine() if environment is None else dict(environment)
        super().__init__(_Encoder(url.removesuffix(PATH) + PATH, key, server, has_rows=rows), **options)


def machine() -> dict[str, str | int]:
    """Return `@environment`, without a host name: any host of a fleet may send for the others."""
    return {
        "architecture": platform.machine(),
        "o_s_name": platform.system(),
        "o_s_version": platform.release(),
        "processor_count": os.cpu_count() or 1,
        "runtime_version": platform.python_version(),
    }


class _Description(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    description: str
    data: dict[str, object]


class _Encoder:
    def __init__(self, url: str, key: str, server: Mapping[str, str | int], *, has_rows: bool) -> None:
        self._url = url
        self._server = server
        self._headers = {
            "authorization": f"Bearer {key}",
            "accept": "application/json",
            "content-type": "application/json",
        }
        self._has_rows = has_rows
        self._has_warned = False

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall | Unsendable]:
        namings = Namings.of(batch)
        pieces = (Piece(encoded(event, self._server, namings), (event,)) for event in batch)
        yield from packed_calls(pieces, LIMITS, self._call)
        if self._has_rows:
            for event in namings.later:
                yield self._row(event)

    def _call(self, pack: Pack) -> HttpCall:
        return HttpCall("POST", self._url, pack.events, body=pack.joined(), headers=self._headers, interpret=_outcome)

    def _row(self, event: Event) -> HttpCall:
        """Put the user on the row of a session that began without one.

        The API has this call for descriptions that users write; its `data` overrides that of the event.
        """
        description = _Description(description="signed in", data={"@user": naming(event)})
        return HttpCall(
            "POST",
            f"{self._url}/by-ref/{reference(event.session_key)}/user-description",
            (event,),
            body=to_json(description),
            headers=self._headers,
            interpret=self._outcome_of_row,
        )

    def _outcome_of_row(self, response: Response) -> Outcome | None:
        if response.status not in _NO_SUCH_CALL:
            return _outcome(response)
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "exceptionless: HTTP %s for the call that shows users on session rows; rows=False turns it off",
                response.status,
            )
        return Delivered()


def _outcome(response: Response) -> Outcome | None:
    match response.status:
        case 202 if is_empty(response.body):
            return Delivered()
        case status if 200 <= status < 300:
            return not_a_receipt(response, "Exceptionless responds with 202 and an empty body")
        case 401 | 403:
            return Pause(reason=f"HTTP {response.status}: the key is unknown or disabled; copy it again")
        case 402:
            return Pause(reason="HTTP 402: this month's quota of events is used up; check the billing page")
        case 404:
            return Pause(reason="HTTP 404: there is no Exceptionless at this address; write scheme and host only")
        case 429 if "retry-after" not in response.headers:
            # The limit is 3,500 calls per 15 minutes; the response does not say when the next period begins.
            return RetryLater(after=_THROTTLED_S)
        case _:
            return None
