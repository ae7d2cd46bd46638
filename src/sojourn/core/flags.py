"""Flags in text, as settings and the URLs of backends write them. Pure."""

from __future__ import annotations

from typing import Final

_FLAGS: Final = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


def flag_of(text: str) -> bool | None:
    """The flag that a text stands for, in any case; `None` if it stands for none."""
    return _FLAGS.get(text.strip().lower())
