"""`sojourn demo`: an example app, visitors who play against it over real HTTP, and a summary that has to add up."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from sojourn.errors import MissingExtraError

__all__ = ["run"]


def run(seconds: float | None, *, say: Callable[[str], None]) -> bool:
    """Play for so many seconds, or until Ctrl-C; whether everything added up. Raises `SojournError`."""
    try:
        from . import visitors
        from .shop import Shop
    except ImportError as missing:
        msg = f'sojourn demo needs {missing.name}, which is not installed: pip install "sojourn[demo]"'
        raise MissingExtraError(msg) from missing
    from .figures import settled
    from .place import new_folder
    from .summary import intro, problems, summary

    folder = new_folder(os.environ)
    with Shop(folder) as shop:
        say(intro(shop.address, folder, seconds))
        began = time.monotonic()
        crowd = visitors.Crowd(shop.address)
        crowd.play(seconds)
        played = crowd.played(time.monotonic() - began)
        figures = settled(shop.engine, shop.events_file)
    wrong = problems(figures, played)
    say(summary(figures, played, folder, wrong))
    if wrong:
        sys.stderr.write("sojourn demo: it does not add up:\n" + "".join(f"  {problem}\n" for problem in wrong))
    return not wrong
