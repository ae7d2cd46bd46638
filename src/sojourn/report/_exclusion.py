"""Keeps the report's own requests out of the report: readers are never tracked."""

from __future__ import annotations

from sojourn.tracking.visit import Visit

REFUSED = "report"


def exclude(visit: object) -> None:
    """Discard the request's Visit, if a middleware of ours made one and its response has not started."""
    if not isinstance(visit, Visit) or visit.refused is not None or visit.responded:
        return
    visit.refuse(REFUSED)
    visit.guard.count(REFUSED)
