"""What the response to an HTTP call means for its events: one table of statuses for all receivers. Pure.

A vendor whose responses say more than their status (which events of a batch were accepted) gives its calls an `interpret`
function that returns one of these outcomes instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from .protocol import Rejection

MAX_RETRY_AFTER_S: Final = 3600.0

_SECONDS: Final = re.compile(r"[0-9]+(\.[0-9]+)?")

_RETRIED: Final = frozenset({408, 425, 429})
_BISECTED: Final = frozenset({400, 422})

# These concern the address, the key or the account, not an event: rejecting events for them would lose good ones.
_PAUSED: Final[Mapping[int, str]] = {
    401: "the credentials are unknown; check the key or secret",
    402: "the account's plan or quota is used up; check its billing page",
    403: "the credentials do not allow this; check the key's permissions",
    404: "nothing accepts events at this address; check the URL",
    405: "the address does not accept this method; check the URL",
    407: "the proxy requires credentials; check HTTP_PROXY and HTTPS_PROXY",
    410: "the address is gone for good; ask its owner for the new one",
    415: "this kind of body is not accepted; check that the URL is an endpoint for these events",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An HTTP response. Header names are in lower case; the body is cut at the call's `response_limit`."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The call is done: its events are delivered, except those listed in `rejected`."""

    rejected: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryLater:
    """No event was accepted; the same call may succeed later, in `after` seconds if the receiver says so."""

    after: float | None = None
    reason: str = ""
    """What `sojourn status` shows, where the status alone says too little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """No event was accepted, and none will be until the operator acts: a wrong key, a wrong address."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """No event was accepted. Smaller calls may be, so the call is halved until the events at fault stand alone."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """The receiver will never accept these events: they become dead letters."""

    reason: str


Outcome = Delivered | RetryLater | Pause | Split | Reject


def outcome_of_status(response: Response, *, now: float) -> Outcome:
    """Return what a status means. `now`: seconds since the epoch, for a `Retry-After` that is a date."""
    status = response.status
    if 200 <= status < 300:
        return Delivered()
    if status in _RETRIED or status >= 500:
        return RetryLater(after=retry_after(response.headers.get("retry-after"), now=now))
    if 300 <= status < 400:
        # Not followed: the credentials would go wherever the response points.
        return Pause(reason=f"HTTP {status}: the address redirects; set the URL to the final address")
    if hint := _PAUSED.get(status):
        return Pause(reason=f"HTTP {status}: {hint}")
    if status == 413:
        return Split(reason="HTTP 413: the event is larger than the receiver accepts")
    if status in _BISECTED:
        return Split(reason=f"HTTP {status}: the receiver considers the event invalid")
    return Reject(reason=f"HTTP {status}: the receiver refuses the event")


def retry_after(value: str | None, *, now: float) -> float | None:
    """Return the seconds of a `Retry-After` header, at most an hour; `None` if it is absent, malformed, zero or past.

    Without a positive value the caller's own backoff applies, so no loop runs hot.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return min(seconds, MAX_RETRY_AFTER_S) if seconds > 0 else None
