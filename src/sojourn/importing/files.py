"""Read access logs, gzipped or not, several at once and in about the order of time. Bounded memory."""

from __future__ import annotations

import gzip
import heapq
import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Self, cast

from sojourn.errors import SojournError

from .formats import Line, LogFormat

STDIN: Final = "-"
_GZIP: Final = b"\x1f\x8b"
_LONGEST: Final = 64 * 1024
_REORDERED_MS: Final = 10_000
_MOST_REORDERED: Final = 20_000
_EXAMPLES: Final = 3


class LoggedLine(NamedTuple):
    """A line and its place: the number of its file, and its own in that file. Sorts by time, then place."""

    at: int
    file: int
    number: int
    raw: bytes
    line: Line


@dataclass(slots=True)
class BadLine:
    """A line that is not of the format."""

    file: str
    number: int
    text: str


@dataclass(slots=True)
class Reading:
    """What was read so far."""

    lines: int = 0
    bad: int = 0
    examples: list[BadLine] = field(default_factory=list)

    def refuse(self, file: str, number: int, raw: bytes) -> None:
        self.bad += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(BadLine(file, number, raw.decode("utf-8", "replace").strip()))


class LogFiles:
    """Open logs; `-` is standard input. Use as a context manager. Raises `SojournError` for what cannot be read."""

    def __init__(self, names: Sequence[str], log_format: LogFormat) -> None:
        self._names = names
        self._format = log_format
        self._opened: list[BinaryIO] = []
        self._stack = ExitStack()
        self.reading = Reading()
        self.size: int | None = 0
        """Bytes of all files as they lie on the disk; `None` if that is not known."""

    def __enter__(self) -> Self:
        for name in self._names:
            try:
                file = sys.stdin.buffer if name == STDIN else self._stack.enter_context(Path(name).open("rb"))
                size = 0 if name == STDIN else Path(name).stat().st_size
            except OSError as error:
                self._stack.close()
                msg = f"{name} cannot be read: {error.strerror}"
                raise SojournError(msg) from error
            self._opened.append(file)
            self.size = None if name == STDIN or self.size is None else self.size + size
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def position(self) -> int:
        """How many bytes of the files are read."""
        return sum(file.tell() for file in self._opened if file.seekable())

    def lines(self) -> Iterator[LoggedLine]:
        """Yield the lines of all files, merged by their time."""
        return heapq.merge(*(self._sorted(number) for number in range(len(self._opened))))

    def _sorted(self, file: int) -> Iterator[LoggedLine]:
        """Put lines in order that are a little out of it: servers write a line when its response is over."""
        waiting: list[LoggedLine] = []
        newest = 0
        for line in self._parsed(file):
            heapq.heappush(waiting, line)
            newest = max(newest, line.at)
            while len(waiting) > _MOST_REORDERED or newest - waiting[0].at > _REORDERED_MS:
                yield heapq.heappop(waiting)
        while waiting:
            yield heapq.heappop(waiting)

    def _parsed(self, file: int) -> Iterator[LoggedLine]:
        name, parse, reading = self._names[file], self._format.parse, self.reading
        for number, raw in enumerate(self._raw(file), 1):
            reading.lines += 1
            line = parse(raw.decode("utf-8", "replace").rstrip("\r\n"))
            if line is None:
                if raw.strip():
                    reading.refuse(name, number, raw)
                continue
            yield LoggedLine(line.at, file, number, raw.rstrip(b"\r\n"), line)

    def _raw(self, file: int) -> Iterator[bytes]:
        name, opened = self._names[file], self._opened[file]
        plain = opened if isinstance(opened, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", opened))
        try:
            if plain.peek(2)[:2] == _GZIP:
                plain = io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=plain)))
            while raw := plain.readline(_LONGEST):
                yield raw
        except (OSError, EOFError, zlib.error) as error:
            msg = f"{name} cannot be read to its end ({error}); what came before is imported, and can be imported again"
            raise SojournError(msg) from error
