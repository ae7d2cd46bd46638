"""How values are written on a page: numbers, spans, moments, and hostile text made harmless to read. Pure."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from markupsafe import Markup

NOTHING: Final = "—"
LONGEST_HINT: Final = 400
"""What a tooltip may hold: a table has hundreds of them."""

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_KEPT: Final = frozenset("\n\t")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS: Final = frozenset("\u200c\u200d")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _is_hidden(char: str, before: str) -> bool:
    """Whether it cannot be seen. Joiners between letters of other scripts, and in emoji, are part of how they look."""
    if char in _JOINERS and before and not before.isascii():
        return False
    return unicodedata.category(char) in _HIDDEN


def visible(text: str, *, keeps_lines: bool = False) -> str:
    """The text with everything that cannot be seen written out: control characters, bidi overrides, zero widths."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char
        if (keeps_lines and char in _KEPT) or not _is_hidden(char, before)
        else chr(0x2400 + ord(char))
        if ord(char) < 0x20
        else f"⟨U+{ord(char):04X}⟩"
        for before, char in zip(("", *text), text, strict=False)
    )


def text(value: str | None, longest: int = 60, *, hint: bool = True) -> Markup:
    """Told text for a table: isolated (`<bdi>`), visible, cut; a tooltip has more of it."""
    if value is None or value == "":
        return Markup('<span class="none">{}</span>').format(NOTHING)
    shown = visible(value[: longest + 1])
    if len(value) <= longest:
        return Markup("<bdi>{}</bdi>").format(shown)
    cut = visible(value[: longest - 1]) + "…"
    if not hint:
        return Markup("<bdi>{}</bdi>").format(cut)
    return Markup('<bdi title="{}">{}</bdi>').format(visible(value[:LONGEST_HINT]), cut)


def whole(value: object, longest: int = 160) -> Markup:
    """Told text where all of it has a place: the beginning, and the rest behind a click."""
    told = told_value(value)
    if len(told) <= longest and "\n" not in told:
        return Markup("<bdi>{}</bdi>").format(visible(told))
    first = visible(told.partition("\n")[0][:longest])
    return Markup(
        '<details class="long"><summary><bdi>{}…</bdi> <small>{} characters</small></summary>'
        '<pre dir="auto">{}</pre></details>'
    ).format(first, f"{len(told):,}", visible(told, keeps_lines=True))


def told_value(value: object) -> str:
    """A scalar as JSON would write it, without the quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def number(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def percent(share: float | None) -> str:
    return NOTHING if share is None else f"{share * 100:.1f} %" if share < 0.0995 else f"{share * 100:.0f} %"


def span(milliseconds: int | None) -> str:
    """A span in its two largest units; under ten seconds with a tenth."""
    if milliseconds is None:
        return NOTHING
    milliseconds = max(0, milliseconds)
    if milliseconds < 10_000 and milliseconds % 1000:
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


def clock(milliseconds: int) -> str:
    """A span as a clock shows it: `0:07`, `1:02:03`. For what ticks."""
    seconds = max(0, milliseconds) // 1000
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def ago(milliseconds: int) -> str:
    seconds = max(0, milliseconds) // 1000
    for unit, size in _UNITS[:-1]:
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago" if seconds >= 5 else "now"


class Moments:
    """Moments as the reader's clock tells them: `offset` ms ahead of UTC, and it is `now`."""

    def __init__(self, now: int, offset: int) -> None:
        self.now = now
        self.offset = offset
        self._zone = timezone(timedelta(milliseconds=offset)) if offset else UTC
        self._today = self.local(now)

    def local(self, at: int) -> datetime:
        return datetime.fromtimestamp(max(0, min(at, 253_000_000_000_000)) / 1000, self._zone)

    @property
    def zone(self) -> str:
        if not self.offset:
            return "UTC"
        minutes = abs(self.offset) // 60_000
        return f"UTC{'+' if self.offset > 0 else '-'}{minutes // 60}:{minutes % 60:02}"

    def short(self, at: int) -> str:
        """The time of today, else the day with it."""
        when = self.local(at)
        if when.date() == self._today.date():
            return f"{when:%H:%M:%S}"
        return f"{self.day(at)} {when:%H:%M}"

    def day(self, at: int) -> str:
        when = self.local(at)
        year = "" if when.year == self._today.year else f" {when.year}"
        return f"{when.day} {_MONTHS[when.month - 1]}{year}"

    def weekday(self, at: int) -> str:
        return f"{_DAYS[self.local(at).weekday()]} {self.day(at)}"

    def full(self, at: int) -> str:
        when = self.local(at)
        return f"{_DAYS[when.weekday()]} {when.day} {_MONTHS[when.month - 1]} {when.year}, {when:%H:%M:%S} {self.zone}"

    def time(self, at: int) -> Markup:
        """A `<time>` with all of it in its tooltip."""
        return self._element(at, self.short(at), Markup())

    def ago(self, at: int) -> Markup:
        """A `<time>` that our script lets grow older."""
        return self._element(at, ago(self.now - at), Markup(' data-ago="{}"').format(at))

    def _element(self, at: int, shown: str, more: Markup) -> Markup:
        iso = datetime.fromtimestamp(max(0, min(at, 253_000_000_000_000)) / 1000, UTC)
        return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(
            f"{iso:%Y-%m-%dT%H:%M:%SZ}", self.full(at), more, shown
        )
