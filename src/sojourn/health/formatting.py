"""Text for people: printable whatever it holds, and spans in words. Pure."""

from __future__ import annotations

_LONGEST = 200
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def printable(text: str, longest: int = 2_000) -> str:
    """Text with nothing in it that could move a terminal's cursor: some of it came from a browser or a vendor."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut)


def cell(text: str) -> str:
    """Text for a column of a table."""
    return printable(text, _LONGEST)


def span(milliseconds: int) -> str:
    """A span in its two largest units: `4 s`, `3 h 5 m`."""
    rest = max(0, milliseconds) // 1000
    parts: list[str] = []
    for unit, seconds in _UNITS:
        count, rest = divmod(rest, seconds)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])
