"""Where in the code an exception belongs: file and function of the innermost frame of the app's own code.

Type and place group exceptions. A line number is no part of the place, since every release moves lines; nor is the message,
since it holds values.
"""

from __future__ import annotations

import os
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from traceback import walk_tb
from types import CodeType, TracebackType
from typing import Final

_MOST_LINKS: Final = 10
"""Of a chain of causes and groups."""
_INSTALLED: Final = re.compile(r"[/\\](?:site|dist)-packages[/\\]")
_NOT_FILES: Final = re.compile(r"<(?!ipython)[^>]*>$")
"""Frozen modules and code made from text, such as `<string>` and `<frozen importlib._bootstrap>`."""
# Python 3.12 has no frame for a comprehension; an older one must not give another place.
_COMPREHENSION: Final = re.compile(r"(?:\.<locals>)?\.<(?:list|set|dict)comp>$|(?:\.<locals>)?\.<genexpr>$")


def _folder(path: str) -> str:
    return os.path.join(os.path.normpath(path), "")


_LIBRARY: Final = tuple({_folder(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")})
_OURS: Final = _folder(str(Path(__file__).parents[1]))


def innermost(error: BaseException) -> CodeType | None:
    """Return the code of the innermost frame of the app, or of a library if no frame is the app's own.

    Looks at the exception itself first, then at its causes and, of a group, at its members.
    """
    fallback: CodeType | None = None
    for link in _chain(error):
        codes = [frame.f_code for frame, _ in walk_tb(_trace(link))]
        for code in reversed(codes):
            if is_own(code.co_filename):
                return code
        fallback = fallback or next((code for code in reversed(codes) if _is_named(code.co_filename)), None)
    return fallback


def function_of(code: CodeType) -> str:
    """Return the qualified name of the function. A template's is what its engine calls the part of the template."""
    # Jinja gives the code of a template a name, and leaves the qualified name as it was.
    name = code.co_qualname if code.co_qualname.endswith(code.co_name) else code.co_name
    return _COMPREHENSION.sub("", name)


def is_own(path: str) -> bool:
    """Whether a file is the app's: neither installed, nor of Python, nor of Sojourn."""
    return _is_named(path) and not path.startswith(_LIBRARY) and _INSTALLED.search(path) is None


def _is_named(path: str) -> bool:
    return _NOT_FILES.match(path) is None and not path.startswith(_OURS)


def _trace(error: BaseException) -> TracebackType | None:
    return error.__traceback__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, then what caused it, breadth first and each once."""
    seen: set[int] = set()
    links = [error]
    while links and len(seen) < _MOST_LINKS:
        link = links.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        if isinstance(link, BaseExceptionGroup):
            links += link.exceptions[:1]
        cause = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
        if cause is not None:
            links.append(cause)
