"""Which texts may be user ids. Pure, and the same on every version of Python."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 256
"""Characters."""

_REFUSED: Final = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # controls, line breaks among them
    "\u2028\u2029"  # breaks of lines and paragraphs
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what turns the direction of text round (Unicode's Bidi_Control)
    "\ud800-\udfff"  # halves of characters
    "\ufdd0-\ufdef"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]"
)
"""Fixed ranges, which no version of Unicode will change: what one worker accepts, all accept. `str.isprintable()` also refuses
the joiners that Persian and Indic words need, and characters that are newer than Python's tables."""


def is_user_id(text: str) -> bool:
    """Whether every backend can store this text as an id."""
    return 0 < len(text) <= LONGEST and _REFUSED.search(text) is None
