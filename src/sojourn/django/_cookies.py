"""Our `Set-Cookie` lines on Django's response, exactly as they were written."""

from __future__ import annotations

from collections.abc import Iterable
from http.cookies import CookieError, Morsel
from typing import Any


class Line(Morsel[str]):
    """A line of ours among `response.cookies`, where Django's handlers and test clients look for cookies.

    It keeps its text: the standard library would write other attributes than ours (`Partitioned` only from Python 3.14).
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        pair, *attributes = text.split("; ")
        name, _, value = pair.partition("=")
        self.set(name, value, value)
        for attribute in attributes:
            key, equals, argument = attribute.partition("=")
            try:
                self[key] = argument if equals else True
            except CookieError:  # one that this Python does not know
                continue
        self.text = text

    def OutputString(self, attrs: Any = None) -> str:  # noqa: N802 - the name in the standard library
        return self.text


def add_lines(response: Any, lines: Iterable[str]) -> None:
    """Add these lines. Several may be of one name, such as removals for several domains."""
    for text in lines:
        line = Line(text)
        key = line.key
        while dict.__contains__(response.cookies, key):
            key += "."
        dict.__setitem__(response.cookies, key, line)
