"""The names of a journal's files, and how a listing of them is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from .files import Files

_SEGMENT_NAME: Final = re.compile(r"([0-9a-f]{32})-([0-9]{8,})\.seg")
_UNFINISHED_NAME: Final = re.compile(r"([0-9a-f]{32})-([0-9]{8,})\.new")
_DAMAGED_NAME: Final = re.compile(r"([0-9a-f]{32})-([0-9]{8,})\.damaged")
UNFINISHED: Final = ".new"
"""How a segment's name ends until it has its header."""
_LOCK_NAME: Final = re.compile(r"([0-9a-f]{32})\.lock")


def segment_name(journal: str, number: int) -> str:
    return f"{journal}-{number:08d}.seg"


def damaged_name(journal: str, number: int) -> str:
    """Return the name under which a damaged segment is kept when it was read."""
    return f"{journal}-{number:08d}.damaged"


def lock_name(journal: str) -> str:
    return f"{journal}.lock"


def list_damaged(files: Files, directory: Path) -> list[tuple[str, int]]:
    """Return the journals and numbers of the segments that were set aside, in order."""
    matches = map(_DAMAGED_NAME.fullmatch, files.names(directory))
    return sorted((match[1], int(match[2])) for match in matches if match)


def list_unfinished(files: Files, directory: Path, journal: str) -> list[str]:
    """Return the names of a journal's segments that were never finished."""
    matches = map(_UNFINISHED_NAME.fullmatch, files.names(directory))
    return [match[0] for match in matches if match and match[1] == journal]


def list_journals(files: Files, directory: Path) -> dict[str, list[int]]:
    """Return the numbers of the segments of every journal, ascending; a journal may have none yet.

    A listing may miss an entry that was made while it ran and still show a later one. The second listing began after the
    first had ended, so up to the latest segment of the first nothing is missing.
    """
    first, second = _list_once(files, directory), _list_once(files, directory)
    journals: dict[str, list[int]] = {}
    for journal, numbers in second.items():
        latest = max(first.get(journal, ()), default=-1)
        journals[journal] = sorted(number for number in numbers if number <= latest)
    return journals


def _list_once(files: Files, directory: Path) -> dict[str, set[int]]:
    journals: dict[str, set[int]] = {}
    for name in files.names(directory):
        if match := _SEGMENT_NAME.fullmatch(name):
            journals.setdefault(match[1], set()).add(int(match[2]))
        elif match := _LOCK_NAME.fullmatch(name) or _UNFINISHED_NAME.fullmatch(name):
            journals.setdefault(match[1], set())
    return journals
