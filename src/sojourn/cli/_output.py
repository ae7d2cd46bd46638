"""Output of commands: colours (on a terminal only), and log lines as text or JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO

from sojourn.health.formatting import cell, printable, span

__all__ = ["Lines", "Paint", "cell", "printable", "span"]

_COLOURS = {"good": "32", "bad": "31", "odd": "33", "quiet": "2"}


@dataclass(frozen=True, slots=True)
class Paint:
    """Colours by meaning; none if the output is not a terminal."""

    is_on: bool

    @classmethod
    def on(cls, stream: TextIO) -> Paint:
        """For this stream: coloured if it is a terminal that supports it."""
        is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return cls(stream.isatty() and not is_plain)

    def __call__(self, text: str, meaning: str) -> str:
        return f"\x1b[{_COLOURS[meaning]}m{text}\x1b[0m" if self.is_on else text


class Lines:
    """Log lines of a long-running command: each a sentence, or (`is_json`) a JSON document. Never raises."""

    def __init__(self, command: str, *, is_json: bool, stream: TextIO | None = None) -> None:
        self._command = command
        self._is_json = is_json
        self._stream = stream

    def say(self, what: str, text: str, figures: Mapping[str, object] | None = None) -> None:
        """`what` is one word for programs, `text` the sentence for people, `figures` the rest of the document."""
        from sojourn.backends.cloudevents import rfc3339
        from sojourn.core.clock import SystemClock

        stream = self._stream or sys.stdout
        if self._is_json:
            document = {"at": rfc3339(SystemClock.now()), "what": what, "message": printable(text), **(figures or {})}
            line = json.dumps(document)
        else:
            line = f"{self._command}: {printable(text)}"
        with suppress(OSError, ValueError):  # the pipe is closed: no reason to stop working
            print(line, file=stream, flush=True)
