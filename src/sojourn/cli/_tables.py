"""Tables that fit a terminal: cut to its width, or below 100 columns as cards. In a pipe they are as wide as their text."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TextIO

from ._output import Paint

_NARROW: Final = 100
"""Columns of a terminal below which a table that would have to be cut becomes cards."""
_LEAST: Final = 8
"""Columns that a cut cell keeps."""
_INDENT: Final = 2
_GAP: Final = 2
_NOTHING: Final = frozenset({"", "-"})
_FIRST: Final = frozenset({0})
_NONE: Final[frozenset[int]] = frozenset()
# Colours are the only escapes in a cell: `cell()` has made text of any other. They take no room.
_PIECE: Final = re.compile(r"\x1b\[\d+m|.", re.DOTALL)


def wide_option(parser: Any) -> None:
    """Add `--wide`, for commands that print tables."""
    parser.add_argument("--wide", action="store_true", help="do not fit tables to the terminal")


@dataclass(frozen=True, slots=True)
class Screen:
    """Where a page is printed: its colours, and its width if it has one."""

    paint: Paint
    columns: int | None = None

    @classmethod
    def of(cls, arguments: argparse.Namespace, stream: TextIO | None = None) -> Screen:
        """Standard output, or this stream: as wide as the terminal, unless `--wide` is given."""
        stream = stream or sys.stdout
        is_fitted = stream.isatty() and not getattr(arguments, "wide", False)
        return cls(Paint.on(stream), shutil.get_terminal_size().columns if is_fitted else None)

    def table(
        self,
        rows: Sequence[Sequence[str]],
        *,
        left: frozenset[int] = _FIRST,
        whole: frozenset[int] = _NONE,
        optional: Sequence[int] = (),
        has_heads: bool = True,
    ) -> list[str]:
        """Rows in columns. Those in `left` are left-aligned and may be cut, except those in `whole`.

        Where that is not enough, `optional` columns are left out, the first one first, and then the rows become cards: a line
        for each cell, named by the first row, the heads. Without heads there are no cards.
        """
        widths = {place: max(map(width, column)) for place, column in enumerate(zip(*rows, strict=True))}
        if self.columns is None or _room(widths) <= self.columns:
            return _aligned(rows, widths, left)
        if not has_heads or self.columns >= _NARROW:
            for given_up in range(len(optional) + 1):
                kept = {place: room for place, room in widths.items() if place not in optional[:given_up]}
                if _shrink(kept, left - whole, self.columns):
                    return _aligned(rows, kept, left)
        return list(_cards(rows, self.columns)) if has_heads else _aligned(rows, widths, left)

    def lines(self, text: str, *, indent: str = "", first: str | None = None) -> list[str]:
        """Text in lines of the terminal's width, each after the indent; `first` stands before the first one instead."""
        start = indent if first is None else first
        if self.columns is None:
            return [start + text]
        parts = list(_folded(text, max(_LEAST, self.columns - width(indent))))
        return [(indent if number else start) + part for number, part in enumerate(parts)]


def width(text: str) -> int:
    """How many columns a terminal needs for a text: two for wide characters, none for marks on others, nor for colours."""
    if text.isascii() and "\x1b" not in text:
        return len(text)
    return sum(map(_width_of, _PIECE.findall(text)))


def cut(text: str, room: int) -> str:
    """The text, or its beginning and an ellipsis, in so many columns."""
    if width(text) <= room:
        return text
    kept, used, has_colour = "", 0, False
    for piece in _PIECE.findall(text):
        used += _width_of(piece)
        if used >= room:
            break
        has_colour |= piece[0] == "\x1b"
        kept += piece
    return f"{kept}…" + ("\x1b[0m" if has_colour else "")


def _width_of(piece: str) -> int:
    if piece[0] == "\x1b" or unicodedata.category(piece) in {"Mn", "Me"} or "\u1160" <= piece <= "\u11ff":
        return 0  # the last: vowels and ends of Hangul syllables, drawn into the sign before
    return 2 if unicodedata.east_asian_width(piece) in {"W", "F"} else 1


def _room(widths: Mapping[int, int]) -> int:
    return _INDENT + sum(widths.values()) + _GAP * (len(widths) - 1)


def _shrink(widths: dict[int, int], places: frozenset[int], columns: int) -> bool:
    """Take from the widest column that may be cut, until all fit; say whether they do."""
    while _room(widths) > columns:
        widest = max(places & widths.keys(), key=lambda place: widths[place], default=None)
        if widest is None or widths[widest] <= _LEAST:
            return False
        widths[widest] -= 1
    return True


def _aligned(rows: Sequence[Sequence[str]], widths: Mapping[int, int], left: frozenset[int]) -> list[str]:
    """The columns that have a width, cut to it."""
    lines = []
    for row in rows:
        cells = []
        for place, room in widths.items():
            text = cut(row[place], room)
            space = " " * (room - width(text))
            cells.append(text + space if place in left else space + text)
        lines.append(" " * _INDENT + (" " * _GAP).join(cells).rstrip())
    return lines


def _cards(rows: Sequence[Sequence[str]], columns: int) -> Iterator[str]:
    """A block of lines for each row, with the heads before the values; without what is empty."""
    heads, *rest = rows
    room = max(map(width, heads))
    indent = " " * (_INDENT + room + _GAP)
    for number, row in enumerate(rest):
        if number:
            yield ""
        for head, text in zip(heads, row, strict=True):
            if text in _NOTHING:
                continue
            start = " " * _INDENT + head + " " * (room - width(head) + _GAP)
            for line in _folded(text, max(_LEAST, columns - len(indent))):
                yield start + line
                start = indent


def _folded(text: str, room: int) -> Iterator[str]:
    """Break at spaces where there are some in the second half of a line, else anywhere."""
    line, used, space = "", 0, 0
    for piece in _PIECE.findall(text):
        more = _width_of(piece)
        if used + more > room:
            end = space if space > len(line) // 2 else len(line)
            yield line[:end].rstrip()
            line = line[end:].lstrip() if space == end else line[end:]
            used, space = width(line), 0
        line += piece
        used += more
        if piece == " ":
            space = len(line)
    yield line
