"""Keeps whoever looks at the report out of it: the Visit of such a request tells nothing."""

from __future__ import annotations

from sojourn.tracking.visit import Visit

REFUSED = "report"


def untrack(visit: object) -> None:
    """Take a request's Visit back, if a door of ours stands in front and has not answered yet."""
    if not isinstance(visit, Visit) or visit.refused is not None or visit.responded:
        return
    visit.refused = REFUSED
    visit.draft = visit.succession = visit.home = None
    visit.parts.clear()
    visit.host.count(REFUSED)
