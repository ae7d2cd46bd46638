"""How `is-crawler` tags a client, looked up in microseconds.

The library's own lookup, `crawler_info`, runs one regular expression per entry. Compiling them takes 125 ms, and a hostile
text takes over a millisecond. This module reads only the library's list of names (`iter_crawlers`) and compares whole
words, so that the cost grows with the length of the text and with nothing else. Pure, apart from the cached index.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from functools import cache
from typing import Final


class Tag(Enum):
    """What a name stands for. The library has thirteen tags; six of them matter here, the others mean a crawler."""

    HTTP_LIBRARY = auto()
    BROWSER_AUTOMATION = auto()
    MONITORING = auto()
    SOCIAL_PREVIEW = auto()
    SEARCH = auto()
    AI_TRAINING = auto()
    CRAWLER = auto()


_TAGS: Final[dict[tuple[str, ...], Tag]] = {
    ("http-library",): Tag.HTTP_LIBRARY,
    ("browser-automation",): Tag.BROWSER_AUTOMATION,
    ("monitoring",): Tag.MONITORING,
    ("social-preview",): Tag.SOCIAL_PREVIEW,
    ("search-engine",): Tag.SEARCH,
    ("ai-crawler",): Tag.AI_TRAINING,
}
"""The others are crawlers, and so are names with a second tag: Meta's is tagged `ai-crawler` and `social-preview`."""

_WORD: Final = re.compile("[a-z0-9]+")
_URL: Final = re.compile(r"https?://[^\s;,()]*")


@cache
def load_index() -> dict[str, list[tuple[str, Tag, str]]]:
    """Return the library's names by their first word, each as ` words between spaces `, its tag, and as it is written.

    The first call loads the library and reads its list: about 0.1 s, and 5 MB of memory.
    """
    from is_crawler import iter_crawlers  # not above: `import sojourn` must not load the library

    index: dict[str, list[tuple[str, Tag, str]]] = {}
    for info, name in iter_crawlers():
        words = _WORD.findall(name.lower())
        if words:
            tag = _TAGS.get(tuple(info.tags), Tag.CRAWLER)
            index.setdefault(words[0], []).append((_spaced(words), tag, name))
    return index


def leading_tag(text: str) -> Tag | None:
    """Return the tag of the longest name that `text` (in lower case) begins with."""
    first = _WORD.search(text)
    names = load_index().get(first.group(), ()) if first else ()
    if not names:
        return None
    spaced = _spaced(_WORD.findall(text))
    matches = [entry for entry in names if spaced.startswith(entry[0])]
    return max(matches, key=lambda entry: len(entry[0]))[1] if matches else None


def tags_in(text: str) -> set[Tag]:
    """Return the tags of all names in `text` (in lower case).

    URLs are skipped: `developers.facebook.com` names a company, not Facebook's link preview.
    """
    words = _WORD.findall(_URL.sub(" ", text))
    spaced = _spaced(words)
    index = load_index()
    return {tag for word in set(words) for name, tag, _ in index.get(word, ()) if name in spaced}


def longest_name(text: str) -> tuple[str, Tag | None]:
    """Return the longest name in `text` (in lower case), as the library writes it, with its tag; `("", None)` for none.

    The name of an HTTP library counts only where no other is there.
    """
    words = _WORD.findall(text)
    spaced = _spaced(words)
    index = load_index()
    matches = [entry for word in dict.fromkeys(words) for entry in index.get(word, ()) if entry[0] in spaced]
    if not matches:
        return "", None
    _, tag, name = max(matches, key=lambda entry: (entry[1] is not Tag.HTTP_LIBRARY, len(entry[0])))
    return name, tag


def _spaced(words: list[str]) -> str:
    # With a space at both ends, `in` and `startswith` compare whole words.
    return f" {' '.join(words)} "
