"""The page of one session: its visitor, its referrer, and its events step by step."""

from __future__ import annotations

from typing import Final

from sojourn.core.events import START, Position

from ._filters import REASONS
from ._timeline import step
from ._view import View, bad_request, error_page
from ._web import Response, document, redirect

_STEPS: Final = 200
_NO_SESSION: Final = "There is no such session. It may have been erased, or deleted after its `retention`."
_NO_EVENT: Final = "There is no such event. It may have been erased, or deleted after its `retention`."


def session(view: View, name: str) -> Response:
    detail = view.store.sessions.detail(name)
    if detail is None:
        return error_page(view, 404, "No such session", _NO_SESSION)
    after = _position(view)
    timeline = view.store.log.timeline(detail.row.key, after=after, limit=_STEPS)
    last = timeline.events[-1].position if timeline.events else after
    return view.html(
        "session.html",
        row=detail.row,
        line=detail.line,
        detail=detail,
        is_online=view.is_online(detail.line),
        reasons=REASONS,
        steps=[step(event) for event in timeline.events],
        total=timeline.total,
        after=after if after != START else None,
        last=last,
        more=None
        if timeline.following is None
        else view.request.url(f"/sessions/{detail.row.key}", after=timeline.following),
    )


def changes(view: View, name: str) -> Response:
    """The steps after the last one on the page, and the session's current state."""
    after = _position(view)
    if (error := bad_request(view)) is not None:
        return error
    detail = view.store.sessions.detail(name)
    if detail is None:
        return error_page(view, 404, "No such session", _NO_SESSION)
    timeline = view.store.log.timeline(detail.row.key, after=after, limit=_STEPS)
    return document(
        {
            "now": view.now,
            "steps": [view.part("_steps.html", "item", step(event)) for event in timeline.events],
            "last": str(timeline.events[-1].position if timeline.events else after),
            "state": view.part("_steps.html", "state", detail.line, REASONS),
            "is_open": detail.line.is_open,
        }
    )


def of_event(view: View, event_id: str) -> Response:
    """Redirect to the session of an event, scrolled to the event."""
    place = view.store.log.place_of(event_id)
    if place is None:
        return error_page(view, 404, "No such event", _NO_EVENT)
    key = place.session_key
    # The page starts at the session's first step, unless the event lies beyond the first part of the timeline.
    first = view.store.log.timeline(key, limit=_STEPS)
    is_in_first = first.following is None or any(event.position == place.position for event in first.events)
    after = None if is_in_first else place.before
    return redirect(f"{view.request.url(f'/sessions/{key}', after=after)}#e{place.position}")


def _position(view: View) -> Position:
    fix = "take the link to more events, or leave it out"
    return view.parameters.parsed("after", Position.from_text, fix) or START
