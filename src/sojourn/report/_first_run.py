"""The first run: what a store that never had a session shows instead of figures."""

from __future__ import annotations

from sojourn.health.first_run import first_run, is_first_run
from sojourn.health.snapshot import snapshot

from ._view import View, bad_request
from ._web import Response, document


def checklist(view: View) -> Response | None:
    """The checklist; `None` once there was a session."""
    if view.store.sessions.latest(limit=1):  # a snapshot counts all events
        return None
    health = snapshot(view.store, view.source.journals, now=view.now)
    return view.html("first_run.html", checks=first_run(health)) if is_first_run(health) else None


def live(view: View) -> Response:
    """The current state of the checklist, or the way to the figures."""
    if (error := bad_request(view)) is not None:
        return error
    health = snapshot(view.store, view.source.journals, now=view.now)
    checks = first_run(health) if is_first_run(health) else None
    return document({"now": view.now, "html": view.part("_checks.html", "checklist", checks)})
