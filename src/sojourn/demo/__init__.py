"""`sojourn demo`: an example app, simulated visitors over real HTTP, the report, and figures that add up."""

from __future__ import annotations

import os
import sys
import time
import webbrowser
from collections.abc import Callable

from sojourn.errors import MissingExtraError

__all__ = ["run"]


def run(seconds: float | None, *, say: Callable[[str], None]) -> bool:
    """Run for so many seconds, or until Ctrl-C; return whether all figures add up. Raises `SojournError`."""
    try:
        from . import visitors
        from .shop import NEXT_RELEASE, RELEASE, Shop
    except ImportError as missing:
        msg = f'sojourn demo needs {missing.name}, which is not installed: pip install "sojourn[demo]"'
        raise MissingExtraError(msg) from missing
    from sojourn.report import source_of
    from sojourn.report.serving import ReportServer

    from .figures import settled_figures
    from .folder import new_folder
    from .history import write_history
    from .summary import intro, problems, summary

    folder = new_folder(os.environ)
    say("Writing the shop's past: four weeks of visits ...")
    history = write_history(folder / "sojourn.db")
    with Shop(folder, RELEASE) as shop, Shop(folder, NEXT_RELEASE) as next_shop:
        # The report closes before the figures are read: ends of sessions must be delivered before the shop closes.
        with ReportServer(source_of(shop.engine), landing="/sessions") as report:
            say(intro(shop.address, report.link, folder, seconds))
            report.set_on_link(lambda link: say(f"\nThe link was used. A new one: {link}\n"))
            if _has_display():
                webbrowser.open(report.link)
            began = time.monotonic()
            crowd = visitors.Crowd(shop.address, next_shop.address)
            crowd.play(seconds, on_release=lambda: say(f"\nFrom now on visitors meet release {NEXT_RELEASE}.\n"))
            played = crowd.played(time.monotonic() - began)
        figures = settled_figures([shop.engine, next_shop.engine], shop.events_file, history)
    found_problems = problems(figures, played)
    say(summary(figures, played, folder, found_problems))
    if found_problems:
        lines = "".join(f"  {problem}\n" for problem in found_problems)
        sys.stderr.write(f"sojourn demo: the figures do not add up:\n{lines}")
    return not found_problems


def _has_display() -> bool:
    """Whether a browser window would be seen: not in a pipe, a test or a remote shell."""
    if not sys.stdout.isatty() or "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform in {"darwin", "win32"} or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
