"""How values are written on a page: what is missing as a dash, and hostile text harmless to read. Pure."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from sojourn.health import formatting
from sojourn.health.formatting import clock
from sojourn.health.lookalikes import is_invisible, problems

__all__ = [
    "EMPTY",
    "LONGEST_TOOLTIP",
    "clock",
    "copyable",
    "full",
    "lookalike",
    "number",
    "pause",
    "percent",
    "short",
    "span",
    "visible",
]

EMPTY: Final = "—"
LONGEST_TOOLTIP: Final = 400
"""Characters: a table has hundreds of tooltips."""

_KEPT: Final = frozenset("\n\t")


def visible(text: str, *, keeps_lines: bool = False) -> str:
    """Write out everything that cannot be seen: control characters, bidi overrides, zero-width characters."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char
        if (keeps_lines and char in _KEPT) or not is_invisible(char, before, after)
        else chr(0x2400 + ord(char))
        if ord(char) < 0x20
        else f"⟨U+{ord(char):04X}⟩"
        for before, char, after in zip(("", *text), text, (*text[1:], ""), strict=False)
    )


def lookalike(user_id: str | None) -> Markup:
    """A mark behind a user id that may be mistaken for another one, with the reason; nothing for an ordinary id."""
    if not user_id or not (found := problems(user_id)):
        return Markup("")
    return Markup(' <span class="odd" title="This ID has {}">look-alike</span>').format("; ".join(found))


def short(value: str | None, longest: int = 60, *, has_tooltip: bool = True) -> Markup:
    """Untrusted text for a table cell: isolated (`<bdi>`), visible and cut, with more of it in a tooltip."""
    if value is None or value == "":
        return Markup('<span class="none">{}</span>').format(EMPTY)
    shown = visible(value[: longest + 1])
    if len(value) <= longest:
        return Markup("<bdi>{}</bdi>").format(shown)
    cut = visible(value[: longest - 1]) + "…"
    if not has_tooltip:
        return Markup("<bdi>{}</bdi>").format(cut)
    return Markup('<bdi title="{}">{}</bdi>').format(visible(value[:LONGEST_TOOLTIP]), cut)


def copyable(text: str | None) -> Markup:
    """The attribute that gives an element a copy button. Text with hidden characters has none: what is seen is not it."""
    return Markup("") if not text or visible(text) != text else Markup(' data-copy="{}"').format(text)


def full(value: object, longest: int = 160) -> Markup:
    """Untrusted text in full: the beginning, and the rest behind a click."""
    text = _as_text(value)
    if len(text) <= longest and "\n" not in text:
        return Markup("<bdi>{}</bdi>").format(visible(text))
    first = visible(text.partition("\n")[0][:longest])
    return Markup(
        '<details class="long"><summary><bdi>{}…</bdi> <small>{} characters</small></summary>'
        '<pre dir="auto">{}</pre></details>'
    ).format(first, f"{len(text):,}", visible(text, keeps_lines=True))


def _as_text(value: object) -> str:
    """A scalar as JSON would write it, without the quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def number(value: int | None) -> str:
    return EMPTY if value is None else f"{value:,}"


def percent(share: float | None) -> str:
    return EMPTY if share is None else f"{share * 100:.1f} %" if share < 0.0995 else f"{share * 100:.0f} %"


def span(milliseconds: int | None) -> str:
    return EMPTY if milliseconds is None else formatting.span(milliseconds, is_precise=True)


def pause(milliseconds: int) -> str:
    """A pause between two steps, in words: `4 min`, `2 h 5 min`, `1 d 3 h`."""
    minutes = milliseconds // 60_000
    for size, unit, smaller, small in ((1440, "d", 60, "h"), (60, "h", 1, "min")):
        if minutes >= size:
            rest = minutes % size // smaller
            return f"{minutes // size} {unit} {rest} {small}" if rest else f"{minutes // size} {unit}"
    return f"{minutes} min"


def short_error(group: str) -> str:
    """What the overview calls an error: the type without its module, and the function. The whole is in the tooltip."""
    kind, _, place = group.partition(" at ")
    function = place.partition(" in ")[2]
    if group.startswith("Status ") or not function:
        return group
    return f"{kind.rpartition('.')[2]} in {function}"
