"""Exceptions of the app as events of their session, with OpenTelemetry's attribute names.

Each is recorded once and passes on unchanged. Its event never holds the values of variables, nor a source line.

See S13 in docs/internals.md.
"""

from __future__ import annotations

from traceback import walk_tb
from types import TracebackType
from typing import Final

from sojourn.core.events import EXCEPTION, EXCEPTION_GROUP, EXCEPTION_PLACE, EXCEPTION_TYPE, Scalar
from sojourn.core.session import SessionState

from .carrying import lock_of, note_late
from .exception_places import function_of, innermost
from .masking import printable
from .visit import Visit

MESSAGE: Final = "exception.message"
_LONGEST_TYPE = 200
_LONGEST_MESSAGE = 1000
_FRAMES = 30
_CAUSES = 5
_KEPT_FOLDERS = 3


def capture(visit: Visit, error: BaseException, *, is_handled: bool, has_response: bool = False) -> None:
    """Record an exception, unless it is recorded already, or is no error (a cancelled task, the end of the process).

    `has_response`: a framework makes a response of it, which can carry a session's cookie.
    """
    if not isinstance(error, Exception) or visit.captured is error:
        return
    with lock_of(visit):
        visit.captured = (
            error  # itself, not its `id()`: an error that is gone may have left its address to the next one
        )
        if visit.refused is None and _has_session(visit, may_begin=is_handled or has_response):
            visit.note(EXCEPTION, described(error, is_handled=is_handled))
            visit.leave()


def capture_late(visit: Visit, state: SessionState, error: BaseException) -> None:
    """Record an exception that a carried call handles after the end of its session."""
    if isinstance(error, Exception):
        note_late(visit, state, EXCEPTION, described(error, is_handled=True))


def described(error: BaseException, *, is_handled: bool) -> dict[str, Scalar]:
    """Type, place, message and a trimmed stack: the innermost frames as `folder/file.py:line in function`, and its causes."""
    kind = _type(error)
    attributes: dict[str, Scalar] = {
        EXCEPTION_TYPE: kind,
        EXCEPTION_GROUP: kind,
        MESSAGE: _message(error),
        "exception.stacktrace": "\n".join(_stack(error)),
        "exception.escaped": not is_handled,
    }
    if (code := innermost(error)) is not None:
        place = f"{_short(code.co_filename)} in {printable(function_of(code), _LONGEST_TYPE)}"
        attributes |= {EXCEPTION_PLACE: place, EXCEPTION_GROUP: f"{kind} at {place}"}
    return attributes


def _has_session(visit: Visit, *, may_begin: bool) -> bool:
    """Whether there is a session for it. An error that leaves the app begins none: no response will carry its cookie."""
    if may_begin or visit.responded:
        return visit.enter_present() is not None
    visit.follow()
    return visit.state is not None


def _type(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return printable(name, _LONGEST_TYPE)


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as failure:  # noqa: BLE001 - an app's __str__ may do anything
        text = f"<{type(failure).__name__} in __str__>"
    return printable(text, _LONGEST_MESSAGE)


def _stack(error: BaseException) -> list[str]:
    lines: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(seen) < _CAUSES:
        if seen:
            lines.append(f"caused by {_type(current)}")
        seen.add(id(current))
        lines += _frames(current.__traceback__)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return lines


def _frames(trace: TracebackType | None) -> list[str]:
    """The innermost frames, outermost first. Paths lose what stands before the last folders: they name people's homes."""
    frames = [
        f"{_short(frame.f_code.co_filename)}:{line} in {frame.f_code.co_qualname}" for frame, line in walk_tb(trace)
    ]
    left_out = len(frames) - _FRAMES
    return [f"... {left_out} more", *frames[-_FRAMES:]] if left_out > 0 else frames


def _short(path: str) -> str:
    return printable("/".join(path.replace("\\", "/").split("/")[-_KEPT_FOLDERS:]), _LONGEST_TYPE)
