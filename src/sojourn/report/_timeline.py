"""An event as a step of a session's timeline: what to show at once, and what behind a click. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sojourn.core import events, failures
from sojourn.core.events import Event, Scalar
from sojourn.core.properties import EVENT_PREFIX
from sojourn.core.session import EndReason

from . import _formatting
from ._filters import REASONS

_SESSION_PREFIX: Final = "session_properties."
_TRAITS: Final = "user.traits."
_PRECISE_MS: Final = 10
_FOREVER_MS: Final = 2**53
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


def step(event: Event) -> Step:
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
            path, query = _text(attributes.get("url.path")), _text(attributes.get("url.query"))
            return f"{path}?{query}" if path and query else path
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
