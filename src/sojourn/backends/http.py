"""The HTTP layer of all backends: it sends the calls that an encoder makes of a batch, and turns responses into a receipt.

Calls go out in order. A call that is too large or contains an invalid event is halved until the events at fault stand alone.
The first call that has to be retried ends the send; events that were accepted behind it are sent again later, and receivers
recognise them by their ids.
"""

from __future__ import annotations

import gzip
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

import httpx

from sojourn.core.events import Event
from sojourn.errors import SettingsError

from ._exchange import Exchange, OutOfTimeError, in_words, origin
from ._json import to_json
from .calls import Encoder, HttpCall, LastCall, Unsendable
from .outcomes import Delivered, Outcome, Pause, Reject, RetryLater, Split, outcome_of_status
from .protocol import Receipt, Rejection

__all__ = ["DEADLINE_S", "GZIP_FROM", "Clock", "Encoder", "HttpCall", "HttpLayer", "LastCall", "Unsendable"]

log = logging.getLogger("sojourn")

DEADLINE_S: Final = 15.0
GZIP_FROM: Final = 1024  # bytes; smaller bodies grow, or fit one packet anyway

# Of 540 bytes an event, 500 events: level 1 leaves 11.0% at 2.1 us an event, 4 9.9% at 2.2, 6 9.7% at 2.7, 9 9.4% at 7.9.
_GZIP_LEVEL: Final = 4
_NO_LIMIT: Final = 1 << 16

Clock = Callable[[], float]


