"""Try a backend with a test session, and say what to fix."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Final, Protocol, runtime_checkable

from sojourn.core.events import PAGE_VIEW, SESSION_END, SESSION_START, Event, Position, Scalar
from sojourn.core.ids import event_id, uuid7

from .http import LastCall
from .protocol import Backend, Receipt

MARK: Final = "sojourn.check"
"""An attribute of the test session's events: `True`."""

_TOLERANCE_S: Final = 5.0
_AGO_MS: Final = 2_000
_LASTED_MS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a backend that looks at its receiver (`inspect()`) found there."""

    warnings: tuple[str, ...] = ()
    remedy: str = ""
    """What to run in the receiver, such as statements that create a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The result for one backend. `problem` is empty if the whole session was accepted; `took_ms` is in milliseconds."""

    name: str
    kind: str
    address: str | None
    sent: int
    taken: int
    took_ms: int
    problem: str
    warnings: tuple[str, ...] = ()
    takes_gzip: bool | None = None
    """Whether it accepts compressed bodies; `None`: that was not tried."""
    remedy: str = ""
    """What to run in the receiver, if its backend knows that something is missing there."""

    @property
    def is_well(self) -> bool:
        return not self.problem


def check_events(now: int, chance: bytes, *, service: str | None = None) -> list[Event]:
    """Return a start, a page view and an end, marked as a test. `chance`: 16 random bytes, so that each session is new."""
    started_at = now - _AGO_MS
    key = uuid7(started_at, chance)  # some vendors read the start of a session from its id
    shared: dict[str, Scalar] = {
        "session.id": key,
        "visitor.id": f"check-{chance.hex()[:16]}",
        "service.name": service or "sojourn-check",
        MARK: True,
    }
    contents: tuple[tuple[str, int, dict[str, Scalar]], ...] = (
        (SESSION_START, 0, {"url.path": "/sojourn-check", "user_agent.original": "sojourn check"}),
        (
            PAGE_VIEW,
            0,
            {"http.request.method": "GET", "url.path": "/sojourn-check", "http.response.status_code": 200},
        ),
        (
            SESSION_END,
            _LASTED_MS,
            {
                "session.end_reason": "ended",
                "session.duration_ms": _LASTED_MS,
                "session.requests": 1,
                "session.page_views": 1,
                "session.errors": 0,
            },
        ),
    )
    return [
        Event(
            id=event_id(started_at, key, name),
            name=name,
            time=started_at + after,
            session_id=key,
            session_key=key,
            session_started_at=started_at,
            visitor_id=str(shared["visitor.id"]),
            position=Position(number),
            attributes=shared | own,
        )
        for number, (name, after, own) in enumerate(contents, 1)
    ]


def check_backend(
    backend: Backend, session: Sequence[Event], *, monotonic: Callable[[], float] = time.monotonic
) -> CheckResult:
    """Send the session once, as a dispatcher would: over HTTP, a part of it compressed and a part not."""
    events = [event for event in session if backend.accepts(event)]
    warnings: list[str] = []
    if not events:
        events = list(session)
        warnings.append("events= excludes every test event; they were sent all the same")
    began_at = monotonic()
    takes_gzip: bool | None = None
    try:
        if isinstance(backend, _Compressing) and backend.is_compressing:
            receipt, takes_gzip = _tried_both(backend, events)
        else:
            receipt = backend.send(events)
        failure = ""
    except Exception as error:  # noqa: BLE001 - a backend may raise anything, and the message may quote what it sent
        receipt, failure = Receipt(delivered=0), f"send() raised {type(error).__name__}; see its docs"
    if takes_gzip is False:
        warnings.append("it refuses compressed bodies and accepts plain ones; set gzip=False (in a URL: gzip=0)")
    took_ms = round((monotonic() - began_at) * 1000)
    last_call: LastCall | None = getattr(backend, "last_call", None)
    if last_call is not None and (skew := _skew(last_call)) is not None:
        warnings.append(skew)
    if last_call is not None and last_call.page:
        warnings.append(
            f"{last_call.origin} responded with {last_call.page}, so the events may not be where you want them"
        )
    problem = failure or _problem(receipt, len(events), last_call)
    if not problem and isinstance(backend, _Validating):
        problem = "; ".join(backend.problems_of(events))
    if not problem and (unseen := getattr(backend, "unseen_by_check", "")):
        warnings.append(unseen)
    inspection = Inspection()
    if isinstance(backend, _Inspecting) and last_call is not None and last_call.status is not None:
        inspection = backend.inspect()
        warnings += inspection.warnings
    return CheckResult(
        name=backend.name,
        kind=type(backend).__name__,
        address=None if last_call is None else last_call.origin,
        sent=len(events),
        taken=receipt.delivered,
        took_ms=took_ms,
        problem=problem,
        warnings=tuple(warnings),
        takes_gzip=takes_gzip,
        remedy=inspection.remedy,
    )


@runtime_checkable
class _Inspecting(Protocol):
    def inspect(self) -> Inspection: ...


@runtime_checkable
class _Compressing(Protocol):
    @property
    def is_compressing(self) -> bool: ...

    def send_as(self, batch: Sequence[Event], *, gzip: bool) -> Receipt: ...


@runtime_checkable
class _Validating(Protocol):
    """A backend whose vendor accepts anything, and has a server that says what is wrong with it."""

    def problems_of(self, batch: Sequence[Event]) -> Sequence[str]: ...


def _tried_both(backend: _Compressing, events: Sequence[Event]) -> tuple[Receipt, bool | None]:
    """Send the last event plain, and the others compressed; all of them plain if a compressed call is refused."""
    first, last = (events[:-1], events[-1:]) if len(events) > 1 else (events, [])
    packed = backend.send_as(first, gzip=True)
    if packed.delivered == len(first):
        plain = backend.send_as(last, gzip=False) if last else Receipt(delivered=0)
        return replace(plain, delivered=packed.delivered + plain.delivered), True
    plain = backend.send_as(events, gzip=False)
    # Refused either way: compression is not the cause.
    return (plain, False) if plain.delivered == len(events) else (plain, None)


def _problem(receipt: Receipt, sent: int, last_call: LastCall | None) -> str:
    if receipt.pause is not None:
        return receipt.pause
    if receipt.rejected:
        reasons = dict.fromkeys(rejection.reason for rejection in receipt.rejected)
        return f"{len(receipt.rejected)} of {sent} events were refused: {'; '.join(reasons)}"
    if receipt.delivered >= sent:
        return ""
    if last_call is not None and last_call.problem:
        return f"no response from {last_call.origin}: {last_call.problem}"
    if last_call is not None and last_call.status is not None:
        return f"HTTP {last_call.status} from {last_call.origin}: it asks for a later retry; look at its status page"
    return f"it accepted {receipt.delivered} of {sent} events, and asks for the rest later"


def _skew(last_call: LastCall) -> str | None:
    """Return a warning if the receiver's clock and ours differ by more than latency and the whole seconds of `Date` explain."""
    if last_call.date is None:
        return None
    try:
        apart = last_call.at - parsedate_to_datetime(last_call.date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    if abs(apart) <= _TOLERANCE_S:
        return None
    return (
        f"this machine's clock is {abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} that of {last_call.origin}; "
        "synchronise it (NTP): session times are wrong, and vendors drop events that seem to come from the future"
    )
