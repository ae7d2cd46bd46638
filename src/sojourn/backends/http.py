"""The HTTP layer of all backends: it sends the calls that an encoder makes of a batch, and turns responses into a receipt.

Calls go out in order. A call that is too large or contains an invalid event is halved until the events at fault stand alone.
The first call that has to be retried ends the send; events that were accepted behind it are sent again later, and receivers
recognise them by their ids.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, assert_never

import httpx

from sojourn.core.events import Event
from sojourn.errors import SettingsError

from ._exchange import Exchange, OutOfTimeError, in_words, origin
from ._json import to_json
from ._sending import NO_LIMIT, Sending, Units, next_limit, slices
from .calls import Encoder, HttpCall, LastCall, Unsendable, calls_of, halves_of
from .compression import Compression, packed
from .outcomes import Delivered, Outcome, Pause, Reject, RetryLater, Split, outcome_of_status
from .protocol import Batch, BatchReceipt, Receipt
from .receipts import kind_of_page

__all__ = ["DEADLINE_S", "Clock", "Encoder", "HttpCall", "HttpLayer", "LastCall", "Unsendable"]

log = logging.getLogger("sojourn")

DEADLINE_S: Final = 15.0
Clock = Callable[[], float]


class HttpLayer:
    """Sends the calls of an encoder. Used by one thread; a whole send takes at most `timeout` seconds, however many calls."""

    def __init__(
        self,
        encoder: Encoder,
        *,
        name: str,
        timeout: float = DEADLINE_S,
        gzip: bool = True,
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
        self._compression = Compression(name, is_on=gzip)
        self._limit = NO_LIMIT
        self._problem = ""
        self.last_call: LastCall | None = None

    @property
    def is_compressing(self) -> bool:
        """Whether large bodies are compressed."""
        return self._compression.is_on

    def send(self, batch: Sequence[Event]) -> Receipt:
        """Send a batch and return what became of it."""
        sending = Sending(began_at=self._monotonic())
        self._send_slices(slices(batch, self._limit), sending)
        receipt = sending.receipt(batch)
        self._end(sending, has_progress=bool(receipt.delivered or receipt.rejected))
        return receipt

    def send_batches(self, batches: Sequence[Batch]) -> BatchReceipt:
        """Send batches with the ids that they have, and return what became of them."""
        sending = Sending(began_at=self._monotonic())
        self._send_slices(slices(batches, self._limit), sending)
        has_progress = len(sending.unsent) < sum(len(batch.events) for batch in batches)
        self._end(sending, has_progress=has_progress)
        return sending.batch_receipt(has_progress=has_progress)

    def send_as(self, batch: Sequence[Event], *, gzip: bool) -> Receipt:
        """Send a batch with compressed bodies, however small, or with plain ones."""
        self._compression.only = gzip
        try:
            return self.send(batch)
        finally:
            self._compression.only = None

    def close(self) -> None:
        """Close the connection."""
        self._exchange.close()

    def _end(self, sending: Sending, *, has_progress: bool) -> None:
        self._limit = next_limit(self._limit, sending, has_progress=has_progress)
        self._log(sending.problem)

    def _send_slices(self, parts: Iterable[Units], sending: Sending) -> None:
        for units in parts:
            if sending.has_stopped:
                sending.leave(units)
                continue
            for call in calls_of(self._encoder, units):
                if isinstance(call, Unsendable):
                    sending.reject(call.events, call.reason, None)
                else:
                    self._send_call(call, sending)

    def _send_call(self, call: HttpCall, sending: Sending) -> None:
        if not sending.has_stopped and self._is_late(sending):
            # The time left might cut the call short. The receiver responds, so the rest is sent at once, by the next send.
            sending.stop("out of time", is_late=True, retry_after=0.0)
        units = call.batches or call.events
        if sending.has_stopped:
            sending.leave(units)
            return
        sending.calls += 1
        status, outcome = self._run(call, sending)
        match outcome:
            case Delivered(rejected=rejected):
                sending.rejected.update({rejection.event_id: rejection for rejection in rejected})
                sending.largest_accepted = max(sending.largest_accepted, len(call.events))
            case Split(reason=reason) if len(call.events) > 1:
                sending.divided(len(call.events) // 2, is_too_large=status == 413)
                self._send_slices(halves_of(self._encoder, call), sending)
            case Split(reason=reason) | Reject(reason=reason):
                sending.reject(call.events, reason, status)
            case RetryLater(after=after, reason=reason):
                if not reason:
                    reason = _why(status) if status else self.last_call.problem if self.last_call else "no response"
                sending.stop(reason, reason=f"{origin(call.url)}: {reason}", retry_after=after)
                sending.leave(units)
            case Pause(reason=reason):
                sending.stop(reason, pause=f"{self._name} ({origin(call.url)}): {reason}")
                sending.leave(units)
            case _:
                assert_never(outcome)

    def _run(self, call: HttpCall, sending: Sending) -> tuple[int | None, Outcome]:
        """Make a call, and once more without compression if that may be why it was refused."""
        compression, body = self._compression, _body(call)
        if not (call.has_gzip and compression.packs(body)):
            status, outcome = self._exchanged(call, body, sending)
            compression.note_plain(outcome)
            return status, outcome
        status, outcome = self._exchanged(call, body, sending, is_packed=True)
        if not compression.is_suspect(status, outcome, len(call.events)):
            return status, outcome
        plain_status, plain = self._exchanged(call, body, sending)
        compression.judge(status, plain_status, plain)
        return plain_status, plain

    def _exchanged(
        self, call: HttpCall, body: bytes, sending: Sending, *, is_packed: bool = False
    ) -> tuple[int | None, Outcome]:
        headers, sent = _on_the_wire(call, body, is_packed=is_packed)
        try:
            deadline = sending.began_at + self._timeout
            response = self._exchange.run(
                call.method, call.url, headers, sent, deadline=deadline, limit=call.response_limit
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
        self._note_call(call, status=response.status, date=response.headers.get("date"), page=kind_of_page(response))
        outcome = call.interpret(response) if call.interpret else None
        return response.status, outcome or outcome_of_status(response, now=self._wall())

    def _note_call(
        self, call: HttpCall, *, status: int | None = None, date: str | None = None, problem: str = "", page: str = ""
    ) -> None:
        self.last_call = LastCall(
            origin=origin(call.url), at=self._wall(), status=status, date=date, problem=problem, page=page
        )

    def _is_late(self, sending: Sending) -> bool:
        return sending.calls > 0 and self._monotonic() - sending.began_at >= self._timeout / 2

    def _log(self, problem: str) -> None:
        """Log a problem once when it begins, and once when it ends."""
        if problem != self._problem:
            if problem:
                log.warning("backend %s does not accept events: %s", self._name, problem)
            else:
                log.info("backend %s accepts events again", self._name)
        self._problem = problem


def _why(status: int) -> str:
    if status == 429:
        return "HTTP 429: too many calls"
    return f"HTTP {status}" if status >= 300 else f"HTTP {status}, but it does not confirm the events"


def _body(call: HttpCall) -> bytes:
    return call.body if call.json is None else to_json(call.json)


def _on_the_wire(call: HttpCall, body: bytes, *, is_packed: bool) -> tuple[dict[str, str], bytes]:
    headers = dict(call.headers)
    if call.json is not None:
        headers.setdefault("content-type", "application/json")
    if is_packed:
        body = packed(body)
        headers["content-encoding"] = "gzip"
    if call.sign:
        headers |= call.sign(body)
    return headers, body
