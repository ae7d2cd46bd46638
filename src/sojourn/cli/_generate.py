"""`sojourn demo --generate N`: a store full of synthetic sessions, to try the report with."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sojourn.errors import SojournError

from ._progress import Bar

_MOST: Final = 10_000_000
_MOST_DAYS: Final = 395
_LINE_EVERY_S: Final = 10.0


def add_options(demo: argparse.ArgumentParser) -> None:
    """Add the options of `demo` for a generated store."""
    demo.add_argument(
        "--generate",
        type=_number("sessions", _MOST),
        metavar="N",
        help="instead of simulating visitors, write a new store with N synthetic sessions of about ten events (7 KB each)",
    )
    demo.add_argument(
        "--days",
        type=_number("days", _MOST_DAYS),
        default=90,
        metavar="N",
        help="with --generate: spread them over this many days until now (default: 90)",
    )
    demo.add_argument(
        "--store",
        metavar="URL",
        help="with --generate: the new database, such as sqlite:///demo.db (default: in your state directory)",
    )


def run(sessions: int, days: int, store: str | None) -> int:
    """Generate the store, and print how to open it. Raises `SojournError`."""
    from sojourn.demo.generator import generate

    path = _path(store)
    began = time.monotonic()
    try:
        with Bar(sys.stderr, line_every_s=_LINE_EVERY_S) as bar:
            made = generate(path, sessions, now=time.time_ns() // 1_000_000, days=days, on_progress=bar.show)
    except OSError as error:
        msg = f"{path} could not be written ({error.strerror}); choose another file with --store"
        raise SojournError(msg) from error
    spent = time.monotonic() - began
    print(f"{made.sessions:,} sessions and {made.events:,} events of {days} days, generated in {spent:.0f} s")
    print(f"open the report: sojourn report --store sqlite:///{path}")
    return 0


def _path(store: str | None) -> Path:
    from sojourn.settings._places import SQLITE, absolute, store_path

    if store is None:
        from sojourn.demo.folder import new_folder

        return new_folder(os.environ) / "sojourn.db"
    path = store_path(store)
    if path is None or store.endswith("/"):
        msg = f"--store: only SQLite stores can be generated; give {SQLITE}path/to/new.db"
        raise SojournError(msg)
    return absolute(path)


def _number(what: str, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
            msg = f"give a number of {what} from 1 to {most:,}; got {text[:40]!r}"
            raise argparse.ArgumentTypeError(msg)
        return int(text)

    return number
