"""Data subject requests: `sojourn erase`, and the export of one person's data for `sojourn export`."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from sojourn.core.user_ids import is_user_id
from sojourn.errors import SojournError

from . import _stores
from ._parser import Commands
from ._stores import StoreSource

if TYPE_CHECKING:
    from sojourn.data_subjects import Erased


def add_commands(commands: Commands) -> None:
    """Add `erase` to the subparsers; `export` has its own module."""
    erase = commands.add_parser(
        "erase",
        parents=[_person_options(), _stores.options()],
        description="Delete a person's sessions and events from the store and from the journals of this host, discard late "
        "records of them, and show how many events were already forwarded, and where. If copies remain elsewhere, it says "
        "where, and for how long. This is not an opt-out: new visits are recorded again.",
    )
    erase.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    erase.add_argument("--must-exist", action="store_true", help="exit with 1 if nothing is found of the person")
    erase.set_defaults(command=_erase)


def _person_options() -> argparse.ArgumentParser:
    parent = argparse.ArgumentParser(add_help=False)
    add_person(parent.add_mutually_exclusive_group(required=True))
    return parent


def add_person(who: Any) -> None:
    """Add `--visitor` and `--user` to a mutually exclusive group."""
    who.add_argument("--visitor", type=parse_id, metavar="ID", help="a browser, by the visitor.id of its events")
    who.add_argument(
        "--user",
        type=parse_id,
        metavar="ID",
        help="a user, by the ID passed to identify(); with --store and hash_user_ids, by its hash",
    )


def parse_id(text: str) -> str:
    if not is_user_id(text):  # lone surrogates too: command-line bytes that are not text
        raise argparse.ArgumentTypeError("an ID must have at least one character, and only printable ones")
    return text


def _erase(arguments: argparse.Namespace) -> int:
    from sojourn.core.clock import SystemClock
    from sojourn.data_subjects import erase
    from sojourn.data_subjects.copies import Copies, erase_copies

    source = _stores.source_of(arguments, destroys=True)
    user = stored_user_id(arguments, source)
    if not arguments.yes and not _is_confirmed(arguments):
        print("sojourn: nothing was erased", file=sys.stderr)
        return 1
    with source.opened() as store:
        done = erase(store, visitor_id=arguments.visitor, user_id=user, now=SystemClock.now())
        directory = source.journals()
        copies = Copies(records=0, remains=())
        try:
            copies = erase_copies(store, directory)
        except OSError as error:
            msg = f"the journals in {directory} still have copies: {error.strerror}; run the command as the app's user"
            raise SojournError(msg) from error
        finally:
            is_found = done.is_something or copies.records > 0
            print(
                _summary(done, copies.records) if is_found else _not_found(arguments, source)
            )  # last: a standard output that is closed must not keep the copies
    if copies.remains:
        print("\n".join(["copies remain:", *(f"  {each}" for each in copies.remains)]))
    return 1 if arguments.must_exist and not is_found else 0


def export_person(arguments: argparse.Namespace, source: StoreSource) -> None:
    """Write all data of the person that the arguments name, as one JSON document."""
    from sojourn.data_subjects import export_json

    user = stored_user_id(arguments, source)
    with source.opened() as store, open_output(arguments.output) as out:
        export_json(store, visitor_id=arguments.visitor, user_id=user, out=out)


def stored_user_id(arguments: argparse.Namespace, source: StoreSource) -> str | None:
    """The user's ID as stored: hashed, if `--app` has `hash_user_ids`."""
    from sojourn.tracking.masking import pseudonym

    user: str | None = arguments.user
    settings = source.settings
    if user is None or settings is None or not settings.hash_user_ids or settings.user_hash_key is None:
        return user
    return pseudonym(user, settings.user_hash_key)


def _is_confirmed(arguments: argparse.Namespace) -> bool:
    if not sys.stdin.isatty():
        raise SojournError("erased data cannot be restored; pass --yes to confirm")
    print(f"Erase all data of {_named(arguments)}? It cannot be restored. [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _not_found(arguments: argparse.Namespace, source: StoreSource) -> str:
    text = f"nothing is found of {_named(arguments)}, in the store or in the journals of this host"
    if arguments.user is not None and source.settings is None:
        text += "; where the app hashes user ids, name it: --app MODULE:APP"
    return text


def _named(arguments: argparse.Namespace) -> str:
    return f"user {arguments.user}" if arguments.user is not None else f"visitor {arguments.visitor}"


def _summary(done: Erased, records: int) -> str:
    lines = [f"deleted: {done.sessions} sessions, {done.events} events, {done.dead_letters} dead letters"]
    if records:
        lines.append(f"overwritten in the journals of this host: {records} records")
    if done.forwarded:
        lines.append("already forwarded (at most); request deletion there too:")
        lines += [f"  {name}: {count} events" for name, count in sorted(done.forwarded.items())]
    else:
        lines.append("already forwarded: nothing")
    return "\n".join(lines)


@contextmanager
def open_output(path: Path | None) -> Iterator[TextIO]:
    """Standard output, or a new file that only its owner can read. A file that could not be finished is deleted."""
    if path is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # JSON is UTF-8, whatever the terminal uses
        yield sys.stdout
        sys.stdout.flush()
        return
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        msg = f"{path} cannot be created: {error.strerror}; choose another file for --output"
        raise SojournError(msg) from error
    try:
        with open(descriptor, "w", encoding="utf-8") as out:
            yield out
    except BaseException:
        path.unlink(missing_ok=True)
        raise
