"""The steps of a session's timeline: of each event what to show at once and what behind a click, and the gaps. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sojourn.core import events, failures
from sojourn.core.events import Event, Scalar
from sojourn.core.properties import EVENT_PREFIX
from sojourn.core.session import EndReason

from . import _formatting
from ._filters import REASONS
from ._heading import parameters

_SESSION_PREFIX: Final = "session_properties."
_TRAITS: Final = "user.traits."
_PRECISE_MS: Final = 10
_GAP_MS: Final = 60_000
"""A shorter pause between two steps is reading, and not drawn."""
_FOREVER_MS: Final = 2**53
_OF_PAGES: Final = frozenset({events.PAGE_VIEW, events.SESSION_START})
_GLYPHS: Final = {
    events.SESSION_START: "▶",
    events.SESSION_HEARTBEAT: "·",
    events.SESSION_END: "■",
    events.SESSION_PROPERTIES: "◇",
    events.USER_IDENTIFY: "◉",
    events.PAGE_VIEW: "▤",
    events.CONNECTION_END: "⇄",
    events.EXCEPTION: "✕",
    events.LOG: "≡",
    events.OPT_OUT: "⊘",
}
_LABELS: Final = {
    events.SESSION_START: "Session started",
    events.SESSION_HEARTBEAT: "Heartbeat",
    events.SESSION_END: "Session ended",
    events.SESSION_PROPERTIES: "Session properties",
    events.USER_IDENTIFY: "Identified",
    events.PAGE_VIEW: "Page view",
    events.CONNECTION_END: "Connection closed",
    events.EXCEPTION: "Exception",
    events.LOG: "Log",
    events.OPT_OUT: "Opted out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event. `subject`, `message`, `stack` and the properties hold untrusted text, which is only shown as text."""

    event: Event
    since: str
    """Time since the session started."""
    glyph: str
    label: str
    subject: str | None
    query: Sequence[tuple[str, str]]
    """The parameters of the page's address, decoded."""
    message: str | None
    status: int | None
    took: str | None
    properties: Mapping[str, Scalar]
    stack: str | None
    is_bad: bool
    """It is an error, as the session's number of errors counts it."""
    is_odd: bool
    """Not an error, but worth a look: a page view with a status of 400 to 499, or a log record that says `ERROR`."""
    is_quiet: bool
    is_late: bool
    gap: str | None = None
    """How long nothing happened before it, heartbeats left out; `None`: less than a minute."""
    gap_after_beat: str | None = None
    """The same since the heartbeat before it, for a reader who shows heartbeats; `None` too where there is none."""


def steps(events: Sequence[Event], *, shown_at: int | None = None) -> list[Step]:
    """The events as steps. `shown_at` (ms): the step before the first of them, heartbeats left out; `None`: there is none."""
    made: list[Step] = []
    beat_at: int | None = None
    for event in events:
        each = _step(event)
        since_beat = _gap(beat_at, event.time)
        if each.is_quiet:
            beat_at = event.time if beat_at is None else max(beat_at, event.time)
            made.append(replace(each, gap_after_beat=since_beat))
            continue
        made.append(replace(each, gap=_gap(shown_at, event.time), gap_after_beat=since_beat))
        shown_at = event.time if shown_at is None else max(shown_at, event.time)
        beat_at = None
    return made


def _gap(before: int | None, at: int) -> str | None:
    """An event that was recorded late lies before the step above it: no gap."""
    return None if before is None or at - before < _GAP_MS else _formatting.pause(at - before)


def _step(event: Event) -> Step:
    attributes = event.attributes
    status = attributes.get("http.response.status_code")
    code = status if isinstance(status, int) else None
    is_bad = failures.is_error(event.name, attributes)
    is_odd = failures.is_client_error(event.name, attributes) or attributes.get("log.severity") in {"ERROR", "CRITICAL"}
    return Step(
        event=event,
        since=_formatting.clock(event.time - event.session_started_at),
        glyph="✕" if is_bad else "!" if is_odd else _GLYPHS.get(event.name, "★"),
        label=_label(event),
        subject=_subject(event),
        query=parameters(_text(attributes.get("url.query"))) if event.name in _OF_PAGES else (),
        message=_text(attributes.get("exception.message")),
        status=code,
        took=_took(attributes, event.name),
        properties=_properties(event),
        stack=_text(attributes.get("exception.stacktrace")),
        is_bad=is_bad,
        is_odd=is_odd,
        is_quiet=event.name == events.SESSION_HEARTBEAT,
        is_late=attributes.get("session.late") is True,
    )


def _label(event: Event) -> str:
    match event.name:
        case events.PAGE_VIEW:
            method = _text(event.attributes.get("http.request.method")) or "GET"
            return "Page view" if method == "GET" else f"Page view, {method[:10]}"
        case events.USER_IDENTIFY if event.user_id is None:
            return "User removed"
        case events.EXCEPTION if event.attributes.get("exception.escaped") is False:
            return "Handled exception"
        case events.LOG:
            return f"Log, {(_text(event.attributes.get('log.severity')) or '').lower()[:10]}"
        case _:
            return _LABELS.get(event.name, "Event")


def _subject(event: Event) -> str | None:
    attributes = event.attributes
    match event.name:
        case events.PAGE_VIEW | events.SESSION_START:
            return _text(attributes.get("url.path"))
        case events.USER_IDENTIFY:
            return _text(attributes.get("user.name")) or event.user_id
        case events.EXCEPTION:
            return _text(attributes.get("exception.type"))
        case events.LOG:
            return _text(attributes.get("log.body"))
        case events.SESSION_END:
            reason = attributes.get("session.end_reason")
            return REASONS[EndReason(str(reason))] if reason in set(EndReason) else None
        case events.SESSION_HEARTBEAT | events.CONNECTION_END | events.OPT_OUT | events.SESSION_PROPERTIES:
            return None
        case _:
            return event.name


def _took(attributes: Mapping[str, Scalar], name: str) -> str | None:
    value = attributes.get("session.duration_ms" if name == events.SESSION_END else f"{name}.duration_ms")
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _FOREVER_MS:
        return None
    return f"{value:.1f} ms" if 0 < value < _PRECISE_MS else _formatting.span(round(value))


def _properties(event: Event) -> dict[str, Scalar]:
    """The event's own properties, by their short names; session properties only on the event that set them.

    Every later event of the session repeats those.
    """
    properties = {
        name.removeprefix(EVENT_PREFIX).removeprefix(_TRAITS): value
        for name, value in event.attributes.items()
        if name.startswith((EVENT_PREFIX, _TRAITS))
    }
    if event.name == events.SESSION_PROPERTIES:
        properties |= {
            name.removeprefix(_SESSION_PREFIX): value
            for name, value in event.attributes.items()
            if name.startswith(_SESSION_PREFIX)
        }
    return properties


def _text(value: Scalar | None) -> str | None:
    return value if isinstance(value, str) and value else None
