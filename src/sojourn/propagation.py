"""Take a session into another process: `inject()` where a job is made, `extract()` where it runs.

`sojourn.celery`, `sojourn.rq` and `sojourn.dramatiq` call these for you.

See S15 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from .tracking.travelling import issue, travelled
from .tracking.visit import active_visit

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["HEADER", "MAX_AGE", "extract", "inject"]

HEADER: Final = "sojourn-session"
"""The name under which a session travels."""

MAX_AGE: Final = timedelta(days=1)
"""For how long after its request a job may add to a session, unless you say otherwise."""


def inject(headers: MutableMapping[str, Any]) -> None:
    """Add the session of the current request to the headers of a job or a message, signed.

    Outside a request, or without a session, nothing is added. In a job the session that the job came with is passed on.
    """
    visit = active_visit.get()
    ticket = None if visit is None else visit.guard.guarded(None, issue, visit)
    if ticket is not None:
        headers[HEADER] = ticket


@contextmanager
def extract(headers: Mapping[str, Any], engine: Engine, *, max_age: timedelta = MAX_AGE) -> Iterator[None]:
    """Make the session in the headers the one that helpers name inside the block.

    `track()`, `identify()`, `set_session_property()` and `capture_exception()` add to that session; after its end, as late.
    They never begin, continue or end one. Without headers of ours, with forged ones, or `max_age` after the request, the
    helpers do nothing, and it is counted: a job never fails for who enqueued it.
    """
    value = headers.get(HEADER)
    context = engine.tracker.context
    with travelled(context, value if isinstance(value, str) else None, max_age=round(max_age.total_seconds() * 1000)):
        yield
