"""The page of one session: who came from where with what, its events step by step, and the visits beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sojourn.core.events import START, Position
from sojourn.stores.model import USER, VISITOR, DataSubject
from sojourn.stores.reporting.model import Filter, SessionDetail, SessionLine
from sojourn.stores.rows import SessionRow

from ._filters import REASONS
from ._heading import campaign, heading
from ._timeline import Step, steps
from ._view import View, bad_request, error_page
from ._web import Response, document, redirect

_STEPS: Final = 200
_VISITS: Final = 8
_NO_SESSION: Final = "There is no such session. It may have been erased, or deleted after its `retention`."
_NO_EVENT: Final = "There is no such event. It may have been erased, or deleted after its `retention`."


def session(view: View, name: str) -> Response:
    detail = view.store.sessions.detail(name)
    if detail is None:
        return error_page(view, 404, "No such session", _NO_SESSION)
    after, shown_at = _position(view), view.parameters.number("shown")
    timeline = view.store.log.timeline(detail.row.key, after=after, limit=_STEPS)
    last = timeline.events[-1].position if timeline.events else after
    made = steps(timeline.events, shown_at=shown_at)
    shown = _shown_at(made, shown_at)
    return view.html(
        "session.html",
        row=detail.row,
        line=detail.line,
        detail=detail,
        is_online=view.is_online(detail.line),
        reasons=REASONS,
        heading=heading(detail.line),
        campaign=campaign(detail.line.dimensions),
        visits=_other_visits(view, detail),
        subject=_subject(detail.row),
        steps=made,
        shown=shown,
        total=timeline.total,
        after=after if after != START else None,
        last=last,
        more=None
        if timeline.following is None
        else view.request.url(f"/sessions/{detail.row.key}", after=timeline.following, shown=shown),
    )


def _subject(row: SessionRow) -> DataSubject:
    """Whose visits stand beside the session: the user's, over all devices, or the browser's."""
    return DataSubject(VISITOR, row.visitor_id) if row.user_id is None else DataSubject(USER, row.user_id)


def _other_visits(view: View, detail: SessionDetail) -> Sequence[SessionLine]:
    """The latest visits of the same person but this one."""
    page = view.store.sessions.page(Filter.of_person(_subject(detail.row)), limit=_VISITS + 1)
    return [line for line in page.lines if line.key != detail.row.key][:_VISITS]


def _shown_at(made: Sequence[Step], before: int | None) -> int | None:
    """When the latest step was, heartbeats left out: the next one's gap begins there."""
    times = [each.event.time for each in made if not each.is_quiet]
    return max([*times, *(() if before is None else (before,))], default=None)


def changes(view: View, name: str) -> Response:
    """The steps after the last one on the page, and the session's current state."""
    after, shown_at = _position(view), view.parameters.number("shown")
    if (error := bad_request(view)) is not None:
        return error
    detail = view.store.sessions.detail(name)
    if detail is None:
        return error_page(view, 404, "No such session", _NO_SESSION)
    timeline = view.store.log.timeline(detail.row.key, after=after, limit=_STEPS)
    made = steps(timeline.events, shown_at=shown_at)
    return document(
        {
            "now": view.now,
            "steps": [view.part("_steps.html", "item", each) for each in made],
            "shown": _shown_at(made, shown_at),
            "facts": view.part("_steps.html", "facts", detail.line),
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
