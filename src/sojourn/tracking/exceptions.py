"""An exception as the attributes of an event (OpenTelemetry's names). Never the values of variables, never a source line."""

from __future__ import annotations

from traceback import walk_tb
from types import TracebackType
from typing import Final

from sojourn.core.events import Scalar

from .masking import printable

MESSAGE: Final = "exception.message"
_LONGEST_TYPE = 200
_LONGEST_MESSAGE = 1000
_FRAMES = 30
_CAUSES = 5
_KEPT_FOLDERS = 3


def described(error: BaseException, *, is_handled: bool) -> dict[str, Scalar]:
    """Type, message and a trimmed stack: the innermost frames as `folder/file.py:line in function`, and its causes."""
    return {
        "exception.type": _type(error),
        MESSAGE: _message(error),
        "exception.stacktrace": "\n".join(_stack(error)),
        "exception.escaped": not is_handled,
    }


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
    found = [
        f"{_short(frame.f_code.co_filename)}:{line} in {frame.f_code.co_qualname}" for frame, line in walk_tb(trace)
    ]
    left_out = len(found) - _FRAMES
    return [f"... {left_out} more", *found[-_FRAMES:]] if left_out > 0 else found


def _short(path: str) -> str:
    return printable("/".join(path.replace("\\", "/").split("/")[-_KEPT_FOLDERS:]), _LONGEST_TYPE)