class HttpLayer:
    """Sends the calls of an encoder. Used by one thread; a whole send takes at most `timeout` seconds, however many calls."""

    def __init__(
        self,
        encoder: Encoder,
        *,
        name: str,
        timeout: float = DEADLINE_S,
        transport: httpx.BaseTransport | None = None,
        monotonic: Clock = time.monotonic,
        wall: Clock = time.time,
    ) -> None:
        if not 0 < timeout <= DEADLINE_S:
            raise SettingsError(f"timeout must be more than 0 and at most {DEADLINE_S:g} seconds, got {timeout!r}")
        self._encoder = encoder
        self._name = name
        self._timeout = timeout
        self._monotonic = monotonic
        self._wall = wall
        self._exchange = Exchange(transport, monotonic)
        self._limit = _NO_LIMIT
        self._problem = ""
        self.last_call: LastCall | None = None

    def send(self, batch: Sequence[Event]) -> Receipt:
        """Send a batch and return what became of it."""
        sending = _Sending(began_at=self._monotonic())
        size = min(self._limit, len(batch) or 1)
        self._send_slices([batch[start : start + size] for start in range(0, len(batch), size)], sending)
        receipt = sending.receipt(batch)
        self._limit = _next_limit(self._limit, sending, has_progress=bool(receipt.delivered or receipt.rejected))
        self._log(sending.problem)
        return receipt

    def close(self) -> None:
        """Close the connection."""
        self._exchange.close()

    def _send_slices(self, slices: Iterable[Sequence[Event]], sending: _Sending) -> None:
        for events in slices:
            if sending.has_stopped:
                sending.leave(events)
                continue
            for call in self._encoder.encode(events):
                if isinstance(call, Unsendable):
                    sending.reject(call.events, call.reason, None)
                else:
                    self._send_call(call, sending)

    def _send_call(self, call: HttpCall, sending: _Sending) -> None:
        if not sending.has_stopped and self._is_late(sending):
            # The time left might cut the call short. The receiver responds, so the rest is sent at once, by the next send.
            sending.stop("out of time", is_late=True, retry_after=0.0)
        if sending.has_stopped:
            sending.leave(call.events)
            return
        sending.calls += 1
        status, outcome = self._run(call, sending)
        match outcome:
            case Delivered(rejected=rejected):
                sending.rejected.update({rejection.event_id: rejection for rejection in rejected})
                sending.largest_accepted = max(sending.largest_accepted, len(call.events))
            case Split(reason=reason) if len(call.events) > 1:
                half = len(call.events) // 2
                sending.divided(half, is_too_large=status == 413)
                self._send_slices([call.events[:half], call.events[half:]], sending)
            case Split(reason=reason) | Reject(reason=reason):
                sending.reject(call.events, reason, status)
            case RetryLater(after=after):
                sending.stop(f"HTTP {status}" if status else "no response", retry_after=after)
                sending.leave(call.events)
            case Pause(reason=reason):
                sending.stop(reason, pause=f"{self._name} ({origin(call.url)}): {reason}")
                sending.leave(call.events)
            case _:
                assert_never(outcome)

    def _run(self, call: HttpCall, sending: _Sending) -> tuple[int | None, Outcome]:
        headers, body = _on_the_wire(call)
        try:
            deadline = sending.began_at + self._timeout
            response = self._exchange.run(
                call.method, call.url, headers, body, deadline=deadline, limit=call.response_limit
            )
        except OutOfTimeError:
            self._note_call(call, problem="it does not respond in time")
            sending.divided(max(1, len(call.events) // 2), is_too_large=False)
            sending.is_late = True
            return None, RetryLater()
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol) as error:
            # Nothing can be sent: the URL or a header is not valid in HTTP.
            self._note_call(call, problem=type(error).__name__)
            return None, Pause(
                reason=f"the call cannot be made ({type(error).__name__}); check the URL and the headers"
            )
        except httpx.TransportError as error:
            log.debug("backend %s: %s", self._name, type(error).__name__)
            self._note_call(call, problem=in_words(error))
            return None, RetryLater()
        self._note_call(call, status=response.status, date=response.headers.get("date"))
        outcome = call.interpret(response) if call.interpret else None
        return response.status, outcome or outcome_of_status(response, now=self._wall())

    def _note_call(
        self, call: HttpCall, *, status: int | None = None, date: str | None = None, problem: str = ""
    ) -> None:
        self.last_call = LastCall(origin=origin(call.url), at=self._wall(), status=status, date=date, problem=problem)

    def _is_late(self, sending: _Sending) -> bool:
        return sending.calls > 0 and self._monotonic() - sending.began_at >= self._timeout / 2

    def _log(self, problem: str) -> None:
        """Log a problem once when it begins, and once when it ends."""
        if problem != self._problem:
            if problem:
                log.warning("backend %s does not accept events: %s", self._name, problem)
            else:
                log.info("backend %s accepts events again", self._name)
        self._problem = problem


@dataclass(slots=True, kw_only=True)
class _Sending:
    """The state of sending one batch."""

    began_at: float
    calls: int = 0
    has_stopped: bool = False
    is_late: bool = False
    problem: str = ""
    pause: str | None = None
    retry_after: float | None = None
    unsent: set[str] = field(default_factory=set)
    rejected: dict[str, Rejection] = field(default_factory=dict)
    largest_accepted: int = 0
    smallest_half: int | None = None
    is_too_large: bool = False

    def stop(
        self, problem: str, *, retry_after: float | None = None, pause: str | None = None, is_late: bool = False
    ) -> None:
        self.has_stopped = True
        self.problem = "" if is_late else problem
        self.retry_after = retry_after
        self.pause = pause
        self.is_late = self.is_late or is_late

    def leave(self, events: Iterable[Event]) -> None:
        self.unsent.update(event.id for event in events)

    def reject(self, events: Iterable[Event], reason: str, status: int | None) -> None:
        for event in events:
            self.rejected[event.id] = Rejection(event_id=event.id, reason=reason, status=status)

    def divided(self, half: int, *, is_too_large: bool) -> None:
        self.smallest_half = half if self.smallest_half is None else min(half, self.smallest_half)
        self.is_too_large = self.is_too_large or is_too_large

    def receipt(self, batch: Sequence[Event]) -> Receipt:
        """Return the receipt for the front of the batch, up to the first event that has to be sent again."""
        delivered = 0
        rejected: list[Rejection] = []
        for event in batch:
            if rejection := self.rejected.get(event.id):
                rejected.append(rejection)
            elif event.id in self.unsent:
                break
            else:
                delivered += 1
        has_gap = delivered + len(rejected) < len(batch)
        # Going on at once is right only after progress; otherwise the dispatcher's own backoff applies.
        is_idle = self.retry_after == 0.0 and not delivered and not rejected
        return Receipt(
            delivered=delivered,
            rejected=tuple(rejected),
            retry_after=self.retry_after if has_gap and not is_idle else None,
            pause=self.pause,
        )


def _next_limit(limit: int, sending: _Sending, *, has_progress: bool) -> int:
    """Return how many events the next send puts into one call at first.

    Without it, a receiver so slow that the time runs out before a batch is small enough would get the same batch for ever,
    and a receiver with a small limit would refuse every batch once.
    """
    if sending.is_late and not has_progress:
        return sending.smallest_half or max(1, min(limit, 2 * sending.largest_accepted) // 2)
    if sending.is_too_large and sending.largest_accepted:
        return sending.largest_accepted
    return min(limit * 2, _NO_LIMIT) if has_progress else limit


def _on_the_wire(call: HttpCall) -> tuple[dict[str, str], bytes]:
    headers = dict(call.headers)
    body = call.body
    if call.json is not None:
        body = to_json(call.json)
        headers.setdefault("content-type", "application/json")
    if call.has_gzip and len(body) >= GZIP_FROM:
        body = gzip.compress(body, compresslevel=_GZIP_LEVEL, mtime=0)
        headers["content-encoding"] = "gzip"
    if call.sign:
        headers |= call.sign(body)
    return headers, body
