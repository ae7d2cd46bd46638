"""Sessions by hand (S6): `start_session()` overrules the automatic rules until the session it started is ended."""

from __future__ import annotations

import re
from typing import Final

from sojourn.core.session import EndReason

from .changes import SessionChanges
from .visit import Visit

_ID: Final = re.compile(r"[0-9]{10,100}|[A-Za-z0-9-]{8,100}")
_SHORTEST_NUMBER: Final = 10


def manual_id(session_id: str | int) -> str:
    """A session id of the app, as text. Raises `TypeError` or `ValueError` for an invalid one."""
    if isinstance(session_id, bool) or not isinstance(session_id, str | int):
        msg = f"start_session(): an id must be a str or int, not {type(session_id).__name__}"
        raise TypeError(msg)
    text = str.__str__(session_id) if isinstance(session_id, str) else format(session_id, "d")
    if isinstance(session_id, int) and session_id < 0:
        text = ""  # its minus sign would match one of the characters below
    if not _ID.fullmatch(text) or (text.isdigit() and len(text) < _SHORTEST_NUMBER):
        msg = (
            f"start_session(): {str(session_id)[:120]!r} is not a session id: give an integer of at least 10 digits, "
            "or 8 to 100 of the characters A-Z, a-z, 0-9 and '-'"
        )
        raise ValueError(msg)
    return text


def may_restart(visit: Visit) -> bool:
    """Whether `start_session()` may begin a session here; if not, that is counted."""
    if visit.refused is not None:
        return visit.drop_call() is not None
    if visit.responded:
        return visit.enter_late() is not None
    visit.follow()
    if visit.binding.latest is None:
        refusal = visit.refusal(by_helper=True)
        if refusal is not None:
            return visit.drop(refusal) is not None
    return True


def restart(visit: Visit, session_id: str | None) -> None:
    """Begin a manual session now, whatever ran before; the running session's own id is a no-op."""
    state = visit.state
    pending = visit.binding.pending
    if state is not None and state.session_id == session_id:
        return
    if pending is not None:
        visit.succeed(pending, session_id=session_id, is_manual=True)
    elif state is None:
        visit.begin(session_id=session_id, is_manual=True)
    elif (empty := _empty_draft(visit)) is not None:  # begun by this very request, and nothing in it yet: replace it
        visit.changes.remove(empty)
        visit.binding = visit.binding.drop_draft(visit.last_draft(), None)
        if empty.previous is None or empty.reason is None:
            visit.begin(session_id=session_id, is_manual=True)
        else:
            visit.succeed(empty.reason, session_id=session_id, is_manual=True)
    else:
        visit.succeed(EndReason.RESTARTED, session_id=session_id, is_manual=True)


def _empty_draft(visit: Visit) -> SessionChanges | None:
    draft = visit.binding.draft
    if draft is None or not visit.changes:
        return None
    last = visit.changes[-1]
    return last if last.is_start and not last.entries and last.state.key == draft.key else None
