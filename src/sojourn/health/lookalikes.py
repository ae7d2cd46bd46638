"""Ids that may be mistaken for others: those with invisible characters, mixed scripts, or text in another form. Pure.

After Unicode's technical standard 39, as far as it goes without its tables: scripts are read from the names of characters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

_JOINERS: Final = frozenset("\u200c\u200d")
_JOINED: Final = frozenset({
    "ARABIC", "SYRIAC", "MANDAIC", "NKO", "MONGOLIAN", "PHAGS-PA", "MANICHAEAN", "ADLAM", "HANIFI",
    "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA",
    "KHMER", "MYANMAR", "TIBETAN", "THAI", "LAO", "BALINESE", "JAVANESE", "SUNDANESE", "TAI", "LIMBU", "MEETEI", "CHAKMA",
})  # fmt: skip
"""Scripts in which joiners change how letters look."""
_BLANK_LETTERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u2800\u3164\uffa0")
"""Blank, though their categories are those of letters, marks and symbols."""
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_EAST_ASIAN: Final = frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA"})
_TOGETHER: Final = (_EAST_ASIAN, frozenset({"LATIN", "CJK", "HANGUL"}), frozenset({"LATIN", "CJK", "BOPOMOFO"}))
"""Scripts that are written together."""
_LATIN_TWINS: Final = frozenset(
    "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0458\u0455\u04bb\u0501\u051b\u051d\u0410\u0412\u0415\u041a"
    "\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0423\u0406\u0408\u0405\u050c\u03bf\u03c1\u03bd\u03b1\u0391\u0392"
    "\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
)
"""Cyrillic and Greek letters that look like Latin ones."""
_SYMBOLS: Final = frozenset({"So", "Sk"})


def invisible(text: str) -> Iterator[str]:
    """The characters that cannot be seen. Not: joiners and variation selectors where they shape what stands before them."""
    for place, char in enumerate(text):
        before, after = text[place - 1] if place else "", text[place + 1 : place + 2]
        if is_invisible(char, before, after):
            yield char


def is_invisible(char: str, before: str, after: str) -> bool:
    """Whether a character between these two cannot be seen."""
    if char in _JOINERS:
        return not _is_joined(before, after)
    if char in _BLANK_LETTERS:
        return True
    if "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef":  # variation selectors
        return before == "" or unicodedata.category(before) not in _SYMBOLS | {"Lo", "Nd", "Po", "Sm"}
    return unicodedata.category(char) in _UNSEEN


@lru_cache(1024)
def problems(user_id: str) -> tuple[str, ...]:
    """What makes this id look like another one, in words; empty for an ordinary one."""
    if user_id.isascii() and user_id.isprintable() and user_id == " ".join(user_id.split()):
        return ()
    return tuple(_problems(user_id))


def _problems(user_id: str) -> Iterator[str]:
    hidden = sorted({f"U+{ord(char):04X}" for char in invisible(user_id)})
    if hidden:
        yield f"invisible characters ({', '.join(hidden[:4])})"
    if user_id != user_id.strip() or "  " in user_id or any(map(_is_odd_blank, user_id, ("", *user_id))):
        yield "blanks that look like none or like others"
    if user_id != unicodedata.normalize("NFC", user_id):
        yield "decomposed characters (not in NFC)"
    scripts = {script for char in user_id if char.isalpha() and (script := _script(char))}
    if len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER):
        yield f"letters of several scripts ({', '.join(sorted(name.title() for name in scripts))})"
    elif scripts and scripts != {"LATIN"} and all(char in _LATIN_TWINS for char in user_id if char.isalpha()):
        yield f"{min(scripts).title()} letters that look like Latin ones"
    if any(map(_is_styled, user_id)):
        yield "styled letters or digits"


def _is_joined(before: str, after: str) -> bool:
    """Whether a joiner stands where it shapes letters, or within an emoji."""
    if not before or not after:
        return False
    if unicodedata.category(after) in _SYMBOLS:
        return unicodedata.category(before) in _SYMBOLS or before == "\ufe0f"
    return _first_word(before) in _JOINED and _first_word(after) in _JOINED


def _is_odd_blank(char: str, before: str) -> bool:
    """A blank that is not the ordinary one; the ideographic one is, behind an ideograph."""
    if char == " " or unicodedata.category(char) != "Zs":
        return False
    return char != "\u3000" or before == "" or _script(before) not in _EAST_ASIAN - {"LATIN"}


def _is_styled(char: str) -> bool:
    """A letter or digit that is another one in a style: fullwidth, mathematical, circled."""
    if char.isascii() or not char.isalnum():
        return False
    plain = unicodedata.normalize("NFKC", char)
    return plain != char and plain.isascii() and plain.isalnum()


def _script(char: str) -> str:
    """The script of a letter, from its name; empty for what is no letter, or one that this Python does not know."""
    name = unicodedata.name(char, "")
    first = _first_word(char)
    if first in {"FULLWIDTH", "HALFWIDTH"}:
        first = name.split(" ", 2)[1]
    is_letter = " LETTER " in name or " SYLLABLE " in name or first == "CJK"
    return first if is_letter and first != "MODIFIER" else ""


def _first_word(char: str) -> str:
    return unicodedata.name(char, "").partition(" ")[0]
