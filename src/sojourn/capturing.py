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
    if visit.refused is None and visit.present() is not None:
        visit.note(EXCEPTION, described(error, is_handled=is_handled))
        visit.leave()
