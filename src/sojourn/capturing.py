"""Exceptions of the app as events of the session that is there. Each is told once, and passes on unchanged."""

from __future__ import annotations

from .core.events import EXCEPTION
from .exceptions import described
from .visit import Visit


def capture(visit: Visit, error: BaseException, *, is_handled: bool) -> None:
    """Tell it, unless it was told, or is no error (a cancelled task, the end of the process)."""
    if not isinstance(error, Exception) or visit.error_id == id(error):
        return
    visit.error_id = id(error)
    if visit.refused is None and _has_session(visit, is_handled=is_handled):
        visit.note(EXCEPTION, described(error, is_handled=is_handled))
        visit.leave()


def _has_session(visit: Visit, *, is_handled: bool) -> bool:
    """Whether there is a session to tell it of. An unhandled error begins none: there may be no answer to carry its cookie."""
    if is_handled or visit.responded:
        return visit.present() is not None
    visit.follow()
    return visit.state is not None
