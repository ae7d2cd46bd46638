"""Exceptions of the app as events of the session that is there. Each is told once, and passes on unchanged."""

from __future__ import annotations

from sojourn.core.events import EXCEPTION

from .exceptions import described
from .visit import Visit


def capture(visit: Visit, error: BaseException, *, is_handled: bool, is_answered: bool = False) -> None:
    """Tell it, unless it was told, or is no error (a cancelled task, the end of the process).

    `is_answered`: a framework makes an answer of it, which can carry a session's cookie.
    """
    if not isinstance(error, Exception) or visit.told_error is error:
        return
    visit.told_error = error  # itself, not its `id()`: an error that is gone may have left its address to the next one
    if visit.refused is None and _has_session(visit, may_begin=is_handled or is_answered):
        visit.note(EXCEPTION, described(error, is_handled=is_handled))
        visit.leave()


def _has_session(visit: Visit, *, may_begin: bool) -> bool:
    """Whether there is a session to tell it of. An error that leaves the app begins none: no answer will carry its cookie."""
    if may_begin or visit.responded:
        return visit.present() is not None
    visit.follow()
    return visit.state is not None
