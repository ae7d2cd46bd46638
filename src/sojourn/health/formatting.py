"""Numbers, spans and text as people read them: shared by the report, the command line and the health checks. Pure."""

from __future__ import annotations

from typing import Final

_LONGEST_CELL: Final = 200
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_PRECISE_MS: Final = 10_000
_NOW_S: Final = 5
_KIBI: Final = 1024


def printable(text: str, longest: int = 2_000) -> str:
    """Escape everything that could move a terminal's cursor: some of the text came from a browser or a vendor."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut)


def cell(text: str) -> str:
    """Text for a column of a table."""
    return printable(text, _LONGEST_CELL)


def span(milliseconds: int, *, is_precise: bool = False) -> str:
    """A span in its two largest units: `4 s`, `3 h 5 m`. `is_precise`: `250 ms` and `1.5 s` where it is that short."""
    milliseconds = max(0, milliseconds)
    if is_precise and milliseconds < _PRECISE_MS and milliseconds % 1000:
        return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
    rest = milliseconds // 1000
    parts: list[str] = []
    for unit, seconds in _UNITS:
        count, rest = divmod(rest, seconds)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def size(number: int) -> str:
    """A number of bytes in its largest unit: `812 B`, `1.5 MiB`."""
    value, unit = float(number), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < _KIBI or unit == "TiB":
            break
        value /= _KIBI
    return f"{number} B" if unit == "B" else f"{value:.1f} {unit}"


def clock(milliseconds: int) -> str:
    """A span as a running clock shows it: `0:07`, `1:02:03`."""
    seconds = max(0, milliseconds) // 1000
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def ago(milliseconds: int) -> str:
    """An age in its largest unit: `3 m ago`; `now` below five seconds."""
    seconds = max(0, milliseconds) // 1000
    for unit, size in _UNITS[:-1]:
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago" if seconds >= _NOW_S else "now"
