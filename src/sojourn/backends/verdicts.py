"""What the answer to an HTTP call means for the events it carried: one table for all vendors. Pure.

A vendor that says more than its status does (some events taken, some not) gives its calls a `judge` that returns one
of these verdicts instead.
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

# These speak of the address, the key or the account and of no event: rejecting events for them would bury good ones.
_PAUSED: Final[Mapping[int, str]] = {
    401: "it does not know the credentials; check the key or secret",
    402: "the account's plan or quota is used up; look at its billing page",
    403: "the credentials do not allow this; check the key's permissions",
    404: "nothing takes events at this address; check the URL",
    405: "it does not take this method at this address; check the URL",
    407: "the proxy wants credentials; check HTTP_PROXY and HTTPS_PROXY",
    410: "this address is gone for good; ask its owner for the new one",
    415: "it does not take this kind of body; check that the URL is of an endpoint that takes these events",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: header names are in lower case, and the body is cut at the layer's limit."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """All events of the call are settled: taken, but for those named here."""

    rejected: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TryLater:
    """None was taken; the same call may succeed later."""

    after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """None was taken, and none will be until somebody acts."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Divide:
    """None was taken, and smaller calls may be: halve it, down to the events at fault."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """None will ever be taken."""

    reason: str


Verdict = Taken | TryLater | Halt | Divide | Refused


def judge_status(answer: Answer, *, now: float) -> Verdict:
    """Return what a status means; `now` is in seconds since the epoch, for a `Retry-After` that is a date."""
    status = answer.status
    if 200 <= status < 300:
        return Taken()
    if status in _RETRIED or status >= 500:
        return TryLater(after=retry_after(answer.headers.get("retry-after"), now=now))
    if 300 <= status < 400:
        # Not followed: the credentials would go wherever the answer points.
        return Halt(reason=f"HTTP {status}: it redirects elsewhere; set the URL to the final address")
    if hint := _PAUSED.get(status):
        return Halt(reason=f"HTTP {status}: {hint}")
    if status == 413:
        return Divide(reason="HTTP 413: the event is larger than the receiver takes")
    if status in _BISECTED:
        return Divide(reason=f"HTTP {status}: the receiver finds the event invalid")
    return Refused(reason=f"HTTP {status}: the receiver refuses it")


def retry_after(value: str | None, *, now: float) -> float | None:
    """Return the seconds that `Retry-After` asks for, at most an hour; `None` when it asks for none or makes no sense.

    Zero and the past are none as well, so that the caller's own backoff is the floor and no loop runs hot.
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
