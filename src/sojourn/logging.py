"""Log records and sessions: a handler records logs as events of their session, a filter adds the session id to logs.

Neither is installed by itself: add them to the loggers and handlers of the app as usual.
"""

from __future__ import annotations

import logging
from logging import Filter, Handler, LogRecord

from .core.events import LOG, Scalar
from .core.session import SessionState
from .tracking.carrying import call, note_late
from .tracking.exceptions import described
from .tracking.masking import printable
from .tracking.visit import Visit, active_visit

_OWN = "sojourn"
_LONGEST_BODY = 5_000
_LONGEST_NAME = 200


class SojournHandler(Handler):
    """Records a log record of a request as an event `log` of its session: message, severity and logger.

    A record outside a request, or of a request without a session, is ignored. The message is stored as it is logged: set a
    level that logs with personal data do not reach. Of an exception in `exc_info` only type and stack are stored.
    """

    def __init__(self, level: int | str = logging.WARNING) -> None:
        super().__init__(level)

    def emit(self, record: LogRecord) -> None:
        """Append; never raises, never logs."""
        if record.name == _OWN or record.name.startswith(f"{_OWN}."):
            return  # our own warnings must not become events
        visit = active_visit.get()
        if visit is not None:
            call(None, self._record, self._record_late, visit, record)

    def _record(self, visit: Visit, record: LogRecord) -> None:
        if visit.refused is not None or (not visit.responded and visit.look() is None):
            return
        if visit.enter_present() is None:
            return
        visit.note(LOG, self._attributes(record))
        visit.leave()

    def _record_late(self, visit: Visit, state: SessionState, record: LogRecord) -> None:
        note_late(visit, state, LOG, self._attributes(record))

    def _attributes(self, record: LogRecord) -> dict[str, Scalar]:
        try:
            body = record.getMessage()
        except Exception as error:  # noqa: BLE001 - format and arguments do not match, or the __str__ of one raises
            body = record.msg if isinstance(record.msg, str) else f"<{type(error).__name__} in __str__>"
        attributes: dict[str, Scalar] = {
            "log.body": printable(body, _LONGEST_BODY),
            "log.severity": record.levelname,
            "log.logger": printable(record.name, _LONGEST_NAME),
        }
        raised = record.exc_info[1] if record.exc_info else None
        if raised is not None:
            shown = described(raised, is_handled=True)
            attributes["exception.type"] = shown["exception.type"]
            attributes["exception.stacktrace"] = shown["exception.stacktrace"]
        return attributes


class SessionFilter(Filter):
    """Adds `session_id` to every log record that passes (`-` without a session), for formatters: `%(session_id)s`."""

    def filter(self, record: LogRecord) -> bool:
        visit = active_visit.get()
        state = None if visit is None else call(None, _state, _no_state, visit)
        record.session_id = "-" if state is None else state.session_id
        return True


def _state(visit: Visit) -> SessionState | None:
    return None if visit.refused is not None else visit.state


def _no_state(_visit: Visit, _state: SessionState) -> SessionState | None:
    return None
