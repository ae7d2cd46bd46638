"""Exceptionless: a session is one `session` event that its server keeps mutating; all others refer to it by id.

The ids are ours ("manual mode"), every event is dated and has a `reference_id`, by which the server drops what comes
twice within a day. A `session` that was stored keeps the user it came with, so a later login is told by a call of its own.
https://exceptionless.com/docs/api/api-getting-started/
"""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final, Unpack

import msgspec

from sojourn.backends._json import to_json
from sojourn.backends.http import HttpCall, Unsendable
from sojourn.backends.outcomes import Delivered, Outcome, Pause, Response, RetryLater
from sojourn.backends.packing import CallLimits, Pack, Piece, packed_calls
from sojourn.backends.vendor import VendorBackend, VendorOptions
from sojourn.backends.vendor_url import checked_address, checked_key
from sojourn.core.events import Event

from .events import Namings, encoded, naming, reference

log = logging.getLogger("sojourn")

PATH: Final = "/api/v2/events"
ADDRESS: Final = "https://collector.exceptionless.io"
# What the server takes as sent; unpacked it may be ten times as much, and what is more it drops without a word.
LIMITS: Final = CallLimits(bytes=200_000, events=50)

_THROTTLED_S: Final = 60.0
# These say that the server has no such call, or did not like it; the event itself was taken before.
_NO_SUCH_CALL: Final = frozenset({400, 404, 405, 415, 422})


class ExceptionlessBackend(VendorBackend):
    """Sends to Exceptionless, hosted (`https://collector.exceptionless.io`) or your own.

    `key`: a client API key of the project. `rows`: whether a login in mid-session costs a call that shows the user on
    the session's row. `environment`: what `@environment` tells of the server; by default of the one that sends.
    """

    scheme = "exceptionless"
    fake = "sojourn.backends.vendors.exceptionless.fake:FakeExceptionless"
    heartbeats_by_default = True
    # What came after an end has begun a second row; the later end closes it.
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
    """What `@environment` tells: nothing by which one of several hosts is known, for any of them may send for the others."""
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
        self._has_told = False

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

        The call is made for what people write about an event; its `data` is laid over that of the event.
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
        if not self._has_told:
            self._has_told = True
            log.warning(
                "exceptionless responds HTTP %s to the call that shows users on session rows; rows=False saves it",
                response.status,
            )
        return Delivered()


def _outcome(response: Response) -> Outcome | None:
    match response.status:
        case 401 | 403:
            return Pause(reason=f"HTTP {response.status}: it does not know the key, or it is disabled; copy it again")
        case 402:
            return Pause(reason="HTTP 402: the plan's events of this month are used up; look at its billing page")
        case 404:
            return Pause(reason="HTTP 404: no Exceptionless at this address; give scheme and host only")
        case 429 if "retry-after" not in response.headers:
            # 3,500 calls a quarter of an hour, and the response does not say when the next one begins.
            return RetryLater(after=_THROTTLED_S)
        case _:
            return None
