"""How far a command is: a bar on a terminal; elsewhere nothing, or a line now and then."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Final, Self, TextIO

from ._output import printable
from ._tables import cut

_WIDTH: Final = 24
_REDRAW_S: Final = 0.1


class Bar:
    """Progress on a stream, as a rule standard error. It is gone at the end of its block.

    `line_every_s`: print lines where the stream is no terminal. Without a stream nothing is shown.
    """

    def __init__(
        self,
        stream: TextIO | None,
        *,
        line_every_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._is_drawn = stream is not None and stream.isatty()
        self._stream = stream if self._is_drawn or line_every_s is not None else None
        self._pause_s = _REDRAW_S if self._is_drawn else line_every_s or 0.0
        self._what = ""
        self._began = 0.0
        self._shown_at = float("-inf")

    def show(self, what: str, done: int, total: int | None, *, note: str = "") -> None:
        """`what` is counted, in the plural; without a `total`, only how many so far. Too frequent calls do nothing."""
        if self._stream is None:
            return
        now = self._clock()
        if what != self._what:
            self._what, self._began = what, now
        elif now - self._shown_at < self._pause_s and done != total:
            return
        self._shown_at = now
        text = f"{done:,} {what}" if total is None else f"{done:,} of {total:,} {what}"
        if now - self._began >= 1:
            text += f", {done / (now - self._began):,.0f}/s"
        text = printable(text + note)
        if self._is_drawn:
            filled = _WIDTH if not total else min(_WIDTH, _WIDTH * done // total)
            bar = "" if total is None else f"[{'#' * filled}{'.' * (_WIDTH - filled)}] "
            self._stream.write(f"\r\x1b[K{cut(bar + text, shutil.get_terminal_size().columns - 1)}")
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._is_drawn and self._stream is not None:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
