"""`sojourn backup` and `sojourn vacuum`: a verified copy of a SQLite store while it is used, and a file without free pages."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sojourn.errors import SojournError

from . import _stores
from ._parser import Commands
from ._progress import Bar

if TYPE_CHECKING:
    from sojourn.stores import Store


def add_commands(commands: Commands) -> None:
    """Add the two commands."""
    backup = commands.add_parser(
        "backup",
        parents=[_stores.options()],
        description="Copy a SQLite store, as it is at one moment, to a new file that only you can read, and read the copy "
        "through. The app goes on meanwhile. Records that wait in journals are not in it: they are recorded within seconds. "
        "For a store in PostgreSQL it names the command of pg_dump.",
    )
    backup.add_argument("file", type=Path, metavar="FILE", help="the new file")
    backup.add_argument("--force", action="store_true", help="replace the file, once the new copy is complete")
    backup.set_defaults(command=_backup)

    vacuum = commands.add_parser(
        "vacuum",
        parents=[_stores.options()],
        description="Write the file of a SQLite store anew, without the room that deleted sessions left. The app goes on: its "
        "records wait in the journals meanwhile. It needs as much free disk as the new file takes, up to two times.",
    )
    vacuum.set_defaults(command=_vacuum)


def _backup(arguments: argparse.Namespace) -> int:
    from sojourn.health.formatting import size

    target: Path = arguments.file
    source = _stores.source_of(arguments)
    with source.opened() as store:
        _check_target(target, store, is_forced=arguments.force)
        # Beside the target, so that the complete copy takes its place in one step.
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
        began = time.monotonic()
        try:
            with Bar(sys.stderr) as bar:
                done = store.upkeep.back_up(partial, on_progress=lambda pages, total: bar.show("pages", pages, total))
            _put(partial, target, is_forced=arguments.force)
        finally:
            for left in (partial, partial.with_name(f"{partial.name}-journal")):
                left.unlink(missing_ok=True)
    spent = time.monotonic() - began
    print(
        f"{target}: {done.sessions:,} sessions, {done.events:,} events, {size(done.size)}, read through, in {spent:.1f} s"
    )
    return 0


def _check_target(target: Path, store: Store, *, is_forced: bool) -> None:
    if store.upkeep.is_own(target):
        raise SojournError(f"backup: {target} is the store itself; choose another file")
    if target.is_dir():
        raise SojournError(f"backup: {target} is a folder; add a file name, such as {target / 'sojourn.db'}")
    if not is_forced and os.path.lexists(target):
        raise SojournError(f"backup: {target} exists; choose another file, or replace it with --force")


def _put(partial: Path, target: Path, *, is_forced: bool) -> None:
    try:
        if is_forced:
            partial.replace(target)
        else:
            os.link(partial, target)  # fails where another process has made it meanwhile
    except FileExistsError:
        raise SojournError(f"backup: {target} exists; choose another file, or replace it with --force") from None
    except OSError as error:
        msg = f"backup: {target} cannot be written: {error.strerror}; choose another place"
        raise SojournError(msg) from error


def _vacuum(arguments: argparse.Namespace) -> int:
    from sojourn.health.formatting import size

    source = _stores.source_of(arguments, destroys=True)
    with source.opened() as store:
        began = time.monotonic()
        done = store.upkeep.compact()
    spent = time.monotonic() - began
    freed = max(0, done.before - done.after)
    print(f"{size(done.before)} before, {size(done.after)} now: {size(freed)} freed, in {spent:.1f} s")
    if not done.is_cut:
        print(
            "the file is cut when no other process reads it any more: run it again then, or wait an hour for the recorder"
        )
    return 0
